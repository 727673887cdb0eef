package kvcache

import (
	"math"
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Spread is how some times lie, in milliseconds. Percentiles are linearly interpolated, as numpy's are.
type Spread struct {
	Count int     `json:"count"`
	Mean  float64 `json:"mean"`
	// Std is the standard deviation of the sample, unknown for a single one.
	Std watchdog.Maybe[float64] `json:"std"`
	Min float64                 `json:"min"`
	P50 float64                 `json:"p50"`
	P95 float64                 `json:"p95"`
	P99 float64                 `json:"p99"`
	Max float64                 `json:"max"`
}

// spreadOf is nil where there is nothing. It does not change what it is given.
func spreadOf(values []float64) *Spread {
	if len(values) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(values))
	s := &Spread{
		Count: len(sorted), Min: sorted[0], Max: sorted[len(sorted)-1],
		P50: serving.Percentile(sorted, .50).Value, P95: serving.Percentile(sorted, .95).Value, P99: serving.Percentile(sorted, .99).Value,
	}
	s.Mean = min(max(mean(sorted), s.Min), s.Max) // a sum may round beyond its parts
	if len(sorted) > 1 {
		squares := 0.0
		for _, v := range sorted {
			squares += (v - s.Mean) * (v - s.Mean)
		}
		s.Std = watchdog.Known(math.Sqrt(squares / float64(len(sorted)-1)))
	}
	return s
}

// tokenGaps is the time before each token but those of the first chunk, in milliseconds: tokens that come in one chunk share
// the gap before it, and a chunk without one leaves its gap to the next. It is nil where the server did not tell the tokens of
// each chunk.
func tokenGaps(r *load.Record) (gaps []float64) {
	if len(r.ChunkTokens) != len(r.ITLs)+1 {
		return nil
	}
	waited := 0.0
	for i, gap := range r.ITLs {
		waited += ms(gap)
		n := r.ChunkTokens[i+1]
		for range n {
			gaps = append(gaps, waited/float64(n))
		}
		if n > 0 {
			waited = 0
		}
	}
	return gaps
}
