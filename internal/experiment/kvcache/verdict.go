package kvcache

import (
	"fmt"
	"math"
	"slices"
)

// Outcome is what is held of the claim that TPOT stays constant.
type Outcome string

// The outcomes; the package comment has their criterion.
const (
	Constant  Outcome = "constant"
	Grows     Outcome = "grows"
	Falls     Outcome = "falls"
	Undecided Outcome = "undecided"
)

// Verdict is the outcome, with the figures that it stands on.
type Verdict struct {
	Outcome Outcome `json:"outcome"`
	// Within is the x of "constant within ±x %".
	Within float64 `json:"within_percent"`
	// Tolerance is how much may still be called constant, in percent.
	Tolerance float64 `json:"tolerance_percent"`
	// SpreadOfMeans is between the largest and the smallest mean of a length, in percent of the mean of all.
	SpreadOfMeans float64 `json:"spread_of_means_percent"`
	// Measurable: the interval of the change does not hold 0.
	Measurable bool   `json:"change_is_measurable"`
	Text       string `json:"text"`
}

// judge holds a fit, and the mean TPOT of each length, against a tolerance in percent.
func judge(f Fit, means []float64, tolerance float64, shortest, longest int) Verdict {
	v := Verdict{Tolerance: tolerance, Measurable: f.ChangeLow > 0 || f.ChangeHigh < 0}
	if len(means) > 0 {
		v.SpreadOfMeans = 100 * (slices.Max(means) - slices.Min(means)) / mean(means)
	}
	v.Within = max(math.Abs(f.ChangeLow), math.Abs(f.ChangeHigh), v.SpreadOfMeans)
	between := fmt.Sprintf("from %d to %d output tokens", shortest, longest)
	change := fmt.Sprintf("%+.1f %% (95 %%: %+.1f to %+.1f %%)", f.Change, f.ChangeLow, f.ChangeHigh)
	switch {
	case v.Within <= tolerance:
		v.Outcome = Constant
		v.Text = fmt.Sprintf("TPOT is constant within ±%.1f %% %s: the hypothesis holds.", v.Within, between)
		if v.Measurable {
			v.Text += fmt.Sprintf(" It changes by %s, which is measurable, and small.", change)
		} else {
			v.Text += fmt.Sprintf(" A change of %s is not told from none.", change)
		}
	case f.ChangeLow > tolerance:
		v.Outcome = Grows
		v.Text = fmt.Sprintf("TPOT grows by %s %s: it is not constant, and the hypothesis does not hold here.", change, between)
	case f.ChangeHigh < -tolerance:
		v.Outcome = Falls
		v.Text = fmt.Sprintf("TPOT falls by %s %s: it is not constant, and the hypothesis does not hold here.", change, between)
	default:
		v.Outcome = Undecided
		v.Text = fmt.Sprintf("It cannot be told whether TPOT is constant within ±%.0f %% %s: it changes by %s, and the means of the lengths lie %.1f %% apart."+
			" More --repeats or a quieter machine would tell.", tolerance, between, change, v.SpreadOfMeans)
	}
	return v
}
