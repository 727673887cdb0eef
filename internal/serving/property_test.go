package serving

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Over thousands of random loads, what a window prints holds the truth: every quantile lies within its bounds, the share that
// kept an SLA within its range, counts and means are equal, restarts take away their interval and no more, and garbage
// takes away its family and no more.
func TestWindowsHoldTheTruth(t *testing.T) {
	loads := 2000
	if testing.Short() {
		loads = 400
	}
	checked := map[string]int{}
	for seed := range uint64(loads) {
		tracker := NewTracker(time.Hour)
		want := randomLoad(t, seed, tracker)
		w := tracker.Window(time.Hour, epochOf(400))
		random := rand.New(rand.NewPCG(seed, 5))
		for f := range vllm.NumFamilies {
			got := w.Figure(f)
			if f == vllm.PerOutputToken && want.singlesUncounted {
				if got.Note == "" {
					t.Errorf("load %d: requests of one token were not counted, and nothing says so", seed)
				}
				continue
			}
			checkFigure(t, seed, f, got, want.values[f])
			if bounds := w.families[f].bounds; len(bounds) > 0 && got.P95.High.Value == bounds[0] && got.P95.Value.Known {
				t.Errorf("load %d, family %d: p95 is invented within the first bucket: %+v", seed, f, got.P95)
			}
			if got.Refused > 0 {
				checked["refused"]++
			}
			if got.P95.Estimate {
				checked["estimated"]++
			}
		}
		checkSLA(t, seed, random, &w, want.values[vllm.TTFT], checked)
		checkRates(t, seed, &w, want)
		checked["resets"] += w.Resets
		if t.Failed() {
			return
		}
	}
	for _, what := range []string{"refused", "estimated", "resets", "SLA between buckets", "SLA at a bound"} {
		if checked[what] < loads/20 {
			t.Errorf("%s: %d times in %d loads: too seldom to prove anything", what, checked[what], loads)
		}
	}
	t.Log(checked)
}

func checkFigure(t *testing.T, seed uint64, f vllm.Family, got Figure, values []float64) {
	t.Helper()
	exact := Exact(slices.Clone(values))
	if got.Count != exact.Count {
		t.Errorf("load %d, family %d: %v observations, truly %v (%s)", seed, f, got.Count, exact.Count, got.Note)
		return
	}
	if got.Count == 0 {
		if got.P50 != (Quantile{}) || got.Mean.Known || got.Note == "" {
			t.Errorf("load %d, family %d: without an observation it says %+v", seed, f, got)
		}
		return
	}
	if !got.Mean.Known || math.Abs(got.Mean.Value-exact.Mean.Value) > 1e-7+1e-9*exact.Mean.Value {
		t.Errorf("load %d, family %d: mean %v, truly %v (%s)", seed, f, got.Mean, exact.Mean, got.Note)
	}
	for _, q := range []struct {
		name       string
		got, exact Quantile
	}{{"p50", got.P50, exact.P50}, {"p95", got.P95, exact.P95}, {"p99", got.P99, exact.P99}} {
		high := q.got.High.Or(math.Inf(1))
		if truly := q.exact.Value.Value; !q.got.Low.Known || !(q.got.Low.Value <= truly && truly <= high) {
			t.Errorf("load %d, family %d: %s is said to lie in [%v, %v], truly it is %v", seed, f, q.name, q.got.Low.Value, high, truly)
		}
		if v := q.got.Value; v.Known != q.got.Estimate || v.Known && !(q.got.Low.Value <= v.Value && v.Value <= high) {
			t.Errorf("load %d, family %d: %s is %+v", seed, f, q.name, q.got)
		}
	}
}

func checkSLA(t *testing.T, seed uint64, random *rand.Rand, w *Window, values []float64, checked map[string]int) {
	t.Helper()
	limit := math.Exp(math.Log(1e-3) + random.Float64()*math.Log(1e5))
	switch random.IntN(3) {
	case 0:
		limit = 2
	case 1:
		limit = vllmBounds[vllm.TTFT][random.IntN(len(vllmBounds[vllm.TTFT]))]
	}
	s := SLA{TTFT: time.Duration(limit * 1e9)}
	met := 0.0
	for _, v := range values {
		if v < s.TTFT.Seconds() {
			met++
		}
	}
	got, of := w.Graded(s)
	if of != float64(len(values)) || !(got.Low <= met && met <= got.High) || got.High > of {
		t.Errorf("load %d: of %v first tokens %+v are said to have come within %v, truly %v of %d", seed, of, got, s.TTFT, met, len(values))
	}
	share := w.SLAPercent(s)
	if share.Known != (of > 0) || share.Known && (share.Value.Low < 0 || share.Value.High > 100.0000001 || share.Value.Low > share.Value.High) {
		t.Errorf("load %d: %+v %%", seed, share)
	}
	if got.Low < got.High {
		checked["SLA between buckets"]++
	} else if of > 0 {
		checked["SLA at a bound"]++
	}
	summary := w.Summary(s)
	if w.Seconds() > 0 && summary.SLAPercent != share.Value.Exact() && of > 0 {
		t.Errorf("load %d: the summary says %+v, the range is %+v", seed, summary.SLAPercent, share)
	}
}

func checkRates(t *testing.T, seed uint64, w *Window, want truth) {
	t.Helper()
	seconds := 0.0
	for _, s := range want.seconds {
		seconds = max(seconds, s)
	}
	if math.Abs(w.Seconds()-seconds) > 1e-6 {
		t.Errorf("load %d: %v s were observed, truly %v", seed, w.Seconds(), seconds)
	}
	if seconds == 0 {
		return
	}
	for _, c := range []struct {
		what string
		got  watchdog.Maybe[float64]
		want float64
	}{
		{"output tokens", w.OutputTokens(), want.tokens}, {"prompt tokens", w.PromptTokens(), want.prompted}, {"requests", w.Requests(), want.finished},
		{"output tokens a second", w.OutputTokensPerSecond(), want.tokens / seconds},
	} {
		if !c.got.Known || math.Abs(c.got.Value-c.want) > 1e-6*max(1, c.want) {
			t.Errorf("load %d: %s: %v, truly %v", seed, c.what, c.got, c.want)
		}
	}
	if serving := w.ServingTokensPerSecond(); serving.Known != (want.tokens > 0) || serving.Known && serving.Value < w.OutputTokensPerSecond().Value-1e-9 {
		t.Errorf("load %d: %v tokens a second while serving, %v over all", seed, serving, w.OutputTokensPerSecond())
	}
}
