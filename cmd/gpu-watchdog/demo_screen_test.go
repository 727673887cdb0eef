package main

import (
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
)

func TestScreenKeepsItsProgressBelowTheLines(t *testing.T) {
	var out strings.Builder
	s := &screen{out: &out, terminal: true, width: func() int { return 30 }}
	s.line("head  ", words.Red, "text", words.Cyan)
	s.progress("a bar that is as wide as this terminal or wider")
	s.line("head  ", words.Red, "a text which is broken under its head", words.Cyan)
	s.close("the end")
	const bar = startOfLine + "a bar that is as wide as this" // one short of the width, or the terminal would wrap
	want := "head  text\n" + bar +
		startOfLine + "head  a text which is broken\n      under its head\n" + bar +
		startOfLine + "the end\n"
	if out.String() != want {
		t.Errorf("wrote\n%q, want\n%q", out.String(), want)
	}
}

func TestScreenPaintsOnlyWhereItMay(t *testing.T) {
	for painted, want := range map[bool]string{false: "head text\n", true: "\x1b[31mhead \x1b[0mtext\n"} {
		var out strings.Builder
		s := &screen{out: &out, terminal: true, painted: painted, width: func() int { return 0 }}
		s.line("head ", words.Red, "text", words.Plain)
		if out.String() != want {
			t.Errorf("painted %v: %q, want %q", painted, out.String(), want)
		}
	}
}

func TestScreenElsewhereIsText(t *testing.T) {
	var out strings.Builder
	s := newScreen(&out)
	s.progress("a bar")
	s.line("head ", words.Red, strings.Repeat("long ", 50)+"line", words.Cyan)
	s.prose(strings.Repeat("word ", 40) + "end")
	s.close("")
	if lines := strings.Count(out.String(), "\n"); lines != 3 || strings.ContainsAny(out.String(), "\r\x1b") || strings.Contains(out.String(), "a bar") {
		t.Errorf("%d lines, want the one that is not broken and the two of the paragraph: %q", lines, out.String())
	}
}
