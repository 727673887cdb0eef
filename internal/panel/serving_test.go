package panel

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// bySpans are figures of rows, which are exact.
func bySpans() serving.Summary {
	return serving.Summary{
		WindowSeconds: watchdog.Known(300.0), Requests: watchdog.Known(1234.0),
		TTFT:                     serving.SummaryTTFT{P50: watchdog.Known(0.0827), P95: watchdog.Known(1.213), P95Low: watchdog.Known(1.213), P95High: watchdog.Known(1.213)},
		OutputTokensPerSecond:    watchdog.Known(245.3),
		GoodputRequestsPerSecond: watchdog.Known(4.112), GoodputRequestsPerSecondLow: watchdog.Known(4.112), GoodputRequestsPerSecondHigh: watchdog.Known(4.112),
		SLAPercent: watchdog.Known(99.97), SLAPercentLow: watchdog.Known(99.97), SLAPercentHigh: watchdog.Known(99.97),
		SLATTFTSeconds: watchdog.Known(2.0), SLATokensPerSecond: watchdog.Known(300.0), ServingTokensPerSecond: watchdog.Known(312.4), SLARateMet: watchdog.Known(true), Source: watchdog.Known(serving.FromSpans),
	}
}

// nothing is a window in which the servers were read, and nobody asked them anything.
func nothing() serving.Summary {
	return serving.Summary{
		WindowSeconds: watchdog.Known(288.4), Requests: watchdog.Known(0.0), OutputTokensPerSecond: watchdog.Known(0.0),
		GoodputRequestsPerSecond: watchdog.Known(0.0), GoodputRequestsPerSecondLow: watchdog.Known(0.0), GoodputRequestsPerSecondHigh: watchdog.Known(0.0),
		Source: watchdog.Known(serving.FromHistograms),
	}
}

// overloaded is a window of histograms in which the highest bucket was reached.
func overloaded() serving.Summary {
	return serving.Summary{
		WindowSeconds: watchdog.Known(45.0), Requests: watchdog.Known(3.0),
		TTFT:                        serving.SummaryTTFT{P95: watchdog.Known(2560.0), P95Low: watchdog.Known(2560.0)},
		OutputTokensPerSecond:       watchdog.Known(7.25),
		GoodputRequestsPerSecondLow: watchdog.Known(0.0), GoodputRequestsPerSecondHigh: watchdog.Known(0.0033),
		SLAPercentLow: watchdog.Known(0.0), SLAPercentHigh: watchdog.Known(4.25),
		SLATTFTSeconds: watchdog.Known(2.0), SLATokensPerSecond: watchdog.Known(300.0), ServingTokensPerSecond: watchdog.Known(21.0), SLARateMet: watchdog.Known(false), Source: watchdog.Known(serving.FromHistograms),
	}
}

// section is what stands below a title.
func section(t *testing.T, s status.Status, title string) string {
	t.Helper()
	_, after, found := strings.Cut(rendered(t, s, Options{Width: 200}), "\n"+title+"\n")
	if !found {
		t.Fatalf("the panel has no %s", title)
	}
	body, _, _ := strings.Cut(after, "\n\n")
	return body
}

