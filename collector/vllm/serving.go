package vllm

import "github.com/gpu-watchdog/gpu-watchdog/watchdog"

// Serving is what one reading of a server says of how requests were served: histograms and counters since its engines
// began, and gauges of this moment. It is read only when asked for (Client.ReadServing), and may be read into again and
// again: it keeps its memory.
type Serving struct {
	// Good: the page came whole and was read. Where it is false nothing else counts, and Why says what was wrong.
	Good bool
	Why  string
	// Gone: nobody listens any more, so whatever is read next is another start of the server.
	Gone bool
	// StartedAt is Page.StartedAt.
	StartedAt float64
	// Engines, sorted by ID.
	Engines []ServedEngine
}

// ServedEngine is one engine's part. Series that differ in the model, or in a label that we do not know, are summed.
type ServedEngine struct {
	ID string
	// Histograms are indexed by Family.
	Histograms [NumFamilies]Histogram
	// PromptTokens and GenerationTokens count tokens, Finished finished requests, and Aborted those of them that the
	// server itself aborted (requests that clients cut are counted nowhere).
	PromptTokens, GenerationTokens, Finished, Aborted watchdog.Maybe[float64]
	// Running is the number of requests in the batch, KVUsage the share of KV blocks in use, 0 to 1.
	Running, KVUsage watchdog.Maybe[float64]
	// KVBlocks is how many blocks the KV cache has, KVTokens how many tokens they hold.
	KVBlocks, KVTokens watchdog.Maybe[float64]
}

// Family names a histogram of vLLM's page.
type Family uint8

// The families. All but OutputTokens are in seconds.
const (
	// TTFT: arrival at the API server to the first token; observed at the first token.
	TTFT Family = iota
	// InterToken: one observation for each step of a request after its first token.
	InterToken
	// PerOutputToken: decode ÷ (tokens − 1) of a finished request, and 0 for one of a single token.
	PerOutputToken
	// EndToEnd, Queue, Prefill and Decode are observed when a request finishes.
	EndToEnd
	Queue
	Prefill
	Decode
	// OutputTokens is the length of a finished request's output, in tokens.
	OutputTokens
	NumFamilies
)

// Histogram is one family of one engine.
type Histogram struct {
	State HistogramState
	// Bounds are the upper bounds in ascending order, as the page has them; the last is +Inf. Counts[i] observations
	// were at most Bounds[i]; the last is the number of all.
	Bounds, Counts []float64
	// Sum is the sum of all observations. It is not monotonic: vLLM observes negative queue times. It never tells a reset.
	Sum float64
}

// HistogramState says whether a histogram can be used.
type HistogramState uint8

const (
	// HistogramAbsent: it is not on the page. Older engines show a family only once it has an observation.
	HistogramAbsent HistogramState = iota
	// HistogramGood: whole and consistent.
	HistogramGood
	// HistogramBroken: it contradicts itself, or has a value that cannot be.
	HistogramBroken
)

// Count is the number of observations.
func (h *Histogram) Count() float64 {
	if len(h.Counts) == 0 {
		return 0
	}
	return h.Counts[len(h.Counts)-1]
}

// reset empties s for another reading.
func (s *Serving) reset() {
	*s = Serving{Engines: s.Engines[:0]}
}

// engine finds or makes the engine of an id and says where it is; -1 where there would be too many.
func (s *Serving) engine(id string) int {
	for i := range s.Engines {
		if s.Engines[i].ID == id {
			return i
		}
	}
	at := len(s.Engines)
	if at == maxEngines {
		return -1
	}
	if at == cap(s.Engines) {
		s.Engines = append(s.Engines, ServedEngine{})
	} else {
		s.Engines = s.Engines[:at+1]
	}
	e := &s.Engines[at]
	kept := e.Histograms
	*e = ServedEngine{ID: id}
	for f := range kept {
		e.Histograms[f].Bounds, e.Histograms[f].Counts = kept[f].Bounds[:0], kept[f].Counts[:0]
	}
	return at
}
