package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
)

// screen writes lines for people. On a terminal it keeps a line of progress below them, and paints; elsewhere it writes
// nothing but text. NO_COLOR takes the colours away.
type screen struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	painted  bool
	// width is the terminal's, 0 where lines are not to be broken.
	width func() int
	bar   string
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, width: func() int { return 0 }}
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return s
	}
	s.terminal = true
	s.painted = os.Getenv("NO_COLOR") == ""
	s.width = func() int {
		size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil || size.Col < 40 {
			return 0
		}
		return int(size.Col)
	}
	return s
}

// paint colours text, where this screen has colours.
func (s *screen) paint(c words.Tone, text string) string { return words.Paint(s.painted, c, text) }

const startOfLine = "\r\x1b[K"

// line writes one line above the progress: a head that stands in its place, and a text that is broken under it.
func (s *screen) line(head string, headInk words.Tone, text string, textInk words.Tone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	indent := utf8.RuneCountInString(head)
	for i, part := range wrap(text, s.width()-indent) {
		if i > 0 {
			head = strings.Repeat(" ", indent)
		}
		fmt.Fprintln(s.out, s.paint(headInk, head)+s.paint(textInk, part))
	}
	s.draw()
}

// prose writes a paragraph, in lines that can be read.
func (s *screen) prose(text string) {
	const widest = 108
	width := widest
	if w := s.width(); w > 0 {
		width = min(w, widest)
	}
	s.text(strings.Join(wrap(text, width), "\n"))
}

// text writes lines as they are.
func (s *screen) text(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	fmt.Fprintln(s.out, text)
	s.draw()
}

// progress replaces the line of progress.
func (s *screen) progress(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bar = text
	s.draw()
}

// close takes the progress away, and writes a last line unless it is empty.
func (s *screen) close(last string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
	s.bar = ""
	if last != "" {
		fmt.Fprintln(s.out, last)
	}
}

func (s *screen) clear() {
	if s.terminal && s.bar != "" {
		fmt.Fprint(s.out, startOfLine)
	}
}

func (s *screen) draw() {
	if !s.terminal || s.bar == "" {
		return
	}
	text := s.bar
	if w := s.width(); w > 0 && utf8.RuneCountInString(text) >= w {
		text = string([]rune(text)[:w-1])
	}
	fmt.Fprint(s.out, startOfLine+s.paint(words.Dim, text))
}

// wrap breaks text at spaces into parts of at most width runes; a width too small to be one breaks nothing.
func wrap(text string, width int) []string {
	if width < 20 || utf8.RuneCountInString(text) <= width {
		return []string{text}
	}
	return words.Wrap(text, width)
}

// tap is a writer that tells when nobody reads any more.
type tap struct {
	out    io.Writer
	broken func()
}

func (t tap) Write(b []byte) (int, error) {
	n, err := t.out.Write(b)
	if err != nil {
		t.broken()
	}
	return n, err
}
