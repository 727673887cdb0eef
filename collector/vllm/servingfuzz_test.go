package vllm

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzParseServing: whatever comes, what is good is consistent, memory grows with the page and no further, the page is not
// written to, a plain reading of the same bytes says the same, and so does a second reading into used memory.
func FuzzParseServing(f *testing.F) {
	f.Add([]byte(openPage), true)
	f.Add([]byte(histogramLines("vllm:request_queue_time_seconds", `engine="1",model_name="m"`, []string{"0.3", "+Inf"}, []float64{1, 2}, -3)), false)
	f.Add([]byte("{\"vllm:request_queue_time_seconds_bucket\",engine=\"0\",le=\"+Inf\"} 1\n \tvllm:request_queue_time_seconds_count 1\nvllm:request_queue_time_seconds_sum NaN\n"), false)
	f.Add([]byte(`vllm:cache_config_info{block_size="16",num_gpu_blocks="8"} 1`+"\n"), false)
	for _, page := range recordedPages(f) {
		if at := bytes.Index(page, []byte("# HELP vllm:time_to_first_token_seconds ")); at >= 0 {
			f.Add(firstLines(page[at:], 6<<10), false)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, openMetrics bool) {
		contentType := textType
		if openMetrics {
			contentType = openType
		}
		page, err := ParsePage(body, contentType)
		if err != nil {
			return
		}
		original := bytes.Clone(body)
		var r servingReader
		var s Serving
		before := allocated()
		if err := r.parse(body, contentType, &s); err != nil {
			return
		}
		if grown := allocated() - before; grown > 1<<20+256*uint64(len(body)) {
			t.Errorf("%d bytes were allocated for a page of %d", grown, len(body))
		}
		r.read(body, contentType, page, &s)
		if !bytes.Equal(body, original) {
			t.Fatal("the page was written to")
		}
		if len(s.Engines) > maxEngines {
			t.Errorf("%d engines", len(s.Engines))
		}
		for _, e := range s.Engines {
			for f := range NumFamilies {
				checkHistogram(t, &e.Histograms[f])
			}
		}
		if all, err := referenceSeries(body, openMetrics); err == nil && !slices.ContainsFunc(all, longEngine) {
			if diff := cmp.Diff(referenceServing(all), s.Engines, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(ServedEngine{}, "KVUsage", "Aborted"), approximate); diff != "" {
				t.Errorf("a plain reading says otherwise: %s", diff)
			}
		}
		first := fmt.Sprint(s)
		if r.read(body, contentType, page, &s); fmt.Sprint(s) != first {
			t.Errorf("read again it says otherwise:\n%v\n%s", s, first)
		}
	})
}

// approximate: sums may be added up in another order.
var approximate = cmpopts.EquateApprox(1e-9, 0)

func longEngine(s series) bool { return len(engineOf(s.labels)) > maxEngineID }

func checkHistogram(t *testing.T, h *Histogram) {
	t.Helper()
	if h.State != HistogramGood {
		if len(h.Bounds)+len(h.Counts) > 0 || h.Sum != 0 {
			t.Errorf("%+v", h)
		}
		return
	}
	n := len(h.Bounds)
	if n == 0 || n > maxBounds || len(h.Counts) != n || !math.IsInf(h.Bounds[n-1], 1) || math.IsNaN(h.Sum) || math.IsInf(h.Sum, 0) {
		t.Fatalf("%+v", h)
	}
	for i, c := range h.Counts {
		if !possible(c) || i > 0 && (c < h.Counts[i-1] || h.Bounds[i] <= h.Bounds[i-1]) || math.IsNaN(h.Bounds[i]) {
			t.Fatalf("%+v", h)
		}
	}
}

// FuzzServingFormats writes the same random histograms as text and as OpenMetrics, with exemplars and start stamps: they must be
// read alike, and as what was written.
func FuzzServingFormats(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		random := rand.New(rand.NewPCG(seed, 2))
		var text, open strings.Builder
		want := make([]Histogram, 1+random.IntN(4))
		for i := range want {
			want[i] = writeHistogram(random, fmt.Sprint(i), &text, &open)
		}
		for contentType, page := range map[string]string{textType: text.String(), openType: open.String() + "# EOF\n"} {
			var s Serving
			if err := ParseServing([]byte(page), contentType, &s); err != nil {
				t.Fatalf("%s: %v\n%s", contentType, err, page)
			}
			got := make([]Histogram, len(s.Engines))
			for i, e := range s.Engines {
				got[i] = e.Histograms[EndToEnd]
			}
			if diff := cmp.Diff(want, got, approximate); diff != "" {
				t.Errorf("%s is read other than written: %s\n%s", contentType, diff, page)
			}
		}
	})
}

// writeHistogram writes one engine's histogram of some models, in both formats, and returns what it says.
func writeHistogram(random *rand.Rand, engine string, text, open *strings.Builder) Histogram {
	h := Histogram{State: HistogramGood}
	for bound := 0.0; len(h.Bounds) < 1+random.IntN(20); {
		bound += math.Round(random.ExpFloat64()*1000)/1000 + 0.001
		h.Bounds = append(h.Bounds, bound)
	}
	h.Bounds = append(h.Bounds, math.Inf(1))
	h.Counts = make([]float64, len(h.Bounds))
	const name = "vllm:e2e_request_latency_seconds"
	for model := range 1 + random.IntN(3) {
		total := 0.0
		labels := fmt.Sprintf(`engine="%s",model_name="m \"%d\""`, engine, model)
		for i, bound := range h.Bounds {
			total += float64(random.IntN(50))
			h.Counts[i] += total
			le := "+Inf"
			if i < len(h.Bounds)-1 {
				le = fmt.Sprint(bound)
			}
			line := fmt.Sprintf("%s_bucket{%s,le=%q} %v", name, labels, le, total)
			fmt.Fprintf(text, "%s\n", line)
			fmt.Fprintf(open, "%s # {trace_id=\"x\"} 0.5\n", line)
		}
		sum := math.Round(random.Float64()*1e6) / 1e3
		h.Sum += sum
		for _, to := range []*strings.Builder{text, open} {
			fmt.Fprintf(to, "%s_count{%s} %v\n%s_sum{%s} %v\n%s_created{%s} 1.7e+09\n", name, labels, total, name, labels, sum, name, labels)
		}
	}
	return h
}
