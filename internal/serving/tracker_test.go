package serving

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

var start = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// reading is a page of a server with one engine which has served n requests of 11 tokens: TTFT 0.3 s, 10 steps of 20 ms.
func reading(n float64) *vllm.Serving {
	e := vllm.ServedEngine{
		ID: "0", PromptTokens: known(100 * n), GenerationTokens: known(11 * n), Finished: known(n), Aborted: known(0),
		Running: known(2), KVUsage: known(.25), KVTokens: known(1000),
	}
	fill := func(f vllm.Family, each, value float64) {
		h := vllm.Histogram{State: vllm.HistogramGood, Bounds: append(append([]float64{}, vllmBounds[f]...), inf), Sum: n * each * value}
		for _, bound := range h.Bounds {
			if value <= bound {
				h.Counts = append(h.Counts, n*each)
			} else {
				h.Counts = append(h.Counts, 0)
			}
		}
		e.Histograms[f] = h
	}
	fill(vllm.TTFT, 1, .3)
	fill(vllm.InterToken, 10, .02)
	fill(vllm.PerOutputToken, 1, .02)
	fill(vllm.EndToEnd, 1, .55)
	fill(vllm.Queue, 1, .1)
	fill(vllm.Prefill, 1, .15)
	fill(vllm.Decode, 1, .2)
	fill(vllm.OutputTokens, 1, 11)
	return &vllm.Serving{Good: true, StartedAt: float64(start.Unix()) - 60, Engines: []vllm.ServedEngine{e}}
}

// after is start and some seconds.
func after(seconds float64) time.Time { return start.Add(time.Duration(seconds * 1e9)) }

func TestWindow(t *testing.T) {
	tracker := NewTracker(Now)
	for i, n := range []float64{5, 8, 25} {
		if why := tracker.Read("a", after(float64(i)*15), reading(n)); why != "" {
			t.Fatal(why)
		}
	}
	w := tracker.Window(Now, after(31))
	s := SLA{TTFT: 500 * time.Millisecond, TokensPerSecond: 7}
	f := w.Figure(vllm.TTFT)
	if f.Count != 20 || math.Abs(f.Mean.Value-.3) > 1e-12 || f.P95.Low != known(.25) || f.P95.High != known(.5) || f.Note != "" {
		t.Errorf("TTFT is %+v", f)
	}
	if f := w.Figure(vllm.PerOutputToken); f.Count != 20 || math.Abs(f.Mean.Value-.02) > 1e-12 {
		t.Errorf("per token %+v", f)
	}
	mean, most := w.Running()
	usage, peak := w.KVUsage()
	for what, c := range map[string]struct{ got, want watchdog.Maybe[float64] }{
		"requests": {w.Requests(), known(20)}, "requests/s": {w.RequestsPerSecond(), known(20.0 / 30)},
		"tokens": {w.OutputTokens(), known(220)}, "prompt tokens": {w.PromptTokens(), known(2000)},
		"tokens/s": {w.OutputTokensPerSecond(), known(220.0 / 30)}, "batch": {mean, known(2)}, "largest batch": {most, known(2)},
		"KV": {usage, known(.25)}, "KV peak": {peak, known(.25)}, "KV tokens": {w.KVTokens(), known(250)},
		"SLA": {w.SLAPercent(s).Value.Exact(), known(100)}, "goodput": {w.Goodput(s).Value.Exact(), known(20.0 / 30)},
	} {
		if !c.got.Known || math.Abs(c.got.Value-c.want.Value) > 1e-9 {
			t.Errorf("%s: %+v, want %v", what, c.got, c.want.Value)
		}
	}
	if sum := w.Summary(s); !sum.SLARateMet.Value || sum.Source.Value != FromHistograms || sum.TTFT.P95High != known(.5) {
		t.Errorf("%+v", sum)
	}
	if share := w.SLAPercent(SLA{TTFT: 400 * time.Millisecond}).Value; share != (Range{0, 100}) {
		t.Errorf("0.4 s lies within a bucket, yet the share is %+v", share)
	}
	if w := tracker.Window(time.Hour, after(31)); w.Seconds() != 0 || w.Summary(s) != (Summary{}) {
		t.Errorf("a window that nobody asked for: %+v", w)
	}
}

