package config

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// longestDuration is a year. It keeps sums and products of durations far from overflow, and more is a typing error.
const longestDuration = 365 * 24 * time.Hour

// bareNumber is a duration without a unit; which unit was meant can be guessed only beside the default.
type bareNumber string

func (b bareNumber) Error() string { return "a bare number has no unit" }

// explain completes the message with the unit that brings the number nearest to the default.
func (b bareNumber) explain(byDefault time.Duration) string {
	if byDefault <= 0 {
		byDefault = time.Minute
	}
	best, distance := "", math.Inf(1)
	for _, unit := range []string{"s", "m", "h"} {
		d, err := time.ParseDuration(string(b) + unit)
		if err != nil || d <= 0 || d > longestDuration {
			continue
		}
		if away := math.Abs(math.Log(d.Seconds() / byDefault.Seconds())); away < distance {
			best, distance = string(b)+unit, away
		}
	}
	if best == "" {
		return "a bare number has no unit; write one with a unit, such as 90s or 10m"
	}
	return fmt.Sprintf("a bare number has no unit; did you mean %s?", best)
}

// parseDuration reads a Go duration; "0" needs no unit.
func parseDuration(s string) (any, error) {
	d, err := time.ParseDuration(s)
	switch {
	case err == nil && (d > longestDuration || d < -longestDuration):
		return nil, wrong(s, "is longer than a year; the longest duration is 8760h")
	case err == nil:
		return d, nil
	}
	if _, ok := parseDecimal(s); ok {
		return nil, bareNumber(s)
	}
	if meant := meantDuration(s); meant != "" {
		return nil, wrong(s, "is not a duration as Go writes them; did you mean %s?", meant)
	}
	return nil, wrong(s, "is not a duration; write a number with a unit, such as 90s, 10m or 1h30m")
}

// spokenUnits are units that people write and Go does not know.
var spokenUnits = []struct {
	names string
	unit  time.Duration
}{
	{"s sec secs second seconds", time.Second},
	{"m min mins minute minutes", time.Minute},
	{"h hr hrs hour hours", time.Hour},
	{"d day days", 24 * time.Hour},
	{"w week weeks", 7 * 24 * time.Hour},
	{"ms msec millisecond milliseconds", time.Millisecond},
}

// meantDuration guesses what "5 min" or "1d" should be; "" where it cannot.
func meantDuration(s string) string {
	digits := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if digits <= 0 {
		return ""
	}
	n, ok := parseDecimal(s[:digits])
	if !ok {
		return ""
	}
	name := strings.ToLower(strings.TrimSpace(s[digits:]))
	for _, u := range spokenUnits {
		for known := range strings.FieldsSeq(u.names) {
			if known == name && n*u.unit.Seconds() <= longestDuration.Seconds() {
				return formatDuration(time.Duration(n * float64(u.unit)))
			}
		}
	}
	return ""
}

// formatDuration prints as Go does, without trailing zero units: 10m, not 10m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
