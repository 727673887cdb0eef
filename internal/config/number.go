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

// Cores is a CPU load: 1 is one core that is never idle.
type Cores float64

func (c Cores) String() string { return formatNumber(float64(c)) }

// mostCores bounds a load: no machine has that many, so more is a typing error.
const mostCores = 4096

func parseCores(s string) (any, error) {
	f, ok := parseDecimal(s)
	switch {
	case strings.EqualFold(s, off), strings.EqualFold(s, none):
		return nil, wrong(s, "is not a number; did you mean 0?")
	case !ok:
		return nil, wrong(s, "is not a number; write cores, such as 0.5 for half of one")
	case f < 0:
		return nil, wrong(s, "is negative; write cores, such as 0.5 for half of one, or 0 to leave the CPU out")
	case f > mostCores:
		return nil, wrong(s, "is more than %d cores, surely a mistake; write cores, such as 0.5 for half of one", mostCores)
	}
	return Cores(f + 0), nil
}

// mostProbeTokens bounds what may be called a probe.
const mostProbeTokens = 100_000

// parseTokens reads a number of tokens of one request.
func parseTokens(s string) (any, error) {
	n, err := strconv.Atoi(s)
	switch {
	case err != nil:
		return nil, wrong(s, "is no whole number; write tokens, such as 16, or 0 so that every request is work")
	case n < 0:
		return nil, wrong(s, "is negative; write tokens, such as 16, or 0 so that every request is work")
	case n > mostProbeTokens:
		return nil, wrong(s, "is more than %d tokens, which no monitor asks for; write a number such as 16", mostProbeTokens)
	}
	return n, nil
}

// USDPerDay is an amount of US dollars a day.
type USDPerDay float64

func (u USDPerDay) String() string { return formatNumber(float64(u)) }

func parseUSDPerDay(s string) (any, error) {
	const most = 24 * mostUSD
	f, ok := parseDecimal(s)
	switch {
	case !ok && meantAmount(s) != "":
		return nil, wrong(s, "is not a plain number; did you mean %s?", meantAmount(s))
	case !ok:
		return nil, wrong(s, "is not a number; write US dollars a day, such as 20")
	case f < 0:
		return nil, wrong(s, "is negative; write US dollars a day, such as 20, or 0 for no cap")
	case f > most:
		return nil, wrong(s, "is more than %d US dollars a day, surely a mistake; write an amount such as 20", most)
	}
	return USDPerDay(f + 0), nil
}

// meantAmount guesses the number in "$1.50/h" or "1,50"; "" where it cannot.
func meantAmount(s string) string {
	t := strings.ToLower(s)
	for _, unit := range []string{"$", "usd", "/h", "/hour", "/hr", "per hour", "/day", "/d", "per day"} {
		t = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(t), unit), unit)
	}
	t = strings.Replace(strings.TrimSpace(t), ",", ".", 1)
	if f, ok := parseDecimal(t); !ok || f < 0 || f > mostUSD {
		return ""
	}
	return clip(t)
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