// Each row breaks one thing in a second reading that otherwise follows the first.
func TestWhatEndsAnInterval(t *testing.T) {
	one := func(s *vllm.Serving) *vllm.ServedEngine { return &s.Engines[0] }
	for _, c := range []struct {
		name  string
		spoil func(*vllm.Serving)
		want  string
	}{
		{"nothing", func(*vllm.Serving) {}, ""},
		{"another start stamp", func(s *vllm.Serving) { s.StartedAt++ }, "start stamp"},
		{"no start stamp any more", func(s *vllm.Serving) { s.StartedAt = 0 }, "start stamp"},
		{"prompt tokens fell", func(s *vllm.Serving) { one(s).PromptTokens = known(1) }, "counter fell"},
		{"tokens fell", func(s *vllm.Serving) { one(s).GenerationTokens = known(1) }, "counter fell"},
		{"finished requests fell", func(s *vllm.Serving) { one(s).Finished = known(1) }, "counter fell"},
		{"a counter and its histogram are gone", func(s *vllm.Serving) {
			one(s).Finished, one(s).Histograms[vllm.EndToEnd] = watchdog.Maybe[float64]{}, vllm.Histogram{}
		}, "counter is gone"},
		{"a counter is no number", func(s *vllm.Serving) { one(s).Finished = watchdog.Maybe[float64]{} }, ""},
		{"a bucket fell", func(s *vllm.Serving) {
			one(s).Histograms[vllm.Queue].Counts[0] = 4
		}, "bucket fell"},
		{"a histogram is gone", func(s *vllm.Serving) { one(s).Histograms[vllm.TTFT] = vllm.Histogram{} }, "histogram is gone"},
		{"other buckets", func(s *vllm.Serving) { one(s).Histograms[vllm.TTFT].Bounds[0] /= 2 }, "other buckets"},
		{"an engine is gone", func(s *vllm.Serving) { s.Engines[0].ID = "1" }, "engine is gone"},
		{"a sum fell", func(s *vllm.Serving) { one(s).Histograms[vllm.Queue].Sum = -48 }, ""},
		{"another engine", func(s *vllm.Serving) { s.Engines = append(s.Engines, vllm.ServedEngine{ID: "1"}) }, ""},
		{"a broken histogram", func(s *vllm.Serving) { one(s).Histograms[vllm.Queue] = vllm.Histogram{State: vllm.HistogramBroken} }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tracker := NewTracker(Now)
			tracker.Read("a", start, reading(5))
			second := reading(9)
			c.spoil(second)
			why := tracker.Read("a", after(15), second)
			if !strings.Contains(why, c.want) || (why == "") != (c.want == "") {
				t.Errorf("it says %q, want %q", why, c.want)
			}
			w := tracker.Window(Now, after(15))
			seconds, resets := 15.0, 0
			if c.want != "" {
				seconds, resets = 0, 1
			}
			if w.Seconds() != seconds || w.Resets != resets || c.want != "" && w.Figure(vllm.InterToken).Count != 0 {
				t.Errorf("%v s were observed, %d resets", w.Seconds(), w.Resets)
			}
		})
	}
}

// Older engines show a counter or a histogram only when it is first touched: until then it was 0.
func TestAFamilyThatAppears(t *testing.T) {
	tracker := NewTracker(Now)
	fresh := &vllm.Serving{Good: true}
	tracker.Read("a", start, fresh)
	first := reading(3)
	first.StartedAt = 0
	tracker.Read("a", after(15), first)
	w := tracker.Window(Now, after(15))
	if f := w.Figure(vllm.TTFT); f.Count != 3 || w.OutputTokens() != known(33) || w.Requests() != known(3) {
		t.Errorf("%+v, %+v tokens, %+v requests", f, w.OutputTokens(), w.Requests())
	}

	// A counter that was unreadable for one page is not taken to have begun at 0.
	second, third := reading(5), reading(7)
	second.StartedAt, third.StartedAt = 0, 0
	second.Engines[0].GenerationTokens, second.Engines[0].Finished = watchdog.Maybe[float64]{}, watchdog.Maybe[float64]{}
	tracker.Read("a", after(30), second)
	tracker.Read("a", after(45), third)
	w = tracker.Window(Now, after(45))
	if w.OutputTokens() != known(33) || w.OutputTokensPerSecond() != known(33.0/15) || w.Requests() != known(3) || w.Seconds() != 45 {
		t.Errorf("%+v tokens, %+v a second, %+v requests in %v s", w.OutputTokens(), w.OutputTokensPerSecond(), w.Requests(), w.Seconds())
	}
}

