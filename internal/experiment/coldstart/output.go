package coldstart

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
)

const (
	// longestLine bounds what is kept of an unfinished line, in bytes; signs stand near the beginning.
	longestLine = 16 << 10
	// tailLines is how many lines are shown of a server that failed.
	tailLines = 20
)

// output takes what a server writes, hands it on to a file, and notes the milestones that its lines tell. A line is dated by
// the moment in which its beginning came.
type output struct {
	to    io.Writer
	since func() time.Duration

	mu     sync.Mutex
	marks  startup.Marks
	line   []byte
	lineAt time.Duration
	tail   []string
	failed error // of the file; the start goes on without it
}

// Write never fails: a full disk for logs must not break the pipe that the server writes to.
func (o *output) Write(p []byte) (int, error) {
	at := o.since()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		_, o.failed = o.to.Write(p)
	}
	if len(p) > 0 {
		o.marks.First(startup.FirstLine, at, startup.ByLog)
	}
	for rest := p; len(rest) > 0; {
		if len(o.line) == 0 {
			o.lineAt = at
		}
		// A carriage return ends the line of a progress bar.
		i := bytes.IndexAny(rest, "\r\n")
		if i < 0 {
			o.line = append(o.line, rest[:min(len(rest), max(0, longestLine-len(o.line)))]...)
			break
		}
		o.line = append(o.line, rest[:min(i, max(0, longestLine-len(o.line)))]...)
		o.end()
		rest = rest[i+1:]
	}
	return len(p), nil
}

// end takes the line that is complete.
func (o *output) end() {
	if len(o.line) > 0 {
		o.marks.ReadLine(o.line, o.lineAt)
		o.tail = append(o.tail, string(o.line[:min(len(o.line), 512)]))
		o.tail = o.tail[max(0, len(o.tail)-tailLines):]
	}
	o.line = o.line[:0]
}

// seen is what the lines have told so far.
func (o *output) seen() startup.Marks {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.marks
}

// lastWords are the last lines, without a key that they may repeat.
func (o *output) lastWords(key string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	text := strings.ToValidUTF8(strings.Join(o.tail, "\n"), "?")
	if key != "" {
		text = strings.ReplaceAll(text, key, "[secret]")
	}
	return text
}
