package serving

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestSummaryOfRows(t *testing.T) {
	live := NewLive(sla, after(-3600))
	live.Rows([]ingest.Request{row(10), row(20, ttft(3)), row(30, aborted)})
	got := live.Summary(after(40))
	want := Summary{
		WindowSeconds: known(300), Requests: known(3),
		TTFT:                  SummaryTTFT{P50: known(1.7), P95: known(2.87), P95Low: known(2.87), P95High: known(2.87)},
		OutputTokensPerSecond: known(34.0 / 300), GoodputRequestsPerSecond: known(1.0 / 300), GoodputRequestsPerSecondLow: known(1.0 / 300),
		GoodputRequestsPerSecondHigh: known(1.0 / 300), SLAPercent: known(50), SLAPercentLow: known(50), SLAPercentHigh: known(50),
		SLATTFTSeconds: known(2), SLATokensPerSecond: known(sla.TokensPerSecond), ServingTokensPerSecond: known(8.5), SLARateMet: watchdog.Known(false), Source: watchdog.Known(FromSpans),
	}
	if diff := cmp.Diff(want, got, approx); diff != "" {
		t.Error(diff)
	}
	live.Rows([]ingest.Request{row(35, func(r *ingest.Request) { r.Source = ingest.FromPost })})
	if got := live.Summary(after(40)); got.Source.Value != FromRows || got.Requests != known(4) {
		t.Errorf("with a posted row %+v", got)
	}
	if got := live.Summary(after(400)); got != (Summary{}) {
		t.Errorf("long after: %+v", got)
	}
}

var approx = cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(a)) })

