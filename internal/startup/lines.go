package startup

import (
	"bytes"
	"time"
)

// A sign is a text by which a line of vLLM's log tells a milestone.
type sign struct {
	text  string
	means Milestone
	// once: the first such line counts, else the last.
	once bool
}

// signs are of vLLM 0.8 to 0.32. The CPU's runner compiles in its warm-up, and says nothing else of it.
var signs = []sign{
	{"Starting to load model", Loading, true},
	{"Loading weights took", Weights, false},
	{"Model loading took", Weights, false},
	{"torch.compile took", Compiled, false},
	{"torch.compile takes", Compiled, false},
	{"Warming up done", Compiled, false},
	{"Graph capturing finished", Captured, false},
	{"init engine (profile", Engine, false},
}

// ReadLine notes what a line tells that was written at that time after exec.
func (m *Marks) ReadLine(line []byte, at time.Duration) {
	for _, s := range signs {
		switch {
		case !bytes.Contains(line, []byte(s.text)):
		case s.once:
			m.First(s.means, at, ByLog)
		default:
			m.Last(s.means, at, ByLog)
		}
	}
}