func TestServingSection(t *testing.T) {
	running := nothing()
	running.OutputTokensPerSecond = watchdog.Known(12.0)
	begun := nothing()
	begun.TTFT.P95Low, begun.TTFT.P95High = watchdog.Known(0.25), watchdog.Known(0.5)
	posted := bySpans()
	posted.Source = watchdog.Known(serving.FromRows)
	newer := bySpans()
	newer.Source = watchdog.Known("the stars")
	guess := overloaded()
	guess.TTFT = serving.SummaryTTFT{P50: watchdog.Known(0.08), P95: watchdog.Known(0.4), P95Low: watchdog.Known(0.25), P95High: watchdog.Known(0.5)}
	for name, c := range map[string]struct {
		of   serving.Summary
		says []string
		not  string
	}{
		"exact":   {bySpans(), []string{"1234 finished in the last 5 minutes, by vLLM's spans", "p50 0.083 s, p95 1.21 s", "99.9 % of first tokens within 2 s", "4.11 requests/s", "245 tokens/s (312 while serving, the SLA of 300 kept)"}, "–"},
		"posted":  {posted, []string{"by posted rows"}, "spans"},
		"newer":   {newer, []string{"by the stars"}, "spans"},
		"bounds":  {guess, []string{"by vLLM's histograms", "p50 about 0.080 s, p95 0.25–0.50 s", "0–4.25 %", "0–0.0033 requests/s", "below the SLA of 300"}, "0.4"},
		"no end":  {overloaded(), []string{"3 finished in the last 45 seconds", "p50 unknown, p95 2560 s or more"}, "2560–"},
		"none":    {nothing(), []string{"no requests in the last 5 minutes"}, "TTFT"},
		"unheard": {serving.Summary{}, []string{"unknown: no server's histograms were read lately, and no rows came in"}, "TTFT"},
		"running": {running, []string{"0 finished in the last 5 minutes", "12.0 tokens/s"}, "no requests"},
		"begun":   {begun, []string{"0 finished in the last 5 minutes", "p95 0.25–0.50 s"}, "no requests"},
	} {
		got := section(t, status.Status{Serving: c.of}, "serving")
		for _, part := range c.says {
			if !strings.Contains(got, part) {
				t.Errorf("%s: lacks %q:\n%s", name, part, got)
			}
		}
		if strings.Contains(got, c.not) {
			t.Errorf("%s: says %q:\n%s", name, c.not, got)
		}
		if strings.Contains(got, "token price") {
			t.Errorf("%s: tells a price that nobody knows:\n%s", name, got)
		}
	}
	priced := status.Status{Money: status.Money{USDPerMillionTokens: watchdog.Known(3.25)}}
	if got := section(t, priced, "serving"); !strings.Contains(got, "token price   3.25 $ for a million output tokens, over the last day") {
		t.Errorf("the price of tokens is not told:\n%s", got)
	}
}

// The example of docs/serving.md comes out as it is printed there.
func TestDocumentedExample(t *testing.T) {
	document, err := os.ReadFile("../../docs/serving.md")
	if err != nil {
		t.Fatal(err)
	}
	// vLLM's bounds of TTFT, as far as they matter, and the counts of the example; of those within 0.75 s it says nothing.
	bounds := []float64{0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, math.Inf(1)}
	counts := []float64{30, 80, 120, 150, 180, 196, 200, 200, 200}
	begun := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	tracker := serving.NewTracker(10 * time.Minute)
	for i, share := range []float64{0, 1} {
		engine := vllm.ServedEngine{Finished: watchdog.Known(200 * share)}
		first := vllm.Histogram{State: vllm.HistogramGood, Bounds: bounds, Sum: 120 * share}
		for _, n := range counts {
			first.Counts = append(first.Counts, n*share)
		}
		engine.Histograms[vllm.TTFT] = first
		page := vllm.Serving{Good: true, Engines: []vllm.ServedEngine{engine}}
		if why := tracker.Read("a", begun.Add(time.Duration(i)*5*time.Minute), &page); why != "" {
			t.Fatal(why)
		}
	}
	window := tracker.Window(10*time.Minute, begun.Add(5*time.Minute))
	got := section(t, status.Status{Serving: window.Summary(serving.SLA{TTFT: 2 * time.Second})}, "serving")
	for _, part := range []string{"90–98 %", "0.60–0.66 requests/s", "1.0–2.5 s", "about 0.38 s"} {
		if !strings.Contains(got, part) || !strings.Contains(string(document), "| "+part+" |") {
			t.Errorf("%q is not in docs/serving.md, or not in the panel:\n%s", part, got)
		}
	}
}
