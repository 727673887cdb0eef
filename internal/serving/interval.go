package serving

import (
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// otherStart says why a reading is of another start of the server than the one before; empty where it is of the same. Counts
// only grow, so one that is lower, or gone, began anew; sums are no counts (vLLM observes negative times). A start whose every
// count is already beyond the old one, on a page without a start stamp, cannot be told: hence Lost.
func otherStart(before, now *vllm.Serving) string {
	if before.StartedAt != 0 && now.StartedAt != before.StartedAt {
		return "the server has another start stamp"
	}
	for i := range before.Engines {
		old := &before.Engines[i]
		e := engineOf(now, old.ID)
		if e == nil {
			return "an engine is gone"
		}
		for _, c := range counters {
			was, is := c.of(old), c.of(e)
			switch {
			case was.Known && is.Known && is.Value < was.Value:
				return "a counter fell"
			case was.Known && !is.Known && e.Histograms[c.with].State == vllm.HistogramAbsent:
				return "a counter is gone"
			}
		}
		for f := range old.Histograms {
			a, b := &old.Histograms[f], &e.Histograms[f]
			if a.State != vllm.HistogramGood || b.State == vllm.HistogramBroken {
				continue
			}
			if b.State == vllm.HistogramAbsent {
				return "a histogram is gone"
			}
			if !slices.Equal(a.Bounds, b.Bounds) {
				return "a histogram has other buckets"
			}
			for k := range a.Counts {
				if b.Counts[k] < a.Counts[k] {
					return "a bucket fell"
				}
			}
		}
	}
	return ""
}

func engineOf(s *vllm.Serving, id string) *vllm.ServedEngine {
	for i := range s.Engines {
		if s.Engines[i].ID == id {
			return &s.Engines[i]
		}
	}
	return nil
}

// differ fills out with what was counted between two good readings of the same start, elapsed apart, the second one at the
// wall time at. What an engine did not have on the first page it had not counted yet. d is used again and again.
func (d *differ) differ(before, now *vllm.Serving, elapsed time.Duration, at time.Time, out *sums) {
	out.clear()
	out.seconds = elapsed.Seconds()
	uptime := watchdog.Maybe[float64]{}
	if up := float64(at.UnixNano())/1e9 - now.StartedAt; now.StartedAt > 0 && up > 0 {
		uptime = watchdog.Known(up)
	}
	tokens, finished := true, true
	var running, kvUsage, kvTokens gauge
	for i := range now.Engines {
		e := &now.Engines[i]
		old := engineOf(before, e.ID)
		if old == nil {
			old = &nothing
		}
		tokens = generationTokens.grown(old, e, &out.outputTokens) && tokens
		tokens = promptTokens.grown(old, e, &out.promptTokens) && tokens
		finished = finishedRequests.grown(old, e, &out.finished) && finished
		aborted := 0.0
		if counted(e.Aborted) {
			aborted = max(0, e.Aborted.Value-old.Aborted.Value)
		}
		out.aborted += aborted
		d.engine(old, e, aborted, uptime, out)
		if counted(e.Running) {
			running.read(e.Running.Value)
		}
		if e.KVUsage.Known {
			kvUsage.read(e.KVUsage.Value)
		}
		if e.KVUsage.Known && e.KVTokens.Known {
			kvTokens.read(e.KVUsage.Value * e.KVTokens.Value)
		}
	}
	if running.n > 0 {
		out.running.read(running.sum)
	}
	if kvUsage.n > 0 {
		out.kvUsage = gauge{kvUsage.sum / kvUsage.n, kvUsage.max, 1}
	}
	if kvTokens.n > 0 && kvTokens.n == kvUsage.n {
		out.kvTokens.read(kvTokens.sum)
	}
	if finished {
		out.finishedSeconds = out.seconds
	} else {
		out.finished = 0
	}
	if !tokens {
		out.outputTokens, out.promptTokens = 0, 0
		return
	}
	out.tokenSeconds = out.seconds
	if out.outputTokens > 0 || running.sum > 0 {
		out.servingSeconds = out.seconds
	}
}

// nothing is an engine that is not on the page.
var nothing vllm.ServedEngine

// counter is one of an engine's counters, and the histogram that moves with it.
type counter struct {
	of   func(*vllm.ServedEngine) watchdog.Maybe[float64]
	with vllm.Family
}

var (
	generationTokens = counter{func(e *vllm.ServedEngine) watchdog.Maybe[float64] { return e.GenerationTokens }, vllm.TTFT}
	promptTokens     = counter{func(e *vllm.ServedEngine) watchdog.Maybe[float64] { return e.PromptTokens }, vllm.TTFT}
	finishedRequests = counter{func(e *vllm.ServedEngine) watchdog.Maybe[float64] { return e.Finished }, vllm.EndToEnd}
	abortedRequests  = counter{func(e *vllm.ServedEngine) watchdog.Maybe[float64] { return e.Aborted }, vllm.EndToEnd}
	counters         = [...]counter{generationTokens, promptTokens, finishedRequests, abortedRequests}
)

// grown adds how far a counter has grown, and says whether that is known. A counter that is not on the page is 0 where its
// histogram has no observation either: older engines show one only when it is first touched.
func (c counter) grown(before, now *vllm.ServedEngine, to *float64) bool {
	was, wasKnown := c.value(before)
	is, isKnown := c.value(now)
	if !wasKnown || !isKnown || is < was {
		return false
	}
	*to += is - was
	return true
}

func (c counter) value(e *vllm.ServedEngine) (float64, bool) {
	v, h := c.of(e), &e.Histograms[c.with]
	return v.Value, counted(v) || !v.Known && h.State != vllm.HistogramBroken && h.Count() == 0
}

// counted says that a number is known and can be one: beyond 2^53 a float no longer counts by ones, and no server gets there.
func counted(c watchdog.Maybe[float64]) bool { return c.Known && c.Value <= 1<<53 }

// differ holds the differences of one engine's histograms.
type differ struct {
	families [vllm.NumFamilies]buckets
}

func (d *differ) engine(before, now *vllm.ServedEngine, aborted float64, uptime watchdog.Maybe[float64], out *sums) {
	var refused [vllm.NumFamilies]string
	for f := range d.families {
		refused[f] = d.families[f].between(&before.Histograms[f], &now.Histograms[f])
	}
	d.refuse(aborted, uptime, &refused)
	for f := range d.families {
		if refused[f] != "" {
			out.families[f].refuse(refused[f])
			d.families[f].clear()
		}
	}
	for f := range d.families {
		out.families[f].buckets.add(&d.families[f])
	}
	out.perToken.learn(&d.families, now.Histograms[vllm.PerOutputToken].State == vllm.HistogramAbsent)
}

// between makes b what was observed between two readings, and says why that cannot be.
func (b *buckets) between(before, now *vllm.Histogram) string {
	b.clear()
	switch {
	case now.State == vllm.HistogramBroken || before.State == vllm.HistogramBroken:
		return "a histogram on the page contradicts itself"
	case now.State == vllm.HistogramAbsent:
		return ""
	}
	b.bounds, b.counts, b.sum = now.Bounds, append(b.counts, now.Counts...), now.Sum
	if before.State == vllm.HistogramGood {
		for i, n := range before.Counts {
			b.counts[i] -= n
		}
		b.sum -= before.Sum
	}
	for i := 1; i < len(b.counts); i++ {
		// Every bucket grew, but the one above by less: observations went down a bucket.
		if b.counts[i] < b.counts[i-1] {
			return "a histogram on the page contradicts the one before"
		}
	}
	if b.count() > 0 && !b.sumFits(max(before.Sum, -before.Sum, now.Sum, -now.Sum)) {
		return "the sum of what was observed cannot be: some of it was negative, or garbage"
	}
	return ""
}
