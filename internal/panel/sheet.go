package panel

import (
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
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

func (p *sheet) paint(t words.Tone, s string) string { return words.Paint(p.color, t, s) }

func (p *sheet) line(s string) { p.WriteString(strings.TrimRight(s, " ") + "\n") }

func (p *sheet) head(title string) {
	p.line("")
	p.line(p.paint(words.Bold, title))
}

// row writes a name and what is to be said of it. lead is the part of the text that is coloured; the rest follows it, and
// is broken at blanks to fit.
func (p *sheet) row(key string, t words.Tone, lead, rest string) {
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
		p.line("  " + p.paint(words.Dim, pad(name, keyWidth)) + part)
	}
}

// pad fills s up to width, and leaves one blank behind it at least.
func pad(s string, width int) string { return words.Pad(s+" ", width) }

// wrap is words.Wrap, but a word that is longer than a line is broken where it must: whoever wrote it may not be one of us.
func wrap(s string, width int) []string {
	var parts []string
	for _, word := range strings.Fields(s) {
		runes := []rune(word)
		for ; len(runes) > width; runes = runes[width:] {
			parts = append(parts, string(runes[:width]))
		}
		parts = append(parts, string(runes))
	}
	return words.Wrap(strings.Join(parts, " "), width)
}