// A counter that was there and is not, beside a histogram without an observation, has not gone backwards.
func TestACounterThatVanishes(t *testing.T) {
	tracker := NewTracker(Now)
	for i, finished := range []watchdog.Maybe[float64]{known(5), {}} {
		page := reading(0)
		page.Engines[0].Finished = finished
		tracker.Read("a", after(float64(i)*15), page)
	}
	if w := tracker.Window(Now, after(15)); w.Requests().Known {
		t.Errorf("%+v requests", w.Requests())
	}
}

// A long prefill moves no counter: what runs is served all the same.
func TestServingWithoutTokens(t *testing.T) {
	for running, want := range map[float64]float64{2: 11.0 / 30, 0: 11.0 / 15} {
		tracker := NewTracker(Now)
		for i, n := range []float64{1, 1, 2} {
			page := reading(n)
			page.Engines[0].Running = known(running)
			tracker.Read("a", after(float64(i)*15), page)
		}
		w := tracker.Window(Now, after(30))
		if got := w.ServingTokensPerSecond(); got != known(want) {
			t.Errorf("with %v running: %+v tokens/s, want %v", running, got, want)
		}
	}
}

// The memory of a reading is the reader's, who reads another server into it.
func TestNothingOfAReadingIsKept(t *testing.T) {
	tracker := NewTracker(Now)
	page := reading(0)
	for i, n := range []float64{5, 9} {
		next := reading(n)
		for f := range page.Engines[0].Histograms {
			to, from := &page.Engines[0].Histograms[f], &next.Engines[0].Histograms[f]
			copy(to.Bounds, from.Bounds)
			copy(to.Counts, from.Counts)
			to.Sum = from.Sum
		}
		tracker.Read("a", after(float64(i)*15), page)
		for f := range page.Engines[0].Histograms {
			clear(page.Engines[0].Histograms[f].Bounds)
			clear(page.Engines[0].Histograms[f].Counts)
		}
	}
	w := tracker.Window(Now, after(15))
	if f := w.Figure(vllm.TTFT); f.Count != 4 || f.P95.Low != known(.25) || f.P95.High != known(.5) {
		t.Errorf("%+v", f)
	}
}

// Versions before 0.11 have no histogram of the time per output token: its mean is decode time by tokens.
func TestPerTokenOfOlderServers(t *testing.T) {
	tracker := NewTracker(Now)
	for i, n := range []float64{5, 9} {
		page := reading(n)
		page.Engines[0].Histograms[vllm.PerOutputToken] = vllm.Histogram{}
		tracker.Read("a", after(float64(i)*15), page)
	}
	w := tracker.Window(Now, after(15))
	if f := w.Figure(vllm.PerOutputToken); math.Abs(f.Mean.Value-.02) > 1e-12 || f.P95 != (Quantile{}) || f.Note == "" {
		t.Errorf("%+v", f)
	}
}

// What is read after nobody listened is another start, though every count is higher.
func TestLostServer(t *testing.T) {
	tracker := NewTracker(Now)
	tracker.Read("a", start, reading(5))
	tracker.Read("a", after(15), &vllm.Serving{Why: "timeout"}) // says nothing
	tracker.Read("a", after(30), reading(6))
	tracker.Read("a", after(45), &vllm.Serving{Gone: true})
	tracker.Read("a", after(60), reading(50))
	tracker.Read("b", after(60), &vllm.Serving{Gone: true})
	if w := tracker.Window(Now, after(60)); w.Requests() != known(1) || w.Seconds() != 30 {
		t.Errorf("%+v requests in %v s", w.Requests(), w.Seconds())
	}
}

func TestClockSetBack(t *testing.T) {
	tracker := NewTracker(Now)
	tracker.Read("a", after(60), reading(5))
	if why := tracker.Read("a", start, reading(9)); why == "" {
		t.Error("an interval of negative length was counted")
	}
	if why := tracker.Read("a", after(15), reading(10)); why != "" {
		t.Error(why)
	}
	if w := tracker.Window(Now, after(15)); w.Requests() != known(1) {
		t.Errorf("%+v", w.Requests())
	}
}

