// Package words writes figures as people read them.
package words

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Span writes a duration to the second, in two units at most: "2h 5m", "59s", "10d". What is negative is 0s.
func Span(d time.Duration) string {
	s := int64(max(0, d).Round(time.Second) / time.Second)
	units := []struct {
		name string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}
	for i, u := range units[:3] {
		if s < u.size {
			continue
		}
		out := fmt.Sprintf("%d%s", s/u.size, u.name)
		if next := units[i+1]; s%u.size/next.size > 0 {
			out += fmt.Sprintf(" %d%s", s%u.size/next.size, next.name)
		}
		return out
	}
	return fmt.Sprintf("%ds", s)
}

// USD writes dollars to the cent, and what is below ten cents to two digits, which tell it from nothing.
func USD(v float64) string {
	if a := math.Abs(v); a == 0 || a >= 0.0995 {
		return strconv.FormatFloat(v, 'f', 2, 64) + " $"
	}
	return strconv.FormatFloat(v, 'g', 2, 64) + " $"
}
