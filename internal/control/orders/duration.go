package orders

import (
	"strings"
	"time"
)

// Most is the longest that a hold or a postponement may reach ahead: whoever forgets one pays for a day, not for a month.
// Least is the shortest that means anything.
const (
	Most  = 24 * time.Hour
	Least = time.Second
)

// ParseFor reads the duration of a hold or a postponement as a person writes it: a Go duration from Least to Most. Its error is
// WrongUse, and says what to write instead.
func ParseFor(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err == nil && text != "0":
		return d, CheckFor(d)
	case isNumber(text):
		return 0, WrongUse("the duration %s has no unit: write %sm for minutes or %sh for hours", Clean(text, mostShown), Clean(text, mostShown), Clean(text, mostShown))
	}
	return 0, WrongUse("%q is no duration: write a number with a unit, such as 90s, 30m or 8h", Clean(text, mostShown))
}

// CheckFor says whether a hold or a postponement may be that long; its error is WrongUse.
func CheckFor(d time.Duration) error {
	switch {
	case d < Least:
		return WrongUse("the duration %s is too short: the shortest is %s", d, Least)
	case d > Most:
		return WrongUse("the duration %s is too long: the longest is 24h, and it can be renewed before it ends", d)
	}
	return nil
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789.") == "" }
