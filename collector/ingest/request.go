package ingest

import (
	"context"
	"errors"
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
	// Key makes the row unique: trace id, span id and end of a span, the id of a posted request. The end is there because the
	// ids are not random enough: an engine that runs in one process with its worker seeds Python's random numbers, and
	// so gives its spans the same ids after every start.
	Key string
	// ID is the request's id; several spans may bear the same one (n > 1). Empty where a span did not tell it.
	ID string
	// Response is the id under which the client got its answer: the ID of a span without what vLLM puts around it, and the
	// ID itself for anything else. An application knows this one alone, so its labels belong to ID or to Response.
	Response string
	Model    string
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
	// Key makes the phase unique: its trace and span id. ParentKey is that of the phase around it, empty for the outermost.
	Key, ParentKey string
	Name           string
	// Process is the kind of vLLM's process: engine_core, worker, or empty for the API server.
	Process string
	Began   time.Time
	Seconds float64
	TraceID string
	// ParentName is known only where the parent came in the same message: it ends later than its parts, and often in
	// another process. ParentKey finds it in any case.
	ParentName string
}

// Batch is what one message held.
type Batch struct {
	Requests []Request
	Labels   []Labels
	Phases   []Phase
}

// Sink makes a batch durable. It returns nil once every row is safe on disk, each key once, however often it comes; an
// error means that nothing may be acknowledged. A temporary lack of room is ErrBusy. A message of more than 512 spans comes
// in several batches, one after the other. It must be safe for concurrent use; what it was given is its own.
type Sink interface {
	Add(ctx context.Context, b Batch) error
}

// ErrBusy is what a Sink returns when it has no room at the moment, and will have some soon.
var ErrBusy = errors.New("no room at the moment")
