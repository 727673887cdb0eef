package serving

import (
	"math"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Figure is what is known of one quantity over a window, in seconds for all durations.
type Figure struct {
	// Count is the number of observations that the figure stands on.
	Count float64
	// Mean is unknown without an observation, and where the sum contradicts the buckets.
	Mean          watchdog.Maybe[float64]
	P50, P95, P99 Quantile
	// Refused is how many readings of an engine were left out, because they held what cannot be.
	Refused int
	// Note says why something is missing, or how it came about where that is not plain; empty where it is.
	Note string
}

// Quantile is one percentile, by linear interpolation between the two observations beside it (numpy's default).
type Quantile struct {
	// Value is the percentile itself, or a guess at it where Estimate is set. Unknown where there is no observation, and
	// where a guess would be an invention: in the first bucket of a histogram, and in its last.
	Value    watchdog.Maybe[float64]
	Estimate bool
	// The truth is at least Low and at most High: the bounds of a bucket where both observations are in one, else mixed from
	// those of two. High is unknown where the histogram's highest bound is all that is known:
	// the percentile may be anything from Low up.
	Low, High watchdog.Maybe[float64]
}

// Range is a number that is known to lie from Low to High, both included.
type Range struct{ Low, High float64 }

// Exact is the number itself, unknown unless the two ends agree.
func (r Range) Exact() watchdog.Maybe[float64] {
	if r.Low != r.High {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(r.Low)
}

// scaled multiplies both ends by a factor of at least 0.
func (r Range) scaled(by float64) Range { return Range{r.Low * by, r.High * by} }

// per is n for each of d, unknown where there is no d.
func per(n, d float64) watchdog.Maybe[float64] {
	if !(d > 0) || math.IsInf(d, 1) {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(n / d)
}
