package vllm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/exposition"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// mostCounted is more than any server counts, observes or sums up; beyond it a float no longer counts by ones.
const mostCounted = 1 << 53

// maxBounds is the most buckets that one histogram may have; vLLM's have up to 22.
const maxBounds = 128

// ParseServing reads the histograms of a page into s, in the formats of ParsePage. It errs on what is not a page; then s is
// not Good and says why. A histogram that contradicts itself is Broken and no error.
func ParseServing(body []byte, contentType string, s *Serving) error {
	s.reset()
	page, err := ParsePage(body, contentType)
	if err != nil {
		s.Why = err.Error()
		return err
	}
	var r servingReader
	r.read(body, contentType, page, s)
	if !s.Good {
		return errors.New(s.Why)
	}
	return nil
}

// servingReader reads histograms; it keeps its buffers, and what it has learnt of the series, from one page to the next.
type servingReader struct {
	sample exposition.Sample
	known  knownSeries
	engs   []servedTally
}

// servedTally is what is collected beside one ServedEngine.
type servedTally struct {
	families [NumFamilies + 1]familyTally
	aborted  sum
	blocks   agreed
	tokens   agreed
}

// familyTally is one histogram while it is being read.
type familyTally struct {
	bounds, counts []float64
	series         []int // how many series have contributed to each bucket
	count, sum     float64
	counted        int
	summed         int
	bad            bool
}

// agreed is a number that several series must agree on; 0 is unknown.
type agreed struct {
	value   float64
	dispute bool
}

func (a *agreed) add(v float64) {
	if v == 0 {
		return
	}
	a.dispute = a.dispute || a.value != 0 && a.value != v
	a.value = v
}

func (a *agreed) known() watchdog.Maybe[float64] {
	if a.value == 0 || a.dispute {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(a.value)
}

// read reads the page that ParsePage has already read as page. What it cannot parse makes s not Good.
func (r *servingReader) read(body []byte, contentType string, page Page, s *Serving) {
	if cap(r.engs) > 16 {
		r.engs = nil
	}
	s.reset()
	if err := r.parse(body, contentType, s); err != nil {
		s.reset()
		s.Why = err.Error()
		return
	}
	s.Good, s.StartedAt = true, page.StartedAt
	for i := range s.Engines {
		r.engs[i].into(&s.Engines[i])
	}
	for i := range page.Engines {
		from := &page.Engines[i]
		if at := s.engine(from.ID); at >= 0 {
			e := &s.Engines[at]
			e.PromptTokens, e.GenerationTokens = from.Counters[watchdog.PromptTokens], from.Counters[watchdog.GenerationTokens]
			e.Finished = from.Counters[watchdog.FinishedRequests]
			e.Running, e.KVUsage = from.Running, from.KVUsage
		}
	}
	slices.SortFunc(s.Engines, func(a, b ServedEngine) int { return strings.Compare(a.ID, b.ID) })
}

func (r *servingReader) parse(body []byte, contentType string, s *Serving) error {
	openMetrics, err := isOpenMetrics(body, contentType)
	if err != nil {
		return err
	}
	defer r.sample.Forget()
	r.known.room()
	r.engs = r.engs[:0]
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, lineBreak)
		body = rest
		if !mayServe(line) {
			continue
		}
		if !r.sample.Parse(line, openMetrics) {
			return errors.New("a line of its histograms is not a sample")
		}
		m, seen := r.known.meanings[string(r.sample.Series)]
		if !seen {
			m = meaningOf(&r.sample)
			r.known.keep(r.sample.Series, m)
		}
		if m.part == partNone {
			continue
		}
		at := s.engine(m.engine)
		if at < 0 {
			return fmt.Errorf("the page names more than %d engines", maxEngines)
		}
		r.tally(at).add(m, r.sample.Value)
	}
	return nil
}

