package costmodel_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func known(v float64) watchdog.Maybe[float64] { return watchdog.Known(v) }

var unknown watchdog.Maybe[float64]

func near(a watchdog.Maybe[float64], b float64) bool { return a.Known && math.Abs(a.Value-b) < 1e-12 }

// The seed's example: a start of 3 minutes at 1.50 $/h costs 0.075 $, an idle minute 0.025 $, so 3 idle minutes pay.
func TestSeedExample(t *testing.T) {
	q := costmodel.Tariff{}.Quote(known(1.5), 3*time.Minute)
	if !near(q.ColdStartUSD, 0.075) || !near(q.SavingUSDPerHour, 1.5) {
		t.Errorf("have a cold start of %v $ and a saving of %v $/h, want 0.075 and 1.5", q.ColdStartUSD, q.SavingUSDPerHour)
	}
	if minute := q.SavingUSDPerHour.Value / 60; math.Abs(minute-0.025) > 1e-12 {
		t.Errorf("an idle minute costs %v $, want 0.025", minute)
	}
	if q.BreakEven != 3*time.Minute || q.BillBreakEven != 3*time.Minute {
		t.Errorf("have B %s and %s for the bill, want 3m", q.BreakEven, q.BillBreakEven)
	}
	p := costmodel.Policy{Name: costmodel.Seed, IdleMin: 5 * time.Minute, CheckInterval: time.Minute}
	if checks, T := p.SeedChecks(q), p.Threshold(q); checks != 3 || T != 3*time.Minute {
		t.Errorf("the seed's policy stops after %d checks and %s, want 3 checks of 60 s", checks, T)
	}
}

func TestQuote(t *testing.T) {
	const c = 6 * time.Minute // 0.1 h
	factor := func(p float64) costmodel.Tariff {
		return costmodel.Tariff{Penalty: costmodel.Penalty{Factor: p}}
	}
	dollars := func(x float64) costmodel.Tariff {
		return costmodel.Tariff{Penalty: costmodel.Penalty{Factor: 3, USD: x, InDollars: true}}
	}
	stored := func(running, stopped float64) costmodel.Tariff {
		return costmodel.Tariff{StorageRunning: running, StorageStopped: stopped, Penalty: costmodel.Penalty{Factor: 1}}
	}
	for _, row := range []struct {
		name         string
		tariff       costmodel.Tariff
		price        watchdog.Maybe[float64]
		cost, saving watchdog.Maybe[float64]
		b, bill      time.Duration
		noSaving     bool
	}{
		{"the penalty in units of the start", factor(10), known(2), known(2.2), known(2), 66 * time.Minute, c, false},
		{"no penalty", factor(0), known(2), known(0.2), known(2), c, c, false},
		{"half a penalty", factor(0.5), known(2), known(0.3), known(2), 9 * time.Minute, c, false},
		{"the penalty in dollars", dollars(0.25), known(2), known(0.45), known(2), 13*time.Minute + 30*time.Second, c, false},
		{"the penalty in dollars weighs more on a cheap pod", dollars(0.25), known(0.5), known(0.3), known(0.5), 36 * time.Minute, c, false},
		{"storage counts while it runs", stored(0.5, 0), known(1.5), known(0.4), known(2), 12 * time.Minute, c, false},
		{"storage that is dearer while stopped lowers the saving", stored(0, 0.5), known(1.5), known(0.3), known(1), 18 * time.Minute, 9 * time.Minute, false},
		{"storage that costs the same in both states cancels from the saving only", stored(0.5, 0.5), known(1), known(0.3), known(1), 18 * time.Minute, 9 * time.Minute, false},
		{"a stopped hour as dear as a running one saves nothing", stored(0, 1), known(1), known(0.2), known(0), 0, 0, true},
		{"a stopped hour dearer than a running one saves nothing", stored(0, 3), known(1), known(0.2), known(-2), 0, 0, true},
		{"a pod that costs nothing saves nothing", factor(10), known(0), known(0), known(0), 0, 0, true},
		{"without a price, time alone decides", factor(10), unknown, unknown, unknown, 66 * time.Minute, c, false},
		{"without a price, a broken factor too", factor(2.5), unknown, unknown, unknown, 21 * time.Minute, c, false},
		{"without a price, dollars count as the default factor", dollars(0.25), unknown, unknown, unknown, 66 * time.Minute, c, false},
		{"without a price, storage says nothing", stored(0, 9), unknown, unknown, unknown, 12 * time.Minute, c, false},
		{"a price that is no number is no price", factor(1), known(math.NaN()), unknown, unknown, 12 * time.Minute, c, false},
		{"an infinite price is no price", factor(1), known(math.Inf(1)), unknown, unknown, 12 * time.Minute, c, false},
		{"a negative price is no price", factor(1), known(-1), unknown, unknown, 12 * time.Minute, c, false},
		{"a price beyond all numbers is no price", factor(10), known(math.MaxFloat64), unknown, unknown, 66 * time.Minute, c, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			q := row.tariff.Quote(row.price, c)
			same := func(what string, have, want watchdog.Maybe[float64]) {
				if have.Known != want.Known || want.Known && !near(have, want.Value) {
					t.Errorf("%s: have %v, want %v", what, have, want)
				}
			}
			same("cold start", q.ColdStartUSD, row.cost)
			same("saving", q.SavingUSDPerHour, row.saving)
			if row.cost.Known {
				same("price", q.PriceUSDPerHour, row.price)
			} else if q.PriceUSDPerHour.Known {
				t.Errorf("have the price %v, want none", q.PriceUSDPerHour)
			}
			if q.BreakEven != row.b || q.BillBreakEven != row.bill || q.NoSaving != row.noSaving || q.ColdStart != c {
				t.Errorf("have B %s, for the bill %s, no saving %t; want %s, %s, %t", q.BreakEven, q.BillBreakEven, q.NoSaving, row.b, row.bill, row.noSaving)
			}
		})
	}
}

