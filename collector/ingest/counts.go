package ingest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Counts is what came in since the server was made.
type Counts struct {
	// Rows are the requests and labels that came in readable, whether or not they could be kept; what is sent again counts
	// again. Kept are those that the Sink took, and FailedBatches the batches that it did not take.
	Rows, Kept, FailedBatches uint64
	// Aborted are the requests among them that the server itself had aborted.
	Aborted uint64
	// Phases are loading spans, PassedOver the spans of other kinds, Rejected the spans that could not be read.
	Phases, PassedOver, Rejected uint64
	// Refused are the messages that were answered with an error.
	Refused uint64
}

type counters struct {
	worked                                                         worked
	rows, kept, failed, aborted, phases, passed, rejected, refused atomic.Uint64
}

// Counts is safe for concurrent use.
func (s *Server) Counts() Counts {
	c := &s.counts
	return Counts{
		Rows: c.rows.Load(), Kept: c.kept.Load(), FailedBatches: c.failed.Load(), Aborted: c.aborted.Load(),
		Phases: c.phases.Load(), PassedOver: c.passed.Load(), Rejected: c.rejected.Load(), Refused: c.refused.Load(),
	}
}

// recent is how long ago a request may have ended to tell of work now. Spans come up to five seconds late; what comes later than
// this was held back, or is sent again, perhaps for ever.
const recent = 2 * time.Minute

// worked sums up the rows of requests that had just ended, since it was taken last.
type worked struct {
	mu             sync.Mutex
	rows           uint64
	prompt, output watchdog.Maybe[float64]
}

// add counts those of the rows that ended a moment ago.
func (w *worked) add(rows []Request, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range rows {
		if now.Sub(r.FinishedAt) >= recent {
			continue
		}
		first := w.rows == 0
		w.rows++
		w.prompt, w.output = most(w.prompt, r.PromptTokens, first), most(w.output, r.OutputTokens, first)
	}
}

// most is the larger of two, unknown where either is; first: there is nothing yet to compare with.
func most(a watchdog.Maybe[float64], b watchdog.Maybe[int64], first bool) watchdog.Maybe[float64] {
	if !b.Known || !a.Known && !first {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(max(a.Value, float64(b.Value)))
}

// Activity is how many rows of requests that had just ended have come in since it was called before: somebody worked. prompt and
// output are the most tokens that any of them has, unknown where one of them does not tell. A row is evidence of work even where
// it could not be kept. It is safe for concurrent use.
func (s *Server) Activity() (rows uint64, prompt, output watchdog.Maybe[float64]) {
	w := &s.counts.worked
	w.mu.Lock()
	defer w.mu.Unlock()
	rows, prompt, output = w.rows, w.prompt, w.output
	w.rows, w.prompt, w.output = 0, watchdog.Maybe[float64]{}, watchdog.Maybe[float64]{}
	return rows, prompt, output
}
