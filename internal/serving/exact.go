package serving

import (
	"math"
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Percentile is the q-quantile (0 to 1) of values in ascending order, by linear interpolation between the two beside it, as
// numpy does by default and vLLM's benchmark with it. Unknown without a value.
func Percentile(sorted []float64, q float64) watchdog.Maybe[float64] {
	if len(sorted) == 0 {
		return watchdog.Maybe[float64]{}
	}
	at := float64(len(sorted)-1) * q
	i := int(math.Floor(at))
	a, b := sorted[i], sorted[min(i+1, len(sorted)-1)]
	t := at - float64(i)
	if t >= 0.5 { // from the nearer end, as numpy rounds
		return watchdog.Known(b - (b-a)*(1-t))
	}
	return watchdog.Known(a + (b-a)*t)
}

// Exact is the figure of the values themselves. It sorts them in place.
func Exact(values []float64) Figure {
	slices.Sort(values)
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	f := Figure{
		Count: float64(len(values)), Mean: per(sum, float64(len(values))),
		P50: exactly(Percentile(values, .50)), P95: exactly(Percentile(values, .95)), P99: exactly(Percentile(values, .99)),
	}
	if len(values) == 0 {
		f.Note = "nothing was observed"
	}
	return f
}

func exactly(v watchdog.Maybe[float64]) Quantile { return Quantile{Value: v, Low: v, High: v} }

// sane is a duration or a rate of a row, unless it cannot be one.
func sane(m watchdog.Maybe[float64]) (float64, bool) {
	return m.Value, m.Known && m.Value >= 0 && !math.IsInf(m.Value, 1)
}
