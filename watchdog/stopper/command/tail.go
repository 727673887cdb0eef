package command

import (
	"bytes"
	"strings"
)

// maxTail bounds what is kept of a program's output, in bytes.
const maxTail = 16 << 10

// tail keeps the last maxTail bytes and forgets the others, so that a talkative program neither fills memory nor blocks. Only the
// one goroutine of exec that copies both streams writes to it.
type tail struct {
	kept []byte
	lost bool
}

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if n > maxTail {
		p, t.lost = p[n-maxTail:], true
	}
	if over := len(t.kept) + len(p) - maxTail; over > 0 {
		t.kept, t.lost = append(t.kept[:0], t.kept[over:]...), true
	}
	t.kept = append(t.kept, p...)
	return n, nil
}

// last is the last line that is not blank. Of a line whose beginning is lost nothing is shown: it may begin within a key, which
// nobody would recognise.
func (t *tail) last() string {
	text := bytes.TrimSpace(t.kept)
	i := bytes.LastIndexAny(text, "\r\n")
	if i < 0 && t.lost {
		return "(a line too long to be shown)"
	}
	return strings.TrimSpace(string(text[i+1:]))
}
