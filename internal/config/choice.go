package config

import (
	"slices"
	"strings"
)

// Policy names the rule that chooses the idle limit.
type Policy string

// The policies of this version.
const (
	PolicyAuto      Policy = "auto"
	PolicyBreakEven Policy = "breakeven"
	PolicySeed      Policy = "seed"
	PolicyFixed     Policy = "fixed"
)

// InForce is the policy that is played: auto is fixed where somebody chose an IDLE_LIMIT, else breakeven.
func (c Config) InForce() Policy {
	switch {
	case c.Policy != PolicyAuto:
		return c.Policy
	case c.IdleLimit.Set:
		return PolicyFixed
	}
	return PolicyBreakEven
}

// LogLevel is the least severe level that is written.
type LogLevel string

// The levels.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat is how log lines look.
type LogFormat string

// The formats.
const (
	LogJSON    LogFormat = "json"
	LogConsole LogFormat = "console"
)

// choice makes a parser for a closed set of words.
func choice[T ~string](words ...T) func(string) (any, error) {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	return func(s string) (any, error) {
		if slices.Contains(names, s) {
			return T(s), nil
		}
		return nil, wrong(s, "%s", notOneOf(s, names))
	}
}

func notOneOf(s string, names []string) string {
	meant := nearest(s, names)
	for _, n := range names {
		if len(s) >= 3 && (strings.HasPrefix(n, s) || strings.HasPrefix(s, n)) { // warning for warn
			meant = n
		}
	}
	if meant != "" {
		return "is not known to this version; did you mean " + meant + "?"
	}
	return "is not known to this version; write one of " + strings.Join(names, ", ")
}

const emptyPart = "has an empty part between commas; remove the comma that is too many"

// eachOnce reads a list in which nothing is named twice. read gives the value of one part, or says what is wrong with it; thing is
// what a part names.
func eachOnce[T comparable](s, thing string, read func(part string) (T, string)) ([]T, error) {
	var (
		values []T
		bad    flaws
	)
	for _, part := range list(s) {
		value, text := read(part)
		switch {
		case part == "":
			bad = append(bad, flaw{s, emptyPart})
		case text != "":
			bad = append(bad, flaw{part, text})
		case slices.Contains(values, value):
			bad = append(bad, flaw{part, "is named twice; name each " + thing + " once"})
		default:
			values = append(values, value)
		}
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return values, nil
}

// list splits at commas and trims each part. Nobody needs more than maxParts, so the rest is not split any further.
func list(s string) []string {
	const maxParts = 256
	parts := strings.SplitN(s, ",", maxParts)
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
