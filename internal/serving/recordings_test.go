package serving

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// recordings is the environment variable that names a folder of recordings of real servers under `vllm bench serve`. Each folder
// in it that has a bench.json.gz holds the client's record of a run, the server's page before and after, and its spans.
const recordings = "SERVING_RECORDINGS"

// bench is what `vllm bench serve --save-detailed` wrote. Means are in milliseconds, lists in seconds.
type bench struct {
	Completed        float64   `json:"completed"`
	Duration         float64   `json:"duration"`
	InputTokens      float64   `json:"total_input_tokens"`
	OutputTokens     float64   `json:"total_output_tokens"`
	OutputThroughput float64   `json:"output_throughput"`
	MeanTTFT         float64   `json:"mean_ttft_ms"`
	MeanTPOT         float64   `json:"mean_tpot_ms"`
	MeanE2E          float64   `json:"mean_e2el_ms"`
	MeanITL          float64   `json:"mean_itl_ms"`
	P50TTFT          float64   `json:"p50_ttft_ms"`
	P95TTFT          float64   `json:"p95_ttft_ms"`
	P99TTFT          float64   `json:"p99_ttft_ms"`
	TTFTs            []float64 `json:"ttfts"`
}

// On the recorded runs the three ways to measure agree: the page's difference with the spans to the microsecond, both with
// the client but for what lies outside of the server; and what is true lies within the printed bounds.
func TestRecordedBenchmarks(t *testing.T) {
	root := os.Getenv(recordings)
	if root == "" {
		t.Skip("set " + recordings + " to a folder of recorded benchmark runs")
	}
	runs, err := filepath.Glob(filepath.Join(root, "*", "bench.json.gz"))
	if err != nil || len(runs) == 0 {
		t.Fatalf("%s has no */bench.json.gz: %v", root, err)
	}
	for _, run := range runs {
		dir := filepath.Dir(run)
		t.Run(filepath.Base(dir), func(t *testing.T) { compareRun(t, dir) })
	}
}

func compareRun(t *testing.T, dir string) {
	var client bench
	if err := json.Unmarshal(unpack(t, dir, "bench.json.gz"), &client); err != nil {
		t.Fatal(err)
	}
	// The page does not say when it was read: the run's own length stands for the time between.
	began := time.Unix(1_800_000_000, 0)
	tracker := NewTracker(Day)
	for i, name := range []string{"metrics-before.txt.gz", "metrics-after.txt.gz"} {
		var page vllm.Serving
		if err := vllm.ParseServing(unpack(t, dir, name), "", &page); err != nil {
			t.Fatal(err)
		}
		page.StartedAt = 0
		if why := tracker.Read("server", began.Add(time.Duration(float64(i)*client.Duration*1e9)), &page); why != "" {
			t.Fatal(why)
		}
	}
	window := tracker.Window(Day, began.Add(time.Hour))
	all := spansOf(t, dir)
	first, last := all[0].FinishedAt, all[0].FinishedAt
	for _, r := range all {
		if r.FinishedAt.Before(first) {
			first = r.FinishedAt
		}
		if r.FinishedAt.After(last) {
			last = r.FinishedAt
		}
	}
	s := SLA{TTFT: 500 * time.Millisecond}
	rows := OfRows(slices.Values(all), last.Add(-time.Duration(client.Duration*1e9)), last, s)

	equal := func(what string, got, want, within float64) {
		t.Helper()
		if !(math.Abs(got-want) <= within) {
			t.Errorf("%s: %v and %v, more than %v apart", what, got, want, within)
		}
	}
	equal("requests, page and client", window.Requests().Value, client.Completed, 0)
	equal("requests, rows and client", float64(rows.Requests), client.Completed, 0)
	equal("output tokens, page and client", window.OutputTokens().Value, client.OutputTokens, 0)
	equal("output tokens, rows and client", float64(rows.OutputTokens), client.OutputTokens, 0)
	equal("prompt tokens, page and client", window.PromptTokens().Value, client.InputTokens, 0)
	equal("prompt tokens, rows and client", float64(rows.PromptTokens), client.InputTokens, 0)
	equal("tokens/s, rows and client", rows.OutputTokensPerSecond().Value, client.OutputThroughput, 1e-6)
	for _, f := range []struct {
		name   string
		family vllm.Family
		exact  Figure
		client float64 // ms
		beyond float64 // how far the client may be above, ms
	}{
		{"TTFT", vllm.TTFT, rows.TTFT, client.MeanTTFT, 7},
		{"end to end", vllm.EndToEnd, rows.EndToEnd, client.MeanE2E, 7},
		{"per token", vllm.PerOutputToken, rows.PerOutputToken, client.MeanTPOT, .1},
		{"queue", vllm.Queue, rows.Queue, math.NaN(), 0},
		{"prefill", vllm.Prefill, rows.Prefill, math.NaN(), 0},
		{"decode", vllm.Decode, rows.Decode, math.NaN(), 0},
	} {
		got := window.Figure(f.family)
		if got.Count != f.exact.Count || got.Refused > 0 || got.Note != "" {
			t.Errorf("%s: %+v, truly of %v", f.name, got, f.exact.Count)
		}
		equal(f.name+", page and rows", got.Mean.Value, f.exact.Mean.Value, 1e-6)
		if !math.IsNaN(f.client) {
			equal(f.name+", client and rows, ms", f.client, f.exact.Mean.Value*1e3, f.beyond)
		}
		t.Logf("%-10s mean: page %9.3f, spans %9.3f, client %9.3f ms", f.name, got.Mean.Value*1e3, f.exact.Mean.Value*1e3, f.client)
		for i, q := range []Quantile{got.P50, got.P95, got.P99} {
			truly := []Quantile{f.exact.P50, f.exact.P95, f.exact.P99}[i].Value.Value
			if !(q.Low.Value <= truly && truly <= q.High.Or(math.Inf(1))) {
				t.Errorf("%s %s is said to lie in [%v, %v], truly it is %v", f.name, []string{"p50", "p95", "p99"}[i], q.Low, q.High, truly)
			}
			t.Logf("  %s: page [%g, %g] guess %8.1f, spans %8.1f ms", []string{"p50", "p95", "p99"}[i], q.Low.Value*1e3, q.High.Or(math.Inf(1))*1e3, q.Value.Or(math.NaN())*1e3, truly*1e3)
		}
	}
	equal("between tokens, client and page, ms", client.MeanITL, window.Figure(vllm.InterToken).Mean.Value*1e3, .01)
	slices.Sort(client.TTFTs)
	for q, want := range map[float64]float64{.50: client.P50TTFT, .95: client.P95TTFT, .99: client.P99TTFT} {
		equal("the client's own percentile", Percentile(client.TTFTs, q).Value*1e3, want, 1e-9)
	}
	// The SLA falls on a bound (0.5 s), and between two (0.3 s and 2 s).
	for _, limit := range []time.Duration{500 * time.Millisecond, 300 * time.Millisecond, 2 * time.Second} {
		met, of := window.Graded(SLA{TTFT: limit})
		truly := 0.0
		for _, r := range all {
			if r.TTFT.Value < limit.Seconds() {
				truly++
			}
		}
		if truly < met.Low || truly > met.High || of != client.Completed {
			t.Errorf("within %v: %+v of %v, truly %v", limit, met, of, truly)
		}
		t.Logf("first token within %v: page %v to %v of %v, spans %v", limit, met.Low, met.High, of, truly)
	}
	summary := Better(rows.Summary(s), window.Summary(s))
	text, err := json.Marshal(summary)
	if err != nil || summary.Source.Value != FromSpans {
		t.Errorf("%v: %s", err, text)
	}
	t.Logf("%s", text)
}

