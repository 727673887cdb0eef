package ingest

import (
	"context"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Source says where a row of a request came from.
type Source string

// The sources.
const (
	// FromSpan: one of vLLM's own spans.
	FromSpan Source = "span"
	// FromPost: posted by an application.
	FromPost Source = "post"
)

// Request is one finished sequence. Durations are in seconds; what was not told is unknown, never 0.
type Request struct {
	Source Source
	// Key makes the row unique: trace and span id of a span, the id of a posted request.
	Key string
	// ID is the request's id; several spans may bear the same one (n > 1).
	ID    string
	Model string
	// FinishedAt is the end of the request.
	FinishedAt time.Time
	Queue      watchdog.Maybe[float64]
	Prefill    watchdog.Maybe[float64]
	Decode     watchdog.Maybe[float64]
	// Total is end to end; TTFT from arrival to the first token; TPOT = decode ÷ (output tokens − 1), unknown for one token.
	Total, TTFT, TPOT watchdog.Maybe[float64]
	// TPS is output tokens ÷ total as told by whoever posted it, or computed.
	TPS          watchdog.Maybe[float64]
	PromptTokens watchdog.Maybe[int64]
	OutputTokens watchdog.Maybe[int64]
	// Aborted: the server ended it before its first token; its latencies are garbage and were dropped.
	Aborted bool
	Labels  map[string]string
}

// Labels are labels for the request of an id, posted before or after the request itself.
type Labels struct {
	ID     string
	Labels map[string]string
}

// Phase is one phase of a server's start, from its loading spans.
type Phase struct {
	Name string
	// Process is the kind of vLLM's process: engine_core, worker, or empty for the API server.
	Process    string
	Began      time.Time
	Seconds    float64
	TraceID    string
	ParentName string
}

// Batch is what one message held.
type Batch struct {
	Requests []Request
	Labels   []Labels
	Phases   []Phase
}

// Sink makes a batch durable. It returns nil once every row is safe on disk, each key once, however often it comes; an
// error means that nothing may be acknowledged. A temporary lack of room is ErrBusy.
type Sink interface {
	Add(ctx context.Context, b Batch) error
}
