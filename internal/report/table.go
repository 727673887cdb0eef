package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// noteWidth is where notes are broken.
const noteWidth = 80

// Table writes the report for people: a table in three parts, each within 80 columns, and what has to be said of it.
func (r *Report) Table(w io.Writer) error {
	var b strings.Builder
	if r.Empty() {
		b.WriteString(wrap(r.nothing(), "", noteWidth))
	} else {
		fmt.Fprintf(&b, "%s, %s (UTC)\n", clean(r.Name), r.Span)
		for _, part := range blocks {
			b.WriteString("\n" + part.title + "\n")
			r.block(&b, part)
		}
		b.WriteString("\n")
		for _, note := range r.notes() {
			b.WriteString(wrap(note, "  ", noteWidth))
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// block writes a part: the days on the left, figures below one another.
func (r *Report) block(b *strings.Builder, part block) {
	rows := [][]string{{"Date"}}
	for _, c := range part.columns {
		rows[0] = append(rows[0], c.head)
	}
	for _, f := range r.lines() {
		row := []string{lineHead(f)}
		for _, c := range part.columns {
			row = append(row, c.cell(f))
		}
		rows = append(rows, row)
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := ""
		for i, cell := range row {
			blank := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line += cell + blank
			} else {
				line += "  " + blank + cell
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// wrap breaks a text at blanks into lines of at most width, those after the first one indented.
func wrap(s, indent string, width int) string {
	var b strings.Builder
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			b.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	return b.String() + line + "\n"
}
