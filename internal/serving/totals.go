package serving

import (
	"slices"
	"sort"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

// Upper bounds of our own histograms, in seconds. Those of TTFT get one more at the SLA; those of the time per output token go
// below vLLM's lowest, 10 ms, where most of it happens on a GPU.
var (
	ttftBounds     = []float64{.01, .025, .05, .1, .25, .5, .75, 1, 1.5, 2.5, 5, 10, 20, 40, 80, 160}
	perTokenBounds = []float64{.001, .002, .003, .004, .005, .0075, .01, .015, .02, .03, .05, .075, .1, .2, .5, 1}
)

// Totals is what was counted since the watchdog began.
type Totals struct {
	// Graded counts rows by their grade.
	Graded [3]uint64
	// TTFT has a bound at the SLA; a row that equals it is in that bucket, and missed it.
	TTFT, PerOutputToken Cumulative
}

// Cumulative is a histogram as Prometheus has it: Buckets[bound] observations were at most bound, Count in all.
type Cumulative struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}

// totals counts rows.
type totals struct {
	graded         [3]uint64
	ttft, perToken tally
}

// tally is a histogram that counts; counts are by bucket, the last beyond all bounds.
type tally struct {
	bounds []float64
	counts []uint64
	sum    float64
}

func newTotals(s SLA) totals {
	bounds := slices.Clone(ttftBounds)
	if limit := s.TTFT.Seconds(); limit > 0 {
		bounds = append(bounds, limit)
		slices.Sort(bounds)
		bounds = slices.Compact(bounds)
	}
	return totals{ttft: newTally(bounds), perToken: newTally(perTokenBounds)}
}

func newTally(bounds []float64) tally {
	return tally{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

func (t *tally) observe(v float64) {
	t.counts[sort.SearchFloat64s(t.bounds, v)]++
	t.sum += v
}

func (t *tally) cumulative() Cumulative {
	c := Cumulative{Sum: t.sum, Buckets: make(map[float64]uint64, len(t.bounds))}
	for i, n := range t.counts {
		c.Count += n
		if i < len(t.bounds) {
			c.Buckets[t.bounds[i]] = c.Count
		}
	}
	return c
}

func (t *totals) add(r ingest.Request, s SLA) {
	t.graded[s.Grade(r)]++
	if r.Aborted {
		return
	}
	if v, known := sane(r.TTFT); known {
		t.ttft.observe(v)
	}
	if v, known := sane(r.TPOT); known {
		t.perToken.observe(v)
	}
}
