package panel

import (
	"math"
	"strconv"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func count(v float64) string { return strconv.FormatFloat(math.Round(v), 'f', 0, 64) }

// figure writes a number with the two or three digits that are worth reading.
func figure(v float64) string { return strconv.FormatFloat(v, 'f', decimals(v), 64) }

// decimals is how many decimals of v are worth reading.
func decimals(v float64) int {
	switch a := math.Abs(v); {
	case a >= 10 && a < 100:
		return 1
	case a >= 0.1 && a < 10:
		return 2
	case a >= 1e-8 && a < 0.1:
		return 1 - int(math.Floor(math.Log10(a)))
	}
	return 0
}

// between writes a value where it is known, and else what it lies between.
func between(value, low, high watchdog.Maybe[float64], unit string) string {
	switch {
	case value.Known:
		return figure(value.Value) + " " + unit
	case !low.Known:
		return unknown
	case !high.Known:
		return rounded(low.Value, decimals(low.Value), math.Floor) + " " + unit + " or more"
	case low.Value <= 0:
		return "0–" + trimmed(rounded(high.Value, decimals(high.Value), math.Ceil)) + " " + unit
	}
	// Both ends have the decimals that the smaller one needs, and no zeros at the end that both could do without.
	digits := max(decimals(high.Value), min(decimals(low.Value), decimals(high.Value)+1))
	from, to := rounded(low.Value, digits, math.Floor), rounded(high.Value, digits, math.Ceil)
	for strings.HasSuffix(from, "0") && strings.HasSuffix(to, "0") && strings.Contains(from, ".") {
		from, to = strings.TrimSuffix(from[:len(from)-1], "."), strings.TrimSuffix(to[:len(to)-1], ".")
	}
	if from == to {
		return from + " " + unit
	}
	return from + "–" + to + " " + unit
}

// rounded writes v with so many decimals, rounded by round, so that bounds stay bounds; what is as good as round stays as it
// is, for 0.29 × 100 is 28.999…
func rounded(v float64, digits int, round func(float64) float64) string {
	const slack = 1e-6
	scaled := v * math.Pow10(digits)
	if nearest := math.Round(scaled); math.Abs(scaled-nearest) < slack {
		return strconv.FormatFloat(nearest/math.Pow10(digits), 'f', digits, 64)
	}
	return strconv.FormatFloat(round(scaled)/math.Pow10(digits), 'f', digits, 64)
}

// trimmed drops zeros behind the decimal point.
func trimmed(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
