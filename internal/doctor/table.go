package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Look says how the table looks.
type Look struct {
	// Color uses ANSI colours.
	Color bool
	// Width is the terminal's, in columns; less than 50 is taken as 50.
	Width int
}

// tone is a colour as an ANSI code.
type tone string

const (
	bold   tone = "1"
	dim    tone = "2"
	red    tone = "31"
	green  tone = "32"
	yellow tone = "33"
	blue   tone = "34"
)

const (
	leastWidth = 50
	// nameWidth is the column of the names, which the longest of them fits.
	nameWidth = 11
	// before is what stands to the left of a finding's text: two blanks, the mark, a blank, the name, a blank.
	before = 2 + 1 + 1 + nameWidth + 1
)

var marks = map[Verdict]struct {
	sign string
	tone tone
}{OK: {"✓", green}, Note: {"·", blue}, Warning: {"!", yellow}, Failed: {"✗", red}}

// Table writes the report for people.
func (r Report) Table(w io.Writer, look Look) error {
	t := table{width: max(leastWidth, look.Width), color: look.Color}
	t.line(t.paint(bold, r.title))
	section := ""
	for _, f := range r.Checks {
		if f.section != section {
			section = f.section
			t.line("")
			t.line(t.paint(bold, section))
		}
		t.finding(f)
	}
	t.line("")
	mark := marks[r.Verdict]
	t.line(t.paint(mark.tone, r.Summary()))
	for _, part := range wrap(r.outlook, t.width) {
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
	for i, part := range wrap(f.Detail, t.width-before) {
		if f.Verdict == Failed {
			part = t.paint(red, part)
		}
		if i > 0 {
			t.line(strings.Repeat(" ", before) + part)
			continue
		}
		t.line("  " + t.paint(mark.tone, mark.sign) + " " + t.paint(dim, pad(f.Name, nameWidth)) + " " + part)
	}
	if f.Remedy == "" {
		return
	}
	for i, part := range wrap(f.Remedy, t.width-before-2) {
		lead := "  "
		if i == 0 {
			lead = t.paint(mark.tone, "→") + " "
		}
		t.line(strings.Repeat(" ", before) + lead + part)
	}
}

func (t *table) line(s string) { t.WriteString(strings.TrimRight(s, " ") + "\n") }

func (t *table) paint(c tone, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// wrap breaks a text at blanks into lines of at most width. A longer word has a line of its own and sticks out: broken, an address or
// a path could not be copied.
func wrap(s string, width int) (lines []string) {
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
