package words

import (
	"strings"
	"unicode/utf8"
)

// Tone is the colour of a text on a terminal, as an ANSI code.
type Tone string

// The tones that this program writes in.
const (
	Plain  Tone = ""
	Bold   Tone = "1"
	Dim    Tone = "2"
	Red    Tone = "31"
	Green  Tone = "32"
	Yellow Tone = "33"
	Blue   Tone = "34"
	Cyan   Tone = "36"
)

// Paint colours s, where there is colour.
func Paint(color bool, t Tone, s string) string {
	if !color || t == Plain || s == "" {
		return s
	}
	return "\x1b[" + string(t) + "m" + s + "\x1b[0m"
}

// Pad fills s up to width.
func Pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// Wrap breaks a text at blanks into lines of at most width, one line at least. A longer word has a line of its own and sticks out:
// broken, an address or a path could not be copied.
func Wrap(s string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
