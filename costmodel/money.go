package costmodel

import (
	"math"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// DefaultPenaltyFactor is p where a person starts the pod again: one cold start costs people ten times its pod time.
const DefaultPenaltyFactor = 10

// longest bounds every duration that is computed from money, so that a saving near zero cannot overflow.
const longest = 10 * 365 * 24 * time.Hour

// Penalty is what one cold start costs the people who wait for it.
type Penalty struct {
	// Factor is p: the penalty in units of the cold start's own pod time. Used unless InDollars.
	Factor float64
	// USD is the penalty x in dollars for each cold start. Used if InDollars.
	USD       float64
	InDollars bool
}

// Tariff is what this pod costs in either state.
type Tariff struct {
	// StorageRunning and StorageStopped are what its disks cost, in USD per hour, while it runs and while it is stopped.
	StorageRunning, StorageStopped float64
	Penalty                        Penalty
}

// Quote prices this moment: r is the provider's price while the pod runs, in USD per hour, and coldStart is C, the time
// from wanting the pod to its first answer.
//
//	cost of a cold start   K = (r + d_run)·C·(1 + p), or (r + d_run)·C + x for a penalty of x dollars
//	saving of a stopped hour  s = r + d_run − d_stop
//	break-even             B = K ÷ s
//
// Where r is unknown, so are the dollars, and B = C·(1 + p); a penalty in dollars then counts as the default factor
// (PenaltyAssumed says so). A price that cannot be (negative, no number, or so large that the sums are none) is unknown.
// Where s is not positive, stopping never pays (NoSaving). No result is NaN or infinite, and none but s is negative.
func (t Tariff) Quote(r watchdog.Maybe[float64], coldStart time.Duration) watchdog.Quote {
	coldStart = min(max(coldStart, 0), longest)
	factor := atLeastZero(t.Penalty.Factor)
	hourly := r.Value + t.StorageRunning
	saving := hourly - t.StorageStopped
	bill := hourly * coldStart.Hours()
	cost := bill * (1 + factor)
	if t.Penalty.InDollars {
		cost = bill + atLeastZero(t.Penalty.USD)
	}
	q := watchdog.Quote{PriceUSDPerHour: r, ColdStart: coldStart}
	if !priced(r) || !finite(saving) || !finite(cost) || cost < 0 {
		if t.Penalty.InDollars {
			factor = DefaultPenaltyFactor
		}
		q.PriceUSDPerHour = watchdog.Maybe[float64]{}
		q.BreakEven = scale(coldStart, 1+factor)
		q.BillBreakEven = coldStart
		return q
	}
	q.SavingUSDPerHour = watchdog.Known(saving)
	q.ColdStartUSD = watchdog.Known(cost)
	if saving <= 0 {
		q.NoSaving = true
		return q
	}
	q.BreakEven = hours(cost / saving)
	q.BillBreakEven = hours(bill / saving)
	return q
}

// PenaltyAssumed says that a penalty in dollars cannot be used, because without a price it cannot become time.
func (t Tariff) PenaltyAssumed(r watchdog.Maybe[float64]) bool {
	return t.Penalty.InDollars && !priced(r)
}

func priced(r watchdog.Maybe[float64]) bool { return r.Known && r.Value >= 0 && finite(r.Value) }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// atLeastZero makes 0 of what is negative or no number.
func atLeastZero(v float64) float64 {
	if v > 0 {
		return v
	}
	return 0
}

// scale multiplies a duration, exactly where the factor is whole, and bounded.
func scale(d time.Duration, factor float64) time.Duration {
	const most = 1000
	if factor <= most && d <= longest/most && factor == math.Trunc(factor) {
		return d * time.Duration(factor)
	}
	return hours(d.Hours() * factor)
}

// hours turns hours into a duration, rounded to the nanosecond and bounded.
func hours(h float64) time.Duration {
	if !(h > 0) { // NaN too
		return 0
	}
	if h >= longest.Hours() {
		return longest
	}
	return time.Duration(math.Round(float64(h * float64(time.Hour))))
}
