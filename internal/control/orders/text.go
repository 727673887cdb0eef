package orders

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MostBy and MostWhy bound the texts of a lease, in bytes: what stands in the memory's file, the log and a page.
	MostBy, MostWhy = 64, 160
	// mostShown bounds what of a wrong order is shown back.
	mostShown = 40
	// mostLine and mostLines bound the text of an answer.
	mostLine, mostLines = 1000, 50
)

const cut = "…"

// Clean is a text of somebody else, fit for a log, a terminal and a page: on one line, without control and other characters that
// do not print, and at most so many bytes long (at least 4).
func Clean(text string, most int) string {
	var out strings.Builder
	blank := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			blank = out.Len() > 0
			continue
		}
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			continue
		}
		if out.Len() > most {
			break // cut below; what is endless is not read to its end
		}
		if blank {
			out.WriteByte(' ')
			blank = false
		}
		out.WriteRune(r)
	}
	s := out.String()
	if len(s) <= most {
		return s
	}
	end := most - len(cut)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.TrimRight(s[:end], " ") + cut
}

// CleanLines does the same for a text of several lines, of which it keeps the first fifty.
func CleanLines(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if len(lines) == mostLines {
			break
		}
		lines = append(lines, Clean(line, mostLine))
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
