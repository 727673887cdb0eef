package serving

import (
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
)

// Each row puts garbage into a second reading: it costs the families that it spoils, and nothing else.
func TestGarbageIsRefused(t *testing.T) {
	observe := func(h *vllm.Histogram, v float64) {
		for i, bound := range h.Bounds {
			if v <= bound {
				h.Counts[i]++
			}
		}
		h.Sum += v
	}
	parts := []vllm.Family{vllm.Queue, vllm.Prefill, vllm.Decode}
	finished := append([]vllm.Family{vllm.EndToEnd, vllm.PerOutputToken}, parts...)
	for _, c := range []struct {
		name  string
		spoil func(*vllm.Serving, *vllm.ServedEngine)
		costs []vllm.Family
	}{
		{"nothing", func(*vllm.Serving, *vllm.ServedEngine) {}, nil},
		{"a negative sum", func(_ *vllm.Serving, e *vllm.ServedEngine) { observe(&e.Histograms[vllm.Queue], -48) }, []vllm.Family{vllm.Queue}},
		{"a sum beyond the buckets", func(_ *vllm.Serving, e *vllm.ServedEngine) { e.Histograms[vllm.InterToken].Sum += 100 }, []vllm.Family{vllm.InterToken}},
		{"a sum of means beyond the buckets", func(_ *vllm.Serving, e *vllm.ServedEngine) { e.Histograms[vllm.PerOutputToken].Sum += 1e4 }, []vllm.Family{vllm.PerOutputToken}},
		{"longer than the server has run", func(_ *vllm.Serving, e *vllm.ServedEngine) { observe(&e.Histograms[vllm.TTFT], 2934) }, []vllm.Family{vllm.TTFT}},
		{"longer than the request", func(s *vllm.Serving, e *vllm.ServedEngine) {
			observe(&e.Histograms[vllm.Prefill], 30)
			observe(&e.Histograms[vllm.EndToEnd], 1)
		}, []vllm.Family{vllm.Prefill}},
		{"requests that the server aborted", func(_ *vllm.Serving, e *vllm.ServedEngine) { e.Aborted = known(1) }, append(finished, vllm.TTFT)},
		{"a broken histogram", func(_ *vllm.Serving, e *vllm.ServedEngine) {
			e.Histograms[vllm.TTFT] = vllm.Histogram{State: vllm.HistogramBroken}
		}, []vllm.Family{vllm.TTFT}},
		{"nothing to hold the parts against", func(_ *vllm.Serving, e *vllm.ServedEngine) {
			e.Histograms[vllm.EndToEnd] = vllm.Histogram{State: vllm.HistogramBroken}
		}, append(parts, vllm.EndToEnd)},
	} {
		t.Run(c.name, func(t *testing.T) {
			tracker := NewTracker(Now)
			tracker.Read("a", start, reading(5))
			second := reading(9)
			c.spoil(second, &second.Engines[0])
			if why := tracker.Read("a", after(15), second); why != "" {
				t.Fatal(why)
			}
			w := tracker.Window(Now, after(15))
			spoilt := map[vllm.Family]bool{}
			for _, f := range c.costs {
				spoilt[f] = true
			}
			for f := range vllm.NumFamilies {
				got := w.Figure(f)
				if spoilt[f] && (got.Count != 0 || got.Mean.Known || got.Refused != 1 || !strings.HasPrefix(got.Note, "left out: ") || len(got.Note) < 30) {
					t.Errorf("family %d is spoilt, and says %+v", f, got)
				}
				if !spoilt[f] && (got.Count == 0 || !got.Mean.Known || got.Refused != 0) {
					t.Errorf("family %d is not spoilt, and says %+v", f, got)
				}
			}
			if w.Requests() != known(4) || w.OutputTokens() != known(44) {
				t.Errorf("counters: %+v requests, %+v tokens", w.Requests(), w.OutputTokens())
			}
			// The next interval is as good as any.
			third := reading(12)
			for f := range third.Engines[0].Histograms {
				h, spoiling := &third.Engines[0].Histograms[f], &second.Engines[0].Histograms[f]
				if spoiling.State == vllm.HistogramGood {
					extra := reading(9).Engines[0].Histograms[f]
					h.Sum += spoiling.Sum - extra.Sum
					for i := range h.Counts {
						h.Counts[i] += spoiling.Counts[i] - extra.Counts[i]
					}
				}
			}
			third.Engines[0].Aborted = second.Engines[0].Aborted
			tracker.Read("a", after(30), third)
			w = tracker.Window(Now, after(30))
			for f := range vllm.NumFamilies {
				if broken := second.Engines[0].Histograms[f].State == vllm.HistogramBroken; !broken && !(f >= vllm.Queue && f <= vllm.Decode) && w.Figure(f).Count == 0 {
					t.Errorf("family %d has not recovered: %+v", f, w.Figure(f))
				}
			}
		})
	}
}
