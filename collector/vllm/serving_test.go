package vllm

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// served is what a test says of an engine's histogram: the counts by upper bound, the sum, or how it stands.
type served struct {
	state  HistogramState
	counts map[float64]float64
	sum    float64
}

func servedOf(h Histogram) served {
	s := served{state: h.State, sum: h.Sum}
	for i, bound := range h.Bounds {
		if s.counts == nil {
			s.counts = map[float64]float64{}
		}
		s.counts[bound] = h.Counts[i]
	}
	return s
}

// histogramLines writes one series of a histogram, its bounds as given.
func histogramLines(name, labels string, bounds []string, counts []float64, sum float64) string {
	var b strings.Builder
	for i, le := range bounds {
		fmt.Fprintf(&b, "%s_bucket{%s,le=%q} %v\n", name, labels, le, counts[i])
	}
	fmt.Fprintf(&b, "%s_count{%s} %v\n%s_sum{%s} %v\n", name, labels, counts[len(counts)-1], name, labels, sum)
	return b.String()
}

func TestParseServing(t *testing.T) {
	const queue = "vllm:request_queue_time_seconds"
	inf := math.Inf(1)
	bounds := []string{"0.3", "1.0", "+Inf"}
	good := func(counts map[float64]float64, sum float64) map[string]served {
		return map[string]served{"0": {HistogramGood, counts, sum}}
	}
	broken := map[string]served{"0": {state: HistogramBroken}}
	one := histogramLines(queue, `engine="0",model_name="m"`, bounds, []float64{1, 2, 3}, 4.5)
	for _, c := range []struct {
		name string
		page string
		of   Family
		want map[string]served
	}{
		{"one series", one, Queue, good(map[float64]float64{0.3: 1, 1: 2, inf: 3}, 4.5)},
		{"models and unknown labels are summed by bound",
			one + histogramLines(queue, `engine="0",model_name="m",priority="7"`, []string{"0.30", "1", "Inf"}, []float64{10, 20, 30}, 0.5) +
				histogramLines(queue, `engine="0",model_name="n"`, bounds, []float64{100, 200, 300}, -1),
			Queue, good(map[float64]float64{0.3: 111, 1: 222, inf: 333}, 4)},
		{"engines are apart", one + histogramLines(queue, `engine="1",model_name="m"`, []string{"5", "+Inf"}, []float64{7, 8}, 9), Queue,
			map[string]served{"0": {HistogramGood, map[float64]float64{0.3: 1, 1: 2, inf: 3}, 4.5}, "1": {HistogramGood, map[float64]float64{5: 7, inf: 8}, 9}}},
		{"without a label engine there is one", strings.ReplaceAll(one, `engine="0",`, ""), Queue, good(map[float64]float64{0.3: 1, 1: 2, inf: 3}, 4.5)},
		{"buckets in any order", `vllm:request_queue_time_seconds_sum{engine="0"} 4.5
vllm:request_queue_time_seconds_bucket{engine="0",le="+Inf"} 3
vllm:request_queue_time_seconds_bucket{engine="0",le="0.3"} 1
vllm:request_queue_time_seconds_count{engine="0"} 3
vllm:request_queue_time_seconds_bucket{engine="0",le="1.0"} 2
`, Queue, good(map[float64]float64{0.3: 1, 1: 2, inf: 3}, 4.5)},
		{"a negative sum is vLLM's own", histogramLines(queue, `engine="0"`, bounds, []float64{3, 3, 3}, -48.2), Queue, good(map[float64]float64{0.3: 3, 1: 3, inf: 3}, -48.2)},
		{"a family that is not there", one, Decode, map[string]served{"0": {}}},
		{"a name that begins like ours", strings.ReplaceAll(one, queue, queue+"_other") + "vllm:prompt_tokens_total{engine=\"0\"} 1\n", Queue, map[string]served{"0": {}}},

		{"no +Inf", strings.ReplaceAll(one, "+Inf", "9"), Queue, broken},
		{"a series with fewer buckets", one + histogramLines(queue, `engine="0",model_name="n"`, []string{"0.3", "+Inf"}, []float64{1, 1}, 0), Queue, broken},
		{"the same bucket twice", one + "vllm:request_queue_time_seconds_bucket{engine=\"0\",le=\"1\"} 0\n", Queue, broken},
		{"a bucket with fewer than the one below", histogramLines(queue, `engine="0"`, bounds, []float64{2, 1, 3}, 1), Queue, broken},
		{"a bucket that is no number", strings.ReplaceAll(one, "} 2\n", "} NaN\n"), Queue, broken},
		{"a negative bucket", histogramLines(queue, `engine="0"`, bounds, []float64{-1, 2, 3}, 1), Queue, broken},
		{"an infinite bucket", histogramLines(queue, `engine="0"`, bounds, []float64{1, 2, inf}, 1), Queue, broken},
		{"a bound that is none", strings.ReplaceAll(one, `"1.0"`, `"one"`), Queue, broken},
		{"a bound that is no number", strings.ReplaceAll(one, `"1.0"`, `"NaN"`), Queue, broken},
		{"a bucket without a bound", strings.ReplaceAll(one, `le="1.0"`, `lo="1.0"`), Queue, broken},
		{"a count that is not the last bucket's", strings.ReplaceAll(one, "_count{engine=\"0\",model_name=\"m\"} 3", "_count{engine=\"0\",model_name=\"m\"} 4"), Queue, broken},
		{"no sum", strings.ReplaceAll(one, "_seconds_sum", "_seconds_sam"), Queue, broken},
		{"a sum that is no number", histogramLines(queue, `engine="0"`, bounds, []float64{1, 2, 3}, math.NaN()), Queue, broken},
		{"more than can be counted", histogramLines(queue, `engine="0"`, bounds, []float64{1, 2, 1e17}, 1), Queue, broken},
		{"a sum beyond all time", histogramLines(queue, `engine="0"`, bounds, []float64{1, 2, 3}, -1e300), Queue, broken},
		{"a sum alone", "vllm:request_queue_time_seconds_sum{engine=\"0\"} 5\n", Queue, broken},
		{"too many buckets", histogramLines(queue, `engine="0"`, manyBounds(maxBounds+1), make([]float64, maxBounds+1), 0), Queue, broken},

		{"the newer of two names wins",
			histogramLines("vllm:time_per_output_token_seconds", `engine="0"`, bounds, []float64{1, 1, 1}, 1) + histogramLines("vllm:inter_token_latency_seconds", `engine="0"`, bounds, []float64{2, 2, 2}, 2),
			InterToken, good(map[float64]float64{0.3: 2, 1: 2, inf: 2}, 2)},
		{"the older name stands in", histogramLines("vllm:time_per_output_token_seconds", `engine="0"`, bounds, []float64{1, 1, 1}, 1), InterToken, good(map[float64]float64{0.3: 1, 1: 1, inf: 1}, 1)},
		{"a broken newer name is not replaced",
			histogramLines("vllm:time_per_output_token_seconds", `engine="0"`, bounds, []float64{1, 1, 1}, 1) + histogramLines("vllm:inter_token_latency_seconds", `engine="0"`, bounds, []float64{2, 1, 2}, 2),
			InterToken, broken},
		{"a name in quotes", `{"vllm:request_queue_time_seconds_bucket",engine="0",le="+Inf"} 1
{"vllm:request_queue_time_seconds_count",engine="0"} 1
{"vllm:request_queue_time_seconds_sum",engine="0"} 2
`, Queue, good(map[float64]float64{inf: 1}, 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s Serving
			if err := ParseServing([]byte(c.page), textType, &s); err != nil {
				t.Fatal(err)
			}
			got := map[string]served{}
			for _, e := range s.Engines {
				got[e.ID] = servedOf(e.Histograms[c.of])
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(served{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func manyBounds(n int) []string {
	bounds := make([]string, n)
	for i := range bounds {
		bounds[i] = fmt.Sprint(i + 1)
	}
	bounds[n-1] = "+Inf"
	return bounds
}

func TestParseServingBesideTheHistograms(t *testing.T) {
	parse := func(page string) ServedEngine {
		t.Helper()
		var s Serving
		if err := ParseServing([]byte(page), textType, &s); err != nil || len(s.Engines) != 1 {
			t.Fatalf("%v: %+v", err, s)
		}
		return s.Engines[0]
	}
	cache := func(labels string) string { return "vllm:cache_config_info{engine=\"0\"," + labels + "} 1\n" }
	unknown := watchdog.Maybe[float64]{}
	for _, c := range []struct {
		name, page     string
		blocks, tokens watchdog.Maybe[float64]
	}{
		{"blocks times their size", cache(`block_size="16",num_gpu_blocks="4096"`), known(4096), known(65536)},
		{"tokens as the server says them", cache(`block_size="16",kv_cache_size_tokens="60000",num_gpu_blocks="4096"`), known(4096), known(60000)},
		{"no block counted yet", cache(`block_size="16",num_gpu_blocks="None"`), unknown, unknown},
		{"a size that is none", cache(`block_size="auto",num_gpu_blocks="4096"`), known(4096), unknown},
		{"several processes of one mind", cache(`block_size="16",num_gpu_blocks="8",pid="1"`) + cache(`block_size="16",num_gpu_blocks="8",pid="2"`), known(8), known(128)},
		{"two that disagree", cache(`block_size="16",num_gpu_blocks="8",pid="1"`) + cache(`block_size="16",num_gpu_blocks="9",pid="2"`), unknown, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			if e := parse(c.page); e.KVBlocks != c.blocks || e.KVTokens != c.tokens {
				t.Errorf("%+v blocks, %+v tokens", e.KVBlocks, e.KVTokens)
			}
		})
	}
	e := parse(`vllm:prompt_tokens_total{engine="0"} 11
vllm:generation_tokens_total{engine="0"} 22
vllm:request_success_total{engine="0",finished_reason="stop"} 3
vllm:request_success_total{engine="0",finished_reason="abort"} 2
vllm:num_requests_running{engine="0"} 4
vllm:kv_cache_usage_perc{engine="0"} 0.5
`)
	want := ServedEngine{ID: "0", PromptTokens: known(11), GenerationTokens: known(22), Finished: known(5), Aborted: known(2), Running: known(4), KVUsage: known(0.5)}
	if diff := cmp.Diff(want, e, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// What a real server says (testdata/README.md), against a plain reading of the same page.
func TestServingOfRecordedPages(t *testing.T) {
	var r servingReader
	var again Serving
	for name, body := range recordedPages(t) {
		t.Run(name, func(t *testing.T) {
			var s Serving
			if err := ParseServing(body, textType, &s); err != nil {
				t.Fatal(err)
			}
			all, err := referenceSeries(body, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(referenceServing(all), s.Engines, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
			page, err := ParsePage(body, textType)
			if err != nil {
				t.Fatal(err)
			}
			r.read(body, textType, page, &again) // into memory that other pages have left their marks in
			if diff := cmp.Diff(s, again, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("read again into used memory: %s", diff)
			}
			if strings.Contains(name, "nostats") {
				if len(s.Engines) != 0 {
					t.Errorf("a server without statistics has %d engines", len(s.Engines))
				}
				return
			}
			for f := range NumFamilies {
				if h := s.Engines[0].Histograms[f]; h.State != HistogramGood {
					t.Errorf("family %d is in state %d", f, h.State)
				}
			}
			if e := s.Engines[0]; e.KVTokens.Value != 4096*128 || e.GenerationTokens.Value > 0 && e.Histograms[TTFT].Count() == 0 {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestReadServing(t *testing.T) {
	page := recordedPages(t)["0.32.0-idle"]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == metricsPath {
			w.Header().Set("Content-Type", textType)
			_, _ = w.Write(page)
		}
	}))
	defer server.Close()
	c, err := New(Config{URL: server.URL, UserAgent: "gpu-watchdog/test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var s Serving
	asked := c.ReadServing(t.Context(), &s)
	if !s.Good || len(s.Engines) != 1 || s.Engines[0].Histograms[TTFT].Count() != 3 || s.StartedAt != asked.StartedAt {
		t.Fatalf("%+v", s)
	}
	plain := c.Read(t.Context())
	if diff := cmp.Diff(plain, asked, cmpopts.IgnoreFields(watchdog.Server{}, "Took")); diff != "" {
		t.Errorf("the plain reading differs: %s", diff)
	}

	page = []byte("<html>")
	if c.ReadServing(t.Context(), &s); s.Good || s.Gone || s.Why == "" || len(s.Engines) != 0 {
		t.Errorf("no page: %+v", s)
	}
	server.Close()
	if c.ReadServing(t.Context(), &s); s.Good || !s.Gone || s.Why == "" {
		t.Errorf("nobody there: %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s = Serving{Good: true}
	if c.ReadServing(ctx, &s); s.Good || s.Gone {
		t.Errorf("no time: %+v", s)
	}
}

// A line that only the second look takes apart can spoil the histograms, never the page.
func TestBrokenHistogramLine(t *testing.T) {
	page := "vllm:prompt_tokens_total{engine=\"0\"} 5\nvllm:time_to_first_token_seconds_bucket{engine=\"0\",le=\"0.001\"} 7 7 7\n"
	if p, err := ParsePage([]byte(page), textType); err != nil || p.Engines[0].Counters[watchdog.PromptTokens].Value != 5 {
		t.Fatalf("%v %+v", err, p)
	}
	var s Serving
	if err := ParseServing([]byte(page), textType, &s); err == nil || s.Good {
		t.Errorf("it was read: %+v", s)
	}
}

// What is kept of the series of one server is bounded, however many it makes up.
func TestKnownSeriesAreBounded(t *testing.T) {
	var r servingReader
	var s Serving
	for round := range 20 {
		var b strings.Builder
		for i := range 1000 {
			fmt.Fprintf(&b, "vllm:time_to_first_token_seconds_bucket{engine=\"0\",le=\"1\",round=\"%d\",x=\"%d\"} 1\n", round, i)
		}
		if r.read([]byte(b.String()), textType, Page{}, &s); !s.Good {
			t.Fatal(s.Why)
		}
		if r.known.bytes > 2*maxSeriesKept {
			t.Fatalf("%d bytes are kept", r.known.bytes)
		}
	}
	one := histogramLines("vllm:time_to_first_token_seconds", `engine="0"`, []string{"+Inf"}, []float64{5}, 1)
	if r.read([]byte(one), textType, Page{}, &s); s.Engines[0].Histograms[TTFT].Count() != 5 {
		t.Errorf("after that a page reads as %+v", s)
	}
}
