package coldstart

import (
	"bytes"
	"time"
)

// A sign is a text by which a line of vLLM's log tells a milestone.
type sign struct {
	text  string
	means milestone
	// once: the first such line counts, else the last.
	once bool
}

// signs are of vLLM 0.8 to 0.32. The CPU's runner compiles in its warm-up, and says nothing else of it.
var signs = []sign{
	{"Starting to load model", loading, true},
	{"Loading weights took", weights, false},
	{"Model loading took", weights, false},
	{"torch.compile took", compiled, false},
	{"torch.compile takes", compiled, false},
	{"Warming up done", compiled, false},
	{"Graph capturing finished", captured, false},
	{"init engine (profile", engine, false},
}

// readLine notes what a line tells that was written at that time after exec.
func (m *marks) readLine(line []byte, at time.Duration) {
	for _, s := range signs {
		switch {
		case !bytes.Contains(line, []byte(s.text)):
		case s.once:
			m.first(s.means, at, ByLog)
		default:
			m.last(s.means, at, ByLog)
		}
	}
}
