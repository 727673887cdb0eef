package kvcache

import (
	"math"
	"slices"
)

// confidence is that of every interval here.
const confidence = 0.95

// Fit is a straight line through points, by ordinary least squares: y = Intercept + Slope·x.
type Fit struct {
	Points    int     `json:"points"`
	Intercept float64 `json:"intercept_ms"`
	// Slope is in ms for each further output token; SlopeLow and SlopeHigh are the ends of its 95 % interval.
	Slope     float64 `json:"slope_ms_per_token"`
	SlopeLow  float64 `json:"slope_low_ms_per_token"`
	SlopeHigh float64 `json:"slope_high_ms_per_token"`
	// Change is what the line grows by from the smallest x to the largest, in percent of the mean y, with its interval.
	Change     float64 `json:"change_percent"`
	ChangeLow  float64 `json:"change_low_percent"`
	ChangeHigh float64 `json:"change_high_percent"`
}

// lineThrough fits points; false where there are fewer than three, or all lie at one x, or the mean of y is not above 0: then no
// slope has an interval. The interval is Slope ± t·s/√Σ(x−x̄)² with s² = Σr²/(n−2) and t of n−2 degrees of freedom. That of the
// change takes the mean for exact, whose own error is far smaller.
func lineThrough(x, y []float64) (f Fit, ok bool) {
	n := len(x)
	if n < 3 || n != len(y) {
		return f, false
	}
	mx, my := mean(x), mean(y)
	var xx, xy float64
	for i := range x {
		xx += (x[i] - mx) * (x[i] - mx)
		xy += (x[i] - mx) * (y[i] - my)
	}
	if !(xx > 0) || !(my > 0) || math.IsInf(xx, 1) || math.IsInf(my, 1) {
		return f, false
	}
	f = Fit{Points: n, Slope: xy / xx}
	f.Intercept = my - f.Slope*mx
	rest := 0.0
	for i := range x {
		r := y[i] - my - f.Slope*(x[i]-mx)
		rest += r * r
	}
	half := studentQuantile(1-(1-confidence)/2, n-2) * math.Sqrt(rest/float64(n-2)/xx)
	if math.IsNaN(half) || math.IsInf(half, 0) {
		return Fit{}, false
	}
	f.SlopeLow, f.SlopeHigh = f.Slope-half, f.Slope+half
	percent := 100 * (slices.Max(x) - slices.Min(x)) / my
	f.Change, f.ChangeLow, f.ChangeHigh = f.Slope*percent, f.SlopeLow*percent, f.SlopeHigh*percent
	return f, true
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
