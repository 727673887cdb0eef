package costmodel_test

import (
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestThreshold(t *testing.T) {
	quote := func(b, bill time.Duration) watchdog.Quote { return watchdog.Quote{BreakEven: b, BillBreakEven: bill} }
	const check = 5 * time.Second
	for _, row := range []struct {
		name   string
		policy costmodel.Policy
		quote  watchdog.Quote
		want   time.Duration
	}{
		{"break-even plays T = B", costmodel.Policy{Name: costmodel.BreakEven}, quote(33*time.Minute, 3*time.Minute), 33 * time.Minute},
		{"IDLE_MIN lifts a computed threshold", costmodel.Policy{Name: costmodel.BreakEven, IdleMin: 5 * time.Minute}, quote(time.Minute, 0), 5 * time.Minute},
		{"IDLE_MAX lowers a computed threshold", costmodel.Policy{Name: costmodel.BreakEven, IdleMax: 20 * time.Minute}, quote(33*time.Minute, 0), 20 * time.Minute},
		{"IDLE_MAX of 0 is none", costmodel.Policy{Name: costmodel.BreakEven}, quote(48*time.Hour, 0), 48 * time.Hour},
		{"fixed plays IDLE_LIMIT", costmodel.Policy{Name: costmodel.Fixed, IdleLimit: 10 * time.Minute}, quote(time.Hour, time.Hour), 10 * time.Minute},
		{"IDLE_MIN and IDLE_MAX do not bend an explicit IDLE_LIMIT", costmodel.Policy{Name: costmodel.Fixed, IdleLimit: 2 * time.Minute, IdleMin: 5 * time.Minute, IdleMax: time.Minute}, quote(time.Hour, 0), 2 * time.Minute},
		{"the seed counts checks of the bill alone, rounded up", costmodel.Policy{Name: costmodel.Seed}, quote(time.Hour, 61*time.Second), 65 * time.Second},
		{"the default of IDLE_MIN does not bend the seed", costmodel.Policy{Name: costmodel.Seed, IdleMin: 5 * time.Minute}, quote(time.Hour, 3*time.Minute), 3 * time.Minute},
		{"an IDLE_MIN that was asked for does", costmodel.Policy{Name: costmodel.Seed, IdleMin: 5 * time.Minute, IdleMinSet: true}, quote(time.Hour, 3*time.Minute), 5 * time.Minute},
		{"IDLE_MAX bends the seed", costmodel.Policy{Name: costmodel.Seed, IdleMax: time.Minute}, quote(time.Hour, 3*time.Minute), time.Minute},
		{"the seed keeps an explicit IDLE_LIMIT", costmodel.Policy{Name: costmodel.Seed, IdleLimit: 90 * time.Second, IdleMin: 5 * time.Minute, IdleMinSet: true}, quote(time.Hour, 3*time.Minute), 90 * time.Second},
		{"no threshold is below three looks: computed", costmodel.Policy{Name: costmodel.BreakEven, IdleMax: time.Second}, quote(time.Minute, 0), 3 * check},
		{"no threshold is below three looks: given", costmodel.Policy{Name: costmodel.Fixed, IdleLimit: time.Second}, quote(time.Minute, 0), 3 * check},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.policy.CheckInterval = check
			if have := row.policy.Threshold(row.quote); have != row.want {
				t.Errorf("have %s, want %s", have, row.want)
			}
		})
	}
}

func TestSeedChecks(t *testing.T) {
	for _, row := range []struct {
		bill, check time.Duration
		want        int64
	}{
		{3 * time.Minute, time.Minute, 3},
		{3*time.Minute + 1, time.Minute, 4},
		{3*time.Minute - 1, time.Minute, 3},
		{0, time.Minute, 0},
		{time.Minute, 0, 0},
	} {
		p := costmodel.Policy{Name: costmodel.Seed, CheckInterval: row.check}
		if have := p.SeedChecks(watchdog.Quote{BillBreakEven: row.bill}); have != row.want {
			t.Errorf("%s in checks of %s: have %d, want %d", row.bill, row.check, have, row.want)
		}
	}
}

func TestDescribe(t *testing.T) {
	q := watchdog.Quote{BreakEven: 33 * time.Minute, BillBreakEven: 3 * time.Minute}
	for _, row := range []struct {
		policy costmodel.Policy
		words  []string
	}{
		{costmodel.Policy{Name: costmodel.BreakEven, CheckInterval: time.Minute}, []string{"breakeven", "33m0s", "cold start"}},
		{costmodel.Policy{Name: costmodel.Fixed, IdleLimit: 10 * time.Minute, CheckInterval: time.Minute}, []string{"fixed", "10m0s"}},
		{costmodel.Policy{Name: costmodel.Seed, CheckInterval: time.Minute}, []string{"seed", "3 idle checks of 1m0s", "3m0s"}},
		{costmodel.Policy{Name: costmodel.Seed, IdleLimit: 4 * time.Minute, CheckInterval: time.Minute}, []string{"seed", "4m0s idle"}},
	} {
		have := row.policy.Describe(q)
		for _, word := range row.words {
			if !strings.Contains(have, word) {
				t.Errorf("%q does not say %q", have, word)
			}
		}
	}
}
