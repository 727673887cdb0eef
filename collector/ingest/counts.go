package ingest

import (
	"sync/atomic"
	"time"
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
	rows, worked, kept, failed, aborted, phases, passed, rejected, refused atomic.Uint64
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

// justEnded counts the requests that have ended a moment ago.
func justEnded(rows []Request, now time.Time) (n uint64) {
	for _, r := range rows {
		if now.Sub(r.FinishedAt) < recent {
			n++
		}
	}
	return n
}

// Activity is how many rows of requests that had just ended have come in since the server was made: it grows when somebody
// worked. A row is evidence of work even where it could not be kept. It is safe for concurrent use.
func (s *Server) Activity() (rows uint64) { return s.counts.worked.Load() }