// /status has these names; what is unknown is null, never 0.
func TestSummaryAsJSON(t *testing.T) {
	text, err := json.Marshal(Summary{})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"window_seconds":null,"requests":null,"ttft_seconds":{"p50":null,"p95":null,"p95_low":null,"p95_high":null},` +
		`"output_tokens_per_second":null,"goodput_requests_per_second":null,"goodput_requests_per_second_low":null,` +
		`"goodput_requests_per_second_high":null,"sla_ttft_seconds":null,"sla_tokens_per_second":null,"sla_percent":null,"sla_percent_low":null,"sla_percent_high":null,` +
		`"serving_tokens_per_second":null,"sla_rate_met":null,"source":null}`
	if string(text) != want {
		t.Errorf("%s", text)
	}
	// The highest bound is infinite, which JSON cannot say.
	live := NewLive(sla, after(-3600))
	for i, n := range []float64{5, 9} {
		page := reading(n)
		h := &page.Engines[0].Histograms[vllm.TTFT]
		page.StartedAt = 0
		for k := range h.Counts[:len(h.Counts)-1] {
			h.Counts[k] = 0
		}
		h.Sum = n * 1e5
		live.Read("a", after(float64(i)*15), page)
	}
	got := live.Summary(after(15))
	if _, err := json.Marshal(got); err != nil || got.TTFT.P95High.Known || got.TTFT.P95Low != known(2560) || got.TTFT.P95.Known || got.SLAPercent != known(0) {
		t.Errorf("%v: %+v", err, got)
	}
}

// Rows are exact, but only as good as they are complete.
func TestBetter(t *testing.T) {
	rows := func(n float64) Summary {
		return Summary{Source: watchdog.Known(FromSpans), Requests: known(n), WindowSeconds: known(300)}
	}
	pages := func(n float64) Summary {
		return Summary{Source: watchdog.Known(FromHistograms), Requests: known(n), WindowSeconds: known(300)}
	}
	short := Summary{Source: watchdog.Known(FromSpans), Requests: known(50), WindowSeconds: known(30)}
	young := Summary{Source: watchdog.Known(FromHistograms), Requests: known(100), WindowSeconds: known(60)}
	for _, c := range []struct {
		name        string
		rows, pages Summary
		want        string
	}{
		{"neither", Summary{}, Summary{}, ""},
		{"rows alone", rows(10), Summary{}, FromSpans},
		{"pages alone", Summary{}, pages(10), FromHistograms},
		{"as many of both", rows(100), pages(100), FromSpans},
		{"the last spans are under way", rows(93), pages(100), FromSpans},
		{"spans are sampled", rows(10), pages(100), FromHistograms},
		{"one of few is under way", rows(1), pages(2), FromSpans},
		{"rows of a shorter time", short, pages(500), FromSpans},
		{"rows of a server that is not read", rows(100), pages(0), FromSpans},
		{"the server came up a minute ago", rows(100), young, FromSpans},
		{"the server came up a minute ago, and spans are sampled", rows(60), young, FromHistograms},
	} {
		if got := Better(c.rows, c.pages); got.Source.Value != c.want {
			t.Errorf("%s: %q, want %q", c.name, got.Source.Value, c.want)
		}
	}
}

// A watchdog that has begun a minute ago knows of a minute: the requests before it are no idle time.
func TestSummaryKnowsNothingOfTheTimeBeforeItBegan(t *testing.T) {
	live := NewLive(sla, after(0))
	live.Rows([]ingest.Request{row(-10), row(10), row(50)})
	got := live.Summary(after(60))
	if got.WindowSeconds != known(60) || got.Requests != known(2) || got.OutputTokensPerSecond != known(2*17./60) {
		t.Errorf("after a minute %+v", got)
	}
	if got := live.Summary(after(301)); got.WindowSeconds != known(300) || got.Requests != known(2) {
		t.Errorf("after five %+v", got)
	}
}

// Spans come late, out of order and twice; the window holds each once, and says how far back it is whole.
func TestRecentRows(t *testing.T) {
	r := newRecent(100, after(-3600))
	for i := range 80 {
		if !r.add(row(float64(80 - i))) {
			t.Fatalf("row %d is taken for another", i)
		}
	}
	for i := range 80 {
		if r.add(row(float64(i + 1))) {
			t.Fatalf("row %d came twice and counts twice", i)
		}
	}
	if got := newRecent(100, after(-20)).since(Now, after(100)); !got.Equal(after(-20)) {
		t.Errorf("it is whole since %v, before it began", got)
	}
	if got := r.since(Now, after(100)); !got.Equal(after(100 - 300)) {
		t.Errorf("nothing was lost, yet it is whole only since %v", got)
	}
	for i := range 40 {
		r.add(row(float64(200 + i)))
	}
	// The first twenty that came made room: those that ended from 61 to 80 s.
	if got := r.since(Now, after(250)); !got.Equal(after(80)) {
		t.Errorf("it is whole since %v, want %v", got, after(80))
	}
	got := OfRows(r.all(), r.since(Now, after(250)), after(250), sla)
	if got.Requests != 40 || got.Seconds != 170 || len(r.keys) != 100 || len(r.rows) != 100 {
		t.Errorf("%d rows in %v s, %d keys", got.Requests, got.Seconds, len(r.keys))
	}
	// The source belongs to the key: a span and a post with the same one are two.
	if !r.add(row(239, func(r *ingest.Request) { r.Source = ingest.FromPost })) {
		t.Error("a posted row is taken for a span")
	}
}

func TestTotals(t *testing.T) {
	live := NewLive(SLA{TTFT: 1300 * time.Millisecond}, after(-3600))
	live.Rows([]ingest.Request{row(1), row(2, ttft(1.2999)), row(3, ttft(1.3001)), row(4, withoutTTFT), row(5, aborted), row(5, aborted), row(6, ttft(900))})
	got := live.Totals()
	if got.Graded != [3]uint64{Undecided: 2, Met: 2, Missed: 2} {
		t.Errorf("graded %v", got.Graded)
	}
	if n := got.TTFT.Buckets[1.3]; n != 2 || got.TTFT.Count != 4 || got.TTFT.Buckets[160] != 3 || math.Abs(got.TTFT.Sum-(.4+1.2999+1.3001+900)) > 1e-9 {
		t.Errorf("TTFT %+v", got.TTFT)
	}
	if got.PerOutputToken.Count != 5 || got.PerOutputToken.Buckets[.1] != 5 || got.PerOutputToken.Buckets[.075] != 0 {
		t.Errorf("per token %+v", got.PerOutputToken)
	}
	below := 0
	for bound := range got.PerOutputToken.Buckets {
		if bound < .01 {
			below++
		}
	}
	if below < 4 {
		t.Errorf("%d bounds lie below 10 ms", below)
	}
	if n := len(NewLive(SLA{TTFT: time.Second}, after(-3600)).Totals().TTFT.Buckets); n != len(ttftBounds) {
		t.Errorf("an SLA at a bound makes %d of %d", n, len(ttftBounds))
	}
	if !slices.IsSorted(ttftBounds) || !slices.IsSorted(perTokenBounds) {
		t.Error("bounds are out of order")
	}
}

// Readers and writers at once, for the race detector; the sums come out.
func TestLiveAtOnce(t *testing.T) {
	live := NewLive(sla, after(-3600))
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 50 {
				live.Rows([]ingest.Request{row(float64(i), func(r *ingest.Request) { r.Key = fmt.Sprint(w, i) })})
				live.Read(fmt.Sprint(w), after(float64(i)), reading(float64(i)))
				live.Summary(after(60))
				live.Totals()
			}
		})
	}
	all.Wait()
	if got := live.Totals(); got.Graded[Met] != 200 {
		t.Errorf("%v", got.Graded)
	}
	if w := live.Window(Day, after(60)); w.Requests() != known(4*49) {
		t.Errorf("%+v", w.Requests())
	}
}

func BenchmarkSummary(b *testing.B) {
	live := NewLive(sla, after(-3600))
	for i := range recentRows + 100 {
		live.Rows([]ingest.Request{row(float64(i) / 100)})
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := live.Summary(after(recentRows / 100)); !got.SLAPercent.Known {
			b.Fatalf("%+v", got)
		}
	}
}