func unpack(t *testing.T, dir, name string) []byte {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// ofTheRun matches the ids of the requests of a benchmark, warm-up left out.
var ofTheRun = regexp.MustCompile(`^cmpl-(bench|over)-\d+-0$`)

func spansOf(t *testing.T, dir string) []ingest.Request {
	t.Helper()
	var out []ingest.Request
	lines := bufio.NewScanner(bytes.NewReader(unpack(t, dir, "bench.spans.jsonl.gz")))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "llm_request") {
			continue
		}
		var span struct {
			End        float64 `json:"end"`
			ID         string  `json:"span_id"`
			Attributes struct {
				ID      string  `json:"gen_ai.request.id"`
				TTFT    float64 `json:"gen_ai.latency.time_to_first_token"`
				E2E     float64 `json:"gen_ai.latency.e2e"`
				Queue   float64 `json:"gen_ai.latency.time_in_queue"`
				Prefill float64 `json:"gen_ai.latency.time_in_model_prefill"`
				Decode  float64 `json:"gen_ai.latency.time_in_model_decode"`
				Prompt  int64   `json:"gen_ai.usage.prompt_tokens"`
				Output  int64   `json:"gen_ai.usage.completion_tokens"`
			} `json:"attributes"`
		}
		if err := json.Unmarshal(lines.Bytes(), &span); err != nil {
			t.Fatal(err)
		}
		a := span.Attributes
		if !ofTheRun.MatchString(a.ID) {
			continue
		}
		r := ingest.Request{
			Source: ingest.FromSpan, Key: span.ID, ID: a.ID, FinishedAt: time.Unix(0, int64(span.End*1e9)),
			TTFT: watchdog.Known(a.TTFT), Total: watchdog.Known(a.E2E), Queue: watchdog.Known(a.Queue), Prefill: watchdog.Known(a.Prefill),
			Decode: watchdog.Known(a.Decode), PromptTokens: watchdog.Known(a.Prompt), OutputTokens: watchdog.Known(a.Output),
		}
		if a.Output > 1 {
			r.TPOT = watchdog.Known(a.Decode / float64(a.Output-1))
		}
		out = append(out, r)
	}
	if len(out) == 0 {
		t.Fatal("there are no spans of the run")
	}
	return out
}
