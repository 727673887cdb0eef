package supervisor

import (
	"bytes"
	"strings"
	"sync"
	"unicode/utf8"
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
	secrets [][]byte
	// each gets every line as it ends. It must not wait, nor keep it.
	each func(text []byte)

	mu sync.Mutex
	// lines is a ring, and written how many have been put in.
	lines   [tailLines][]byte
	written int
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
	text := bytes.TrimRight(u.text, " ")
	u.text = u.text[:0] // text is read before more is added
	// A server may write a line for each request of its life: nothing is allocated for a plain one.
	if !utf8.Valid(text) {
		text = []byte(wellFormed(string(text)))
	}
	for _, s := range t.secrets {
		if bytes.Contains(text, s) {
			text = bytes.ReplaceAll(text, s, []byte("[secret]"))
		}
	}
	if len(text) > tailBytes {
		text = text[:tailBytes]
		for len(text) > 0 && !utf8.Valid(text[max(0, len(text)-utf8.UTFMax):]) { // the last letter may be cut
			text = text[:len(text)-1]
		}
	}
	if len(text) == 0 {
		return
	}
	t.keep(text)
	if t.each != nil {
		t.each(text)
	}
}

// keep adds a line.
func (t *tail) keep(text []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := &t.lines[t.written%tailLines]
	*line = append((*line)[:0], text...)
	t.written++
}

// last are the lines, oldest first.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]string, 0, tailLines)
	for i := max(0, t.written-tailLines); i < t.written; i++ {
		out = append(out, string(t.lines[i%tailLines]))
	}
	return out
}

// wellFormed puts a mark for what is no text. It stands where that stood: to leave it out would join what was apart, a secret
// perhaps.
func wellFormed(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
