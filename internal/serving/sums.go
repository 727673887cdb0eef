package serving

import (
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
)

// sums is what was counted in some time: between two readings, in one slot of a ring, or in a window. Two of them add up.
type sums struct {
	// seconds is the time that was observed. tokenSeconds and finishedSeconds leave out what had no such counter, and
	// servingSeconds the time between readings in which no token was generated.
	seconds, tokenSeconds, finishedSeconds, servingSeconds float64
	promptTokens, outputTokens, finished, aborted          float64
	families                                               [vllm.NumFamilies]family
	perToken                                               perToken
	running, kvUsage, kvTokens                             gauge
}

// family is one histogram, and why it is not the whole of it.
type family struct {
	buckets
	refused int
	why     string
}

func (f *family) refuse(why string) {
	f.refused++
	f.why = why
}

// gauge collects readings of a gauge.
type gauge struct{ sum, max, n float64 }

func (g *gauge) read(v float64) { g.add(gauge{v, v, 1}) }

func (g *gauge) add(o gauge) {
	g.sum, g.max, g.n = g.sum+o.sum, max(g.max, o.max), g.n+o.n
}

// clear empties s and keeps its memory.
func (s *sums) clear() {
	kept := s.families
	*s = sums{}
	for f := range kept {
		kept[f].clear()
		s.families[f].buckets = kept[f].buckets
	}
}

func (s *sums) add(o *sums) {
	s.seconds += o.seconds
	s.tokenSeconds += o.tokenSeconds
	s.finishedSeconds += o.finishedSeconds
	s.servingSeconds += o.servingSeconds
	s.addCounts(o)
}

// addBeside adds what another server did in the same time. Nobody knows how their busy moments overlap: they are taken to
// have been one after the other, so that no rate comes out higher than it was.
func (s *sums) addBeside(o *sums) {
	s.seconds = max(s.seconds, o.seconds)
	s.tokenSeconds = max(s.tokenSeconds, o.tokenSeconds)
	s.finishedSeconds = max(s.finishedSeconds, o.finishedSeconds)
	s.servingSeconds = min(s.servingSeconds+o.servingSeconds, s.seconds)
	s.addCounts(o)
}

func (s *sums) addCounts(o *sums) {
	s.promptTokens += o.promptTokens
	s.outputTokens += o.outputTokens
	s.finished += o.finished
	s.aborted += o.aborted
	for f := range o.families {
		from, to := &o.families[f], &s.families[f]
		to.buckets.add(&from.buckets)
		if to.refused += from.refused; from.refused > 0 {
			to.why = from.why
		}
	}
	s.perToken.add(o.perToken)
	s.running.add(o.running)
	s.kvUsage.add(o.kvUsage)
	s.kvTokens.add(o.kvTokens)
}
