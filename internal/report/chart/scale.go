package chart

import (
	"math"
	"strconv"
)

// ticksMost is how many ticks a vertical axis has beside its 0.
const ticksMost = 5

// scale is a vertical axis from 0 to top in equal steps.
type scale struct{ step, top float64 }

// upTo is the axis that holds a value, in steps of 1, 2 or 5 times a power of ten; 1 where there is no value above 0.
func upTo(value float64) scale {
	if !(value > 0) || math.IsInf(value, 1) {
		value = 1
	}
	power := math.Pow(10, math.Floor(math.Log10(value/ticksMost)))
	for _, by := range []float64{1, 2, 5, 10} {
		step := by * power
		if n := math.Ceil(value/step - 1e-9); n <= ticksMost {
			return scale{step, n * step}
		}
	}
	return scale{value, value} // not reached: ten times the power holds any value
}

// ticks are the multiples of the step, 0 and the top among them.
func (s scale) ticks() (out []float64) {
	for i := range int(math.Round(s.top/s.step)) + 1 {
		out = append(out, float64(i)*s.step)
	}
	return out
}

// write writes a tick with as many digits as its step needs.
func (s scale) write(v float64) string {
	suffix := ""
	switch {
	case s.top >= 2e6:
		v, s.step, suffix = v/1e6, s.step/1e6, "M"
	case s.top >= 1e4:
		v, s.step, suffix = v/1e3, s.step/1e3, "k"
	case s.top < 1e-3:
		v, s.step, suffix = v*1e6, s.step*1e6, "µ"
	}
	if v == 0 {
		return "0"
	}
	digits := int(max(0, -math.Floor(math.Log10(s.step)+1e-9)))
	return strconv.FormatFloat(v, 'f', digits, 64) + suffix
}
