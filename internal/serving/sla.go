package serving

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

// SLA is what was promised.
type SLA struct {
	// TTFT is kept by a request whose first token comes in less than this time.
	TTFT time.Duration
	// TokensPerSecond is the rate of all requests together, while any is served; no request is held to it.
	TokensPerSecond float64
}

// Grade says whether a request kept the SLA.
type Grade uint8

// The grades; the zero value promises nothing.
const (
	// Undecided: its time to the first token is not known, or the server aborted it.
	Undecided Grade = iota
	Met
	Missed
)

func (g Grade) String() string { return [...]string{"undecided", "met", "missed"}[g] }

// Grade judges one request.
func (s SLA) Grade(r ingest.Request) Grade {
	ttft, known := sane(r.TTFT)
	switch {
	case !known || r.Aborted || s.TTFT <= 0:
		return Undecided
	case ttft < s.TTFT.Seconds():
		return Met
	}
	return Missed
}
