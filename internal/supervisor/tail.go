package supervisor

import (
	"bytes"
	"strings"
	"sync"
)

const (
	// tailLines is how much is kept of what the server wrote last, tailBytes how much of each line. So much more of it is read
	// that no secret is cut before it is found.
	tailLines = 20
	tailBytes = 400
	readBytes = 4 << 10
)

// tail keeps the last lines of a program. Its two streams write to it, each with its own unfinished line.
type tail struct {
	secrets []string
	// each gets every line as it ends. It must not wait.
	each func(text string)

	mu    sync.Mutex
	lines []string
}

// unfinished is the line of one stream that has not ended yet.
type unfinished struct{ text []byte }

// take cuts what came into lines.
func (t *tail) take(u *unfinished, p []byte) {
	for len(p) > 0 {
		// A carriage return ends the line of a progress bar.
		i := bytes.IndexAny(p, "\r\n")
		whole := i >= 0
		if !whole {
			i = len(p)
		}
		u.text = append(u.text, p[:min(i, readBytes-len(u.text))]...)
		if !whole {
			return
		}
		t.end(u)
		p = p[i+1:]
	}
}

// end keeps a line.
func (t *tail) end(u *unfinished) {
	text := wellFormed(strings.TrimRight(string(u.text), " "))
	u.text = u.text[:0]
	for _, s := range t.secrets {
		text = strings.ReplaceAll(text, s, "[secret]")
	}
	if text = strings.ToValidUTF8(text[:min(len(text), tailBytes)], ""); text == "" { // the last letter may be cut
		return
	}
	t.keep(text)
	if t.each != nil {
		t.each(text)
	}
}

// keep adds a line.
func (t *tail) keep(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) == tailLines {
		copy(t.lines, t.lines[1:])
		t.lines = t.lines[:tailLines-1]
	}
	t.lines = append(t.lines, text)
}

// last are the lines, oldest first.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string{}, t.lines...)
}

// wellFormed puts a mark for what is no text. It stands where that stood: to leave it out would join what was apart, a secret
// perhaps.
func wellFormed(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
