package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// none stands for what is not known.
const none = "–"

// write puts a known value into words.
func write[T any](m watchdog.Maybe[T], words func(T) string) string {
	if !m.Known {
		return none
	}
	return words(m.Value)
}

// count writes a number with its thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// rate writes a number to three digits, and whole where it has more.
func rate(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return count(int64(math.Round(v)))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.0995 || a == 0:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return small(v)
}

// small writes a number below a tenth to two digits, without an exponent.
func small(v float64) string {
	digits := int(1 - math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', min(digits, 12), 64)
}

func percent(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + "%" }

// seconds writes a latency.
func seconds(v float64) string {
	switch {
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64) + " s"
	case v >= 0.9995:
		return strconv.FormatFloat(v, 'f', 2, 64) + " s"
	case v >= 0.00995:
		return strconv.FormatFloat(v*1000, 'f', 0, 64) + " ms"
	}
	return strconv.FormatFloat(v*1000, 'f', 2, 64) + " ms"
}

// usd writes dollars to the cent, and what is below ten cents to two digits.
func usd(v float64) string {
	if a := math.Abs(v); a != 0 && a < 0.0995 {
		return small(v) + " $"
	}
	cents := int64(math.Round(v * 100))
	return fmt.Sprintf("%s.%02d $", count(cents/100), max(cents, -cents)%100)
}

// span writes a duration to the minute, and below an hour to the second.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return none
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(math.Round(d.Seconds())))
	case d < time.Hour:
		d = d.Round(time.Second)
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
}

// clean makes a name fit for a terminal: no control character, no escape, no mark that turns the writing round.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}