// mayServe says that a line may be ours: it has one of our names, or begins with no name at all (one in quotes stands in the
// braces). ParsePage has seen to it that a line is a line.
func mayServe(line []byte) bool {
	if len(line) == 0 || line[0] == '#' {
		return false
	}
	name := line[:exposition.NameEnd(line)]
	_, ours := servedSeries[string(name)]
	return ours || len(name) == 0
}

// tally is what is collected beside the engine at that place of Serving.Engines.
func (r *servingReader) tally(at int) *servedTally {
	for at >= len(r.engs) {
		if len(r.engs) == cap(r.engs) {
			r.engs = append(r.engs, servedTally{})
			continue
		}
		r.engs = r.engs[:len(r.engs)+1]
		r.engs[len(r.engs)-1].reset()
	}
	return &r.engs[at]
}

func (t *servedTally) reset() {
	kept := t.families
	*t = servedTally{}
	for i := range kept {
		t.families[i] = familyTally{bounds: kept[i].bounds[:0], counts: kept[i].counts[:0], series: kept[i].series[:0]}
	}
}

func (t *servedTally) add(m seriesMeaning, v float64) {
	switch m.part {
	case partAborted:
		t.aborted.add(v)
	case partCache:
		t.blocks.add(m.blocks)
		t.tokens.add(m.tokens)
	case partBucket:
		t.families[m.family].bucket(m, v)
	case partSum:
		f := &t.families[m.family]
		f.sum += v
		f.summed++
	case partCount:
		f := &t.families[m.family]
		f.count += v
		f.counted++
		f.bad = f.bad || !possible(v)
	}
}

// bucket adds to the bucket of an upper bound. They come in order, so the search is short.
func (f *familyTally) bucket(m seriesMeaning, v float64) {
	if m.broken || !possible(v) {
		f.bad = true
		return
	}
	at, there := len(f.bounds), false
	if at > 0 && m.le <= f.bounds[at-1] {
		at, there = slices.BinarySearch(f.bounds, m.le)
	}
	if !there {
		if len(f.bounds) == maxBounds {
			f.bad = true
			return
		}
		f.bounds = slices.Insert(f.bounds, at, m.le)
		f.counts = slices.Insert(f.counts, at, 0)
		f.series = slices.Insert(f.series, at, 0)
	}
	f.counts[at] += v
	f.series[at]++
}

// state holds a histogram against itself: every series in it has the same buckets, one of them +Inf, a sum and a count that
// is the last bucket's; no bucket has fewer than the one below; and nothing is beyond all counting.
func (f *familyTally) state() HistogramState {
	if len(f.bounds) == 0 && f.counted == 0 && f.summed == 0 && !f.bad {
		return HistogramAbsent
	}
	last := len(f.bounds) - 1
	if f.bad || last < 0 || !math.IsInf(f.bounds[last], 1) || math.IsInf(f.bounds[0], -1) {
		return HistogramBroken
	}
	for i, n := range f.series {
		if n != f.summed || n != f.counted || i > 0 && f.counts[i] < f.counts[i-1] {
			return HistogramBroken
		}
	}
	if f.counts[last] != f.count || f.count > mostCounted || !(math.Abs(f.sum) <= mostCounted) {
		return HistogramBroken
	}
	return HistogramGood
}

// into closes the books of one engine.
func (t *servedTally) into(e *ServedEngine) {
	for f := range NumFamilies {
		from := &t.families[f]
		if f == InterToken && from.state() == HistogramAbsent {
			from = &t.families[interTokenOld]
		}
		h := &e.Histograms[f]
		if h.State = from.state(); h.State == HistogramGood {
			h.Bounds, h.Counts, h.Sum = append(h.Bounds[:0], from.bounds...), append(h.Counts[:0], from.counts...), from.sum
		}
	}
	e.Aborted, e.KVBlocks, e.KVTokens = t.aborted.known(), t.blocks.known(), t.tokens.known()
}
