package panel

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const unknown = "unknown"

// clean makes a text fit for a terminal: no control character, no escape, no mark that turns the writing round.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return '?'
		}
		return r
	}, s)
}

// clip cuts a text to width columns.
func clip(s string, width int) string {
	if runes := []rune(s); len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return s
}

func text(m watchdog.Maybe[string]) string { return clean(m.Or(unknown)) }

// write puts a known value into words.
func write[T any](m watchdog.Maybe[T], words func(T) string) string {
	if !m.Known {
		return unknown
	}
	return words(m.Value)
}

// mostSpan is three centuries, the longest that a duration holds, nearly; in seconds.
const mostSpan = 9e9

// span writes a duration of so many seconds.
func span(seconds float64) string {
	return words.Span(time.Duration(max(0, min(seconds, mostSpan)) * float64(time.Second)))
}

func since(at, now time.Time) string { return span(now.Sub(at).Seconds()) }

// percent drops the digits that nobody can read off a GPU.
func percent(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) + " %" }

// clock writes an instant, with its day where that is not today's.
func clock(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04:05 UTC")
	}
	return at.Format("2006-01-02 15:04:05 UTC")
}

// meaning is what a reason's code means, for the case that no detail comes with it.
func meaning(code string) string {
	for _, m := range watchdog.ReasonMeaning {
		if string(m.Code) == code {
			return m.Meaning
		}
	}
	return ""
}