func TestPenaltyAssumed(t *testing.T) {
	dollars := costmodel.Tariff{Penalty: costmodel.Penalty{USD: 1, InDollars: true}}
	if !dollars.PenaltyAssumed(unknown) || dollars.PenaltyAssumed(known(1)) || (costmodel.Tariff{}).PenaltyAssumed(unknown) {
		t.Error("only dollars without a price are assumed to be the default factor")
	}
}

// No result is ever NaN, infinite or negative, whatever goes in: only the saving may be negative, and then NoSaving says so.
func TestQuoteStaysSane(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	odd := []float64{0, 1, -1, 1e-300, 1e300, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}
	value := func() float64 {
		switch rng.IntN(4) {
		case 0:
			return odd[rng.IntN(len(odd))]
		case 1:
			return float64(rng.IntN(1200)) // whole factors take the exact path
		}
		return math.Exp(rng.NormFloat64() * 8)
	}
	length := func() time.Duration {
		return []time.Duration{0, 1, time.Second, 3 * time.Minute, 24 * time.Hour, 4000 * time.Hour, math.MaxInt64, -time.Second, math.MinInt64}[rng.IntN(9)]
	}
	for range 200_000 {
		tariff := costmodel.Tariff{StorageRunning: value(), StorageStopped: value(),
			Penalty: costmodel.Penalty{Factor: value(), USD: value(), InDollars: rng.IntN(2) == 0}}
		price, c := watchdog.Maybe[float64]{Value: value(), Known: rng.IntN(4) > 0}, length()
		q := tariff.Quote(price, c)
		finite := func(m watchdog.Maybe[float64]) bool { return !math.IsNaN(m.Value) && !math.IsInf(m.Value, 0) }
		switch {
		case !finite(q.PriceUSDPerHour), !finite(q.SavingUSDPerHour), !finite(q.ColdStartUSD):
			t.Fatalf("seed %d: %+v at %v, %s gives %+v", seed, tariff, price, c, q)
		case q.BreakEven < 0, q.BillBreakEven < 0, q.ColdStart < 0, q.ColdStartUSD.Value < 0, q.PriceUSDPerHour.Value < 0:
			t.Fatalf("seed %d: %+v at %v, %s is negative: %+v", seed, tariff, price, c, q)
		case q.SavingUSDPerHour.Known && (q.SavingUSDPerHour.Value <= 0) != q.NoSaving:
			t.Fatalf("seed %d: %+v at %v, %s: no saving is %t at %v", seed, tariff, price, c, q.NoSaving, q.SavingUSDPerHour)
		case !q.NoSaving && q.BreakEven < q.BillBreakEven:
			t.Fatalf("seed %d: %+v at %v, %s: a penalty made B smaller: %+v", seed, tariff, price, c, q)
		}
		for _, name := range []string{costmodel.BreakEven, costmodel.Seed, costmodel.Fixed} {
			p := costmodel.Policy{Name: name, IdleLimit: 10 * time.Minute, IdleMin: 5 * time.Minute, CheckInterval: 5 * time.Second}
			if T := p.Threshold(q); T < 15*time.Second {
				t.Fatalf("seed %d: %s plays %s at %+v", seed, name, T, q)
			}
		}
	}
}
