package kvcache

import (
	"fmt"
	"math"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Report is what came out. Times are in milliseconds; null is unknown.
type Report struct {
	URL   string `json:"url"`
	Model string `json:"model"`
	// Version is the server's own; empty where it does not tell.
	Version      string `json:"version,omitempty"`
	PromptTokens int    `json:"prompt_tokens"`
	Repeats      int    `json:"repeats"`
	// Cache is nil where the server does not tell.
	Cache *Cache `json:"kv_cache"`
	// GPUMemoryBefore is what was in use before the first probe, in bytes over all GPUs.
	GPUMemoryBefore watchdog.Maybe[float64] `json:"gpu_memory_before_bytes"`
	Lengths         []Length                `json:"lengths"`
	// Fit and Verdict are nil where there are too few samples.
	Fit     *Fit     `json:"fit"`
	Verdict *Verdict `json:"verdict"`
	Samples []Sample `json:"samples"`
	Notes   []string `json:"notes,omitempty"`
	// EndedEarly says why there are fewer samples than asked for; empty where there are not.
	EndedEarly string `json:"ended_early,omitempty"`

	// peaks are of the probes, in the order of the lengths; there may be fewer.
	peaks []peak
}

// Length is what is known of one output length.
type Length struct {
	OutputTokens int `json:"output_tokens"`
	// Samples are the requests that count, Failed those that do not.
	Samples int `json:"samples"`
	Failed  int `json:"failed"`
	// TPOT, Decode and TTFT are over requests; nil without one.
	TPOT   *Spread `json:"tpot_ms"`
	Decode *Spread `json:"decode_ms"`
	TTFT   *Spread `json:"ttft_ms"`
	// BetweenChunks is the gap between two chunks of a stream, BetweenTokens the time before each token; the latter is nil
	// where the server does not tell how many tokens a chunk brought.
	BetweenChunks *Spread `json:"tbt_chunk_ms"`
	BetweenTokens *Spread `json:"tbt_token_ms"`
	// KVBlocks and KVBytes are the most of the KV cache that was seen in use by one request of this length.
	KVBlocks watchdog.Maybe[float64] `json:"kv_blocks_peak"`
	KVBytes  watchdog.Maybe[float64] `json:"kv_bytes_peak"`
	// KVNeeded is how many blocks hold its prompt and its output, by the size of a block.
	KVNeeded watchdog.Maybe[float64] `json:"kv_blocks_needed"`
	// GPUMemory is the most that NVML said was in use meanwhile, in bytes over all GPUs. It does not move with the length:
	// vLLM takes the memory of the whole cache when it starts.
	GPUMemory watchdog.Maybe[float64] `json:"gpu_memory_peak_bytes"`
}

// conclude fills in what follows from the samples.
func (r *Report) conclude(lengths []int, tolerance float64) {
	var x, y, means []float64
	var measured []int
	for i, length := range lengths {
		l := Length{OutputTokens: length}
		var tpot, decode, ttft, chunks, tokens []float64
		told := true
		for _, s := range r.Samples {
			if s.Length != length {
				continue
			}
			if s.Error != "" {
				l.Failed++
				continue
			}
			l.Samples++
			tpot, decode, ttft = append(tpot, s.TPOT), append(decode, s.Decode), append(ttft, s.TTFT)
			chunks, tokens = append(chunks, s.chunkGaps...), append(tokens, s.tokenGaps...)
			told = told && s.tokenGaps != nil
			x, y = append(x, float64(length)), append(y, s.TPOT)
		}
		l.TPOT, l.Decode, l.TTFT, l.BetweenChunks = spreadOf(tpot), spreadOf(decode), spreadOf(ttft), spreadOf(chunks)
		if told {
			l.BetweenTokens = spreadOf(tokens)
		}
		if l.TPOT != nil {
			means = append(means, l.TPOT.Mean)
			measured = append(measured, length)
		}
		if i < len(r.peaks) {
			l.take(r.peaks[i], r.Cache)
		}
		r.Lengths = append(r.Lengths, l)
	}
	f, ok := lineThrough(x, y)
	if !ok {
		r.Notes = append(r.Notes, fmt.Sprintf("%d measured requests of %d lengths are too few for a slope with an interval", len(x), len(measured)))
		return
	}
	v := judge(f, means, tolerance, measured[0], measured[len(measured)-1])
	r.Fit, r.Verdict = &f, &v
}

func (l *Length) take(p peak, c *Cache) {
	l.GPUMemory, l.KVNeeded = p.gpuMemory, p.needed
	if !p.blocks.Known || p.blocks.Value <= 0 {
		return // too short a request for a look
	}
	l.KVBlocks = watchdog.Known(math.Round(p.blocks.Value))
	if c != nil && c.BytesPerBlock.Known {
		l.KVBytes = watchdog.Known(math.Round(l.KVBlocks.Value * c.BytesPerBlock.Value))
	}
}
