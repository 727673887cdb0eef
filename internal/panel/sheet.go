package panel

import (
	"strings"
	"unicode/utf8"
)

// tone is the colour of a text, as an ANSI code.
type tone string

const (
	normal tone = ""
	bold   tone = "1"
	dim    tone = "2"
	red    tone = "31"
	green  tone = "32"
	yellow tone = "33"
	blue   tone = "34"
)

const (
	// keyWidth is the column of the names on the left.
	keyWidth = 14
	// leastWidth is the narrowest sheet that is still laid out.
	leastWidth = 40
)

// sheet is what is written so far.
type sheet struct {
	strings.Builder
	width int
	color bool
}

// paint colours s, where there is colour.
func (p *sheet) paint(t tone, s string) string {
	if !p.color || t == normal || s == "" {
		return s
	}
	return "\x1b[" + string(t) + "m" + s + "\x1b[0m"
}

func (p *sheet) line(s string) { p.WriteString(strings.TrimRight(s, " ") + "\n") }

func (p *sheet) head(title string) {
	p.line("")
	p.line(p.paint(bold, title))
}

// row writes a name and what is to be said of it. lead is the part of the text that is coloured; the rest follows it, and
// is broken at blanks to fit.
func (p *sheet) row(key string, t tone, lead, rest string) {
	whole := lead
	if rest != "" {
		whole += " " + rest
	}
	for i, part := range wrap(strings.TrimSpace(whole), p.width-keyWidth-2) {
		name := ""
		if i == 0 {
			name = key
			if after, ok := strings.CutPrefix(part, lead); ok {
				part = p.paint(t, lead) + after
			}
		}
		p.line("  " + p.paint(dim, pad(name, keyWidth)) + part)
	}
}

// pad fills s up to width, and leaves one blank behind it at least.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(1, width-utf8.RuneCountInString(s)))
}

// wrap breaks a text at blanks into lines of at most width; a word that is longer is broken where it must.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for utf8.RuneCountInString(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			runes := []rune(word)
			lines, word = append(lines, string(runes[:width])), string(runes[width:])
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}
