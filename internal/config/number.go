package config

import (
	"strconv"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// mostUSD bounds every amount, in dollars or dollars per hour: no pod costs that much, so more is a typing error.
const mostUSD = 1000

// parseDecimal reads a plain decimal number: no exponent, no hexadecimal digits, no NaN, no Inf.
func parseDecimal(s string) (float64, bool) {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c == '.':
		case (c == '-' || c == '+') && i == 0:
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil // out of range is an error too
}

// parseBool accepts what Go accepts.
func parseBool(s string) (any, error) {
	b, err := strconv.ParseBool(s)
	if err == nil {
		return b, nil
	}
	switch strings.ToLower(s) {
	case "yes", "on", "y", "enabled":
		return nil, wrong(s, "is neither true nor false; did you mean true?")
	case "no", "off", "n", "disabled":
		return nil, wrong(s, "is neither true nor false; did you mean false?")
	}
	return nil, wrong(s, "is neither true nor false; write one of the two")
}

// parseUSDPerHour reads an hourly price, 0 to mostUSD.
func parseUSDPerHour(s string) (any, error) {
	f, ok := parseDecimal(s)
	switch {
	case !ok:
		if meant := meantAmount(s); meant != "" {
			return nil, wrong(s, "is not a plain number; did you mean %s?", meant)
		}
		return nil, wrong(s, "is not a number; write US dollars per hour, such as 1.50")
	case f < 0:
		return nil, wrong(s, "is negative; write US dollars per hour, such as 1.50")
	case f > mostUSD:
		return nil, wrong(s, "is more than %d US dollars per hour, surely a mistake; write the price of one hour, in dollars, "+
			"such as 1.50", mostUSD)
	}
	return f + 0, nil // -0 becomes 0
}

// parseKnownUSDPerHour is parseUSDPerHour for an amount that may be unknown.
func parseKnownUSDPerHour(s string) (any, error) {
	v, err := parseUSDPerHour(s)
	if err != nil {
		return nil, err
	}
	return watchdog.Known(v.(float64)), nil
}

// TokenRate is a number of tokens a second.
type TokenRate float64

func (r TokenRate) String() string { return formatNumber(float64(r)) }

// mostTokens bounds a rate: no pod serves that much, so more is a typing error.
const mostTokens = 10_000_000

func parseTokenRate(s string) (any, error) {
	f, ok := parseDecimal(s)
	switch {
	case !ok:
		return nil, wrong(s, "is not a number; write tokens a second, such as 300")
	case f <= 0:
		return nil, wrong(s, "is not above 0; write tokens a second, such as 300")
	case f > mostTokens:
		return nil, wrong(s, "is more than %d tokens a second, surely a mistake; write a number such as 300", mostTokens)
	}
	return TokenRate(f), nil
}

// meantAmount guesses the number in "$1.50/h" or "1,50"; "" where it cannot.
func meantAmount(s string) string {
	t := strings.ToLower(s)
	for _, unit := range []string{"$", "usd", "/h", "/hour", "/hr", "per hour"} {
		t = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(t), unit), unit)
	}
	t = strings.Replace(strings.TrimSpace(t), ",", ".", 1)
	if f, ok := parseDecimal(t); !ok || f < 0 || f > mostUSD {
		return ""
	}
	return clip(t)
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