// Windows roll: what is older than the span is forgotten, whatever the distance of the readings.
func TestWindowsRoll(t *testing.T) {
	tracker := NewTracker(5*time.Minute, time.Hour)
	n := 0.0
	for s := 0.0; s <= 7200; s += 15 {
		n++
		if s > 3600 && s <= 7000 {
			n++
		}
		tracker.Read("a", after(s), reading(n))
	}
	short, long := tracker.Window(5*time.Minute, after(7200)), tracker.Window(time.Hour, after(7200))
	// Each holds 23 whole slots and the one under way.
	if got := short.Seconds(); got < 285 || got > 300 {
		t.Errorf("five minutes are %v s", got)
	}
	if got := long.Seconds(); got < 3450 || got > 3600 {
		t.Errorf("an hour is %v s", got)
	}
	if want := short.Seconds()/15 + (short.Seconds()-210)/15; short.Requests().Value != want {
		t.Errorf("%v requests in the last %v s, want %v", short.Requests().Value, short.Seconds(), want)
	}
	if later := tracker.Window(5*time.Minute, after(7200+301)); later.Seconds() != 0 {
		t.Errorf("just past its span the window still holds %v s", later.Seconds())
	}
	if later := tracker.Window(5*time.Minute, after(7200+600)); later.Seconds() != 0 || later.Requests().Known {
		t.Errorf("ten minutes later the window still holds %v s", later.Seconds())
	}
	// An interval longer than a window is in none that is shorter than it.
	tracker.Read("a", after(7200+1800), reading(n+100))
	short, long = tracker.Window(5*time.Minute, after(9000)), tracker.Window(time.Hour, after(9000))
	if short.Seconds() != 0 || long.Requests().Value < 100 {
		t.Errorf("a gap of half an hour: %v s, %v requests", short.Seconds(), long.Requests().Value)
	}
}

// Reading goes on for months in the memory of the first hours.
func TestMemoryIsBounded(t *testing.T) {
	tracker := NewTracker(Now, Day)
	n, at := 0.0, 0.0
	page := reading(0)
	read := func() {
		n++
		at += 15
		for f := range page.Engines[0].Histograms {
			h := &page.Engines[0].Histograms[f]
			for i := range h.Counts {
				h.Counts[i] = n
			}
			h.Sum = n * 1e-4
		}
		tracker.Read("a", after(at), page)
	}
	for range 12_000 {
		read()
	}
	if allocations := testing.AllocsPerRun(2000, read); allocations > 0 {
		t.Errorf("%v allocations for each reading", allocations)
	}
	for i := range 200 {
		tracker.Read(fmt.Sprint(i), start, reading(1))
	}
	if len(tracker.servers) > maxServers {
		t.Errorf("%d servers are followed", len(tracker.servers))
	}
	if why := tracker.Read("one more", start, reading(1)); why == "" {
		t.Error("one server too many is not refused")
	}
	for i := range 200 {
		odd := reading(1)
		odd.Engines[0].Histograms[vllm.TTFT].Bounds[0] = float64(i) * 1e-6
		tracker.Read("a", after(at+float64(i+1)), odd)
	}
	if len(tracker.bounds) > maxBoundsKept {
		t.Errorf("%d sets of bounds are kept", len(tracker.bounds))
	}
}

// Two pages of a real server, one before its first request and one after three streams of 1500 tokens.
func TestRecordedPages(t *testing.T) {
	for _, version := range []string{"0.12.0", "0.32.0", "0.32.0-api2"} {
		t.Run(version, func(t *testing.T) {
			dir, err := filepath.Abs(filepath.Join("..", "..", "collector", "vllm", "testdata"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(dir); err != nil {
				t.Fatal(err)
			}
			tracker := NewTracker(Now)
			for i, state := range []string{"no-request-yet", "idle"} {
				var page vllm.Serving
				if err := vllm.ParseServing(unpack(t, dir, version+"-"+state+".metrics.gz"), "", &page); err != nil {
					t.Fatal(err)
				}
				at := time.Unix(int64(page.StartedAt), 0).Add(time.Minute + time.Duration(i)*30*time.Second)
				if why := tracker.Read("a", at, &page); why != "" {
					t.Fatal(why)
				}
				if i == 1 {
					w := tracker.Window(Now, at)
					if w.Requests() != known(3) || w.OutputTokens() != known(4500) || w.PromptTokens() != known(123) || w.Figure(vllm.InterToken).Count != 4497 {
						t.Errorf("%+v requests, %+v tokens, %+v of prompts", w.Requests(), w.OutputTokens(), w.PromptTokens())
					}
					for f := range vllm.NumFamilies {
						if got := w.Figure(f); !got.Mean.Known || got.Refused > 0 || got.Note != "" {
							t.Errorf("family %d: %+v", f, got)
						}
					}
					if got := w.Figure(vllm.OutputTokens); got.Mean != known(1500) || got.P50.Low != known(1000) || got.P50.High != known(2000) {
						t.Errorf("the length is %+v", got)
					}
				}
			}
		})
	}
}
