package costmodel_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// row is an Alternative in round figures, so that a table can hold it: cents instead of dollars.
type row struct {
	Threshold            time.Duration
	Stops, Waited        int
	Idle                 time.Duration
	Idling, Starts, Both float64
}

func rowOf(a costmodel.Alternative) row {
	cents := func(v watchdog.Maybe[float64]) float64 {
		if !v.Known {
			return -1
		}
		return math.Round(v.Value*100*1e6) / 1e6
	}
	return row{a.Threshold, a.Stops, a.Waited, a.Idle, cents(a.IdleUSD), cents(a.ColdStartUSD), cents(a.USD)}
}

func TestAlternatives(t *testing.T) {
	const m = time.Minute
	// 1.20 $/h are 2 cents a minute; a cold start of 5 min at p = 1 is 20 cents, so B is 10 min.
	priced := costmodel.Tariff{Penalty: costmodel.Penalty{Factor: 1}}.Quote(watchdog.Known(1.2), 5*m)
	day := []costmodel.Gap{{Idle: 4 * m, Wanted: 1}, {Idle: 10 * m, Wanted: 2}, {Idle: 30 * m, Wanted: 3}, {Idle: 600 * m, Wanted: 4}}
	tests := map[string]struct {
		gaps       []costmodel.Gap
		quote      watchdog.Quote
		thresholds []time.Duration
		want       []row
	}{
		"a working day": {day, priced, []time.Duration{costmodel.Never, 5 * m, 10 * m, 15 * m, 0}, []row{
			{costmodel.Never, 0, 0, 644 * m, 1288, 0, 1288},
			{5 * m, 3, 9, 19 * m, 38, 60, 98},
			{10 * m, 2, 7, 34 * m, 68, 40, 108}, // a gap of exactly the threshold is idled through
			{15 * m, 2, 7, 44 * m, 88, 40, 128},
			{0, 4, 10, 0, 0, 80, 80},
		}},
		"no gap":          {nil, priced, []time.Duration{5 * m}, []row{{5 * m, 0, 0, 0, 0, 0, 0}}},
		"gaps of nothing": {[]costmodel.Gap{{Idle: 0, Wanted: 1}, {Idle: -m, Wanted: 1}}, priced, []time.Duration{0, 5 * m}, []row{{}, {Threshold: 5 * m}}},
		"below zero":      {day[:1], priced, []time.Duration{-m}, []row{{0, 1, 1, 0, 0, 20, 20}}},
		"nothing asked":   {day, priced, nil, nil},
		"without a price": {day, watchdog.Quote{}, []time.Duration{15 * m}, []row{{15 * m, 2, 7, 44 * m, -1, -1, -1}}},
		"no saving": {day[3:], costmodel.Tariff{StorageStopped: 1.2, Penalty: costmodel.Penalty{Factor: 1}}.Quote(watchdog.Known(1.2), 5*m),
			[]time.Duration{5 * m}, []row{{5 * m, 1, 4, 5 * m, 0, 20, 20}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []row
			for _, a := range costmodel.Alternatives(test.gaps, test.quote, test.thresholds) {
				got = append(got, rowOf(a))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("alternatives (-want +got):\n%s", diff)
			}
		})
	}
}

// TestBreakEvenPaysAtMostTwiceTheBest holds the known bound against the sum over gaps of what was cheaper in hindsight.
func TestBreakEvenPaysAtMostTwiceTheBest(t *testing.T) {
	q := costmodel.Tariff{Penalty: costmodel.Penalty{Factor: 10}}.Quote(watchdog.Known(1.5), 3*time.Minute)
	for step := time.Minute; step < 3*time.Hour; step += 7 * time.Minute {
		var gaps []costmodel.Gap
		best := 0.0
		for g := step; g < 12*time.Hour; g += step {
			gaps = append(gaps, costmodel.Gap{Idle: g})
			best += min(1.5*g.Hours(), q.ColdStartUSD.Value)
		}
		paid := costmodel.Alternatives(gaps, q, []time.Duration{q.BreakEven})[0].USD.Value
		if paid > 2*best+1e-9 || paid < best-1e-9 {
			t.Errorf("gaps of %s and its multiples: paid %.4f $, the best is %.4f $", step, paid, best)
		}
	}
}
