package doctor

import (
	"fmt"
	"io"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
)

// Look says how the table looks.
type Look struct {
	// Color uses ANSI colours.
	Color bool
	// Width is the terminal's, in columns; less than 50 is taken as 50.
	Width int
}

const (
	leastWidth = 50
	// nameWidth is the column of the names, which the longest of them fits.
	nameWidth = 11
	// before is what stands to the left of a finding's text: two blanks, the mark, a blank, the name, a blank.
	before = 2 + 1 + 1 + nameWidth + 1
)

var marks = map[Verdict]struct {
	sign string
	tone words.Tone
}{OK: {"✓", words.Green}, Note: {"·", words.Blue}, Warning: {"!", words.Yellow}, Failed: {"✗", words.Red}}

// Table writes the report for people.
func (r Report) Table(w io.Writer, look Look) error {
	t := table{width: max(leastWidth, look.Width), color: look.Color}
	t.line(t.paint(words.Bold, r.title))
	section := ""
	for _, f := range r.Checks {
		if f.section != section {
			section = f.section
			t.line("")
			t.line(t.paint(words.Bold, section))
		}
		t.finding(f)
	}
	t.line("")
	mark := marks[r.Verdict]
	t.line(t.paint(mark.tone, r.Summary()))
	for _, part := range words.Wrap(r.outlook, t.width) {
		t.line(part)
	}
	if _, err := io.WriteString(w, t.String()); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

type table struct {
	strings.Builder
	width int
	color bool
}

func (t *table) finding(f Finding) {
	mark := marks[f.Verdict]
	for i, part := range words.Wrap(f.Detail, t.width-before) {
		if f.Verdict == Failed {
			part = t.paint(words.Red, part)
		}
		if i > 0 {
			t.line(strings.Repeat(" ", before) + part)
			continue
		}
		t.line("  " + t.paint(mark.tone, mark.sign) + " " + t.paint(words.Dim, words.Pad(f.Name, nameWidth)) + " " + part)
	}
	if f.Remedy == "" {
		return
	}
	for i, part := range words.Wrap(f.Remedy, t.width-before-2) {
		lead := "  "
		if i == 0 {
			lead = t.paint(mark.tone, "→") + " "
		}
		t.line(strings.Repeat(" ", before) + lead + part)
	}
}

func (t *table) line(s string) { t.WriteString(strings.TrimRight(s, " ") + "\n") }

func (t *table) paint(c words.Tone, s string) string { return words.Paint(t.color, c, s) }
