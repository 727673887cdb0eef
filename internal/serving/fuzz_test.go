package serving

import (
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// FuzzTracker feeds any two pages, the first of them twice over: whatever they say, no figure contradicts itself, nothing is
// negative or no number, and the summary is JSON.
func FuzzTracker(f *testing.F) {
	// Short pages: the fuzzer takes long ones apart for minutes.
	page := func(family string, up, beyond, sum, finished float64) []byte {
		const labels = `engine="0"`
		return fmt.Appendf(nil, "vllm:%s_bucket{%s,le=\"1\"} %v\nvllm:%s_bucket{%s,le=\"+Inf\"} %v\nvllm:%s_count{%s} %v\nvllm:%s_sum{%s} %v\nvllm:request_success_total{%s} %v\n",
			family, labels, up, family, labels, beyond, family, labels, beyond, family, labels, sum, labels, finished)
	}
	for _, family := range []string{"time_to_first_token_seconds", "request_time_per_output_token_seconds", "request_generation_tokens", "e2e_request_latency_seconds"} {
		f.Add(page(family, 1, 2, 5, 1), page(family, 4, 9, 20, 7), uint16(300))
	}
	f.Add(page("request_queue_time_seconds", 1, 2, 5, 1), page("request_queue_time_seconds", 1e308, 1e308, 1e308, 1e308), uint16(2000))
	f.Fuzz(func(t *testing.T, first, second []byte, limit uint16) {
		s := SLA{TTFT: time.Duration(limit) * time.Millisecond, TokensPerSecond: 300}
		tracker := NewTracker(Now, Day)
		for i, page := range [][]byte{first, second, first} {
			var r vllm.Serving
			_ = vllm.ParseServing(page, "", &r) // what cannot be read is not Good, and counts for nothing
			tracker.Read("a", after(float64(i)*15), &r)
			tracker.Read("b", after(float64(i)*15), &r)
		}
		w := tracker.Window(Now, after(30))
		for f := range vllm.NumFamilies {
			checkSane(t, w.Figure(f))
		}
		met, of := w.Graded(s)
		if !(0 <= met.Low && met.Low <= met.High && met.High <= of) {
			t.Errorf("%+v of %v", met, of)
		}
		mean, most := w.Running()
		for _, v := range []watchdog.Maybe[float64]{w.Requests(), w.OutputTokens(), w.OutputTokensPerSecond(), w.ServingTokensPerSecond(), mean, most} {
			if math.IsNaN(v.Value) || v.Value < 0 {
				t.Errorf("%+v", v)
			}
		}
		if _, err := json.Marshal(w.Summary(s)); err != nil {
			t.Error(err)
		}
	})
}

func checkSane(t *testing.T, f Figure) {
	t.Helper()
	if !(f.Count >= 0) || f.Mean.Known && (math.IsNaN(f.Mean.Value) || math.IsInf(f.Mean.Value, 0)) || !f.Mean.Known && f.Note == "" {
		t.Errorf("%+v", f)
	}
	for _, q := range []Quantile{f.P50, f.P95, f.P99} {
		high := q.High.Or(math.Inf(1))
		if q.Low.Known != (f.Count > 0) || math.IsNaN(q.Low.Value) || !(q.Low.Value <= high) || q.Value.Known && !(q.Low.Value <= q.Value.Value && q.Value.Value <= high) {
			t.Errorf("%+v of %v", q, f.Count)
		}
	}
}
