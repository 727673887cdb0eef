package load

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Record is one request as this client saw it. Where Err is not nil, the rest says how far it came.
type Record struct {
	// Start is the moment in which the request was handed to a connection, on the monotonic clock.
	Start time.Time
	// TTFT runs from Start to the first chunk, Latency to the last one; 0 where none came.
	TTFT, Latency time.Duration
	// ITLs are the gaps between two chunks: one fewer than chunks. A chunk may bring several tokens, and with an empty text one.
	ITLs []time.Duration
	// ChunkTokens is how many tokens each chunk brought, nil where the server did not tell (Request.EachChunk) or did not tell
	// it consistently.
	ChunkTokens []int
	// Elapsed runs from Start to the end of the answer, a little after Latency.
	Elapsed time.Duration
	// PromptTokens and OutputTokens are the server's own counts, 0 where it failed before it told them.
	PromptTokens, OutputTokens int
	// CachedTokens of the prompt came from the prefix cache; few servers tell.
	CachedTokens watchdog.Maybe[int]
	// FinishReason is "length", "stop" or another word of the server.
	FinishReason string
	// Err says why it is a failure; it holds no address's secrets and no prompt of ours.
	Err error
}

// End is the moment in which the answer ended.
func (r *Record) End() time.Time { return r.Start.Add(r.Elapsed) }

// TPOT is the time for each token after the first, in seconds: (Latency − TTFT) ÷ (OutputTokens − 1). It is unknown for a
// failure and for a single token.
func (r *Record) TPOT() watchdog.Maybe[float64] {
	if r.Err != nil || r.OutputTokens < 2 {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known((r.Latency - r.TTFT).Seconds() / float64(r.OutputTokens-1))
}
