package kvcache

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// The document's section 3.1 asks for TPOT, decode time, the time between tokens and the memory at 128, 256, 512 and 1024 output
// tokens. Here the server takes 0.4 ms for each token whatever the length, two tokens a chunk.
func TestSeedSection3_1KVCacheTable(t *testing.T) {
	f := &fakeVLLM{tpot: flat(400 * time.Microsecond), perChunk: 2, most: 4096,
		lingers: func(n int64) bool { return n >= 2 && n <= 5 }} // one warm-up, then a look at each length
	memory := 7e9
	progress := 0
	r, err := Run(t.Context(), Config{
		Client: f.serve(t), Prompt: "p", Lengths: []int{1024, 128, 256, 512, 128}, Repeats: 2, WarmUps: 1, Tolerance: 15,
		GPUMemory: func(context.Context) watchdog.Maybe[float64] { return watchdog.Known(memory) },
		Progress: func(done, all int) {
			if progress++; done != progress || all != 1+4+8 {
				t.Errorf("progress %d of %d", done, all)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Model != "tiny" || r.Version != "0.0.1-fake" || r.PromptTokens != promptTokens || len(r.Samples) != 8 || progress != 13 {
		t.Errorf("have %+v after %d requests", r, progress)
	}
	for i, want := range []int{128, 256, 512, 1024} {
		l := r.Lengths[i]
		if l.OutputTokens != want || l.Samples != 2 || l.Failed != 0 {
			t.Fatalf("have %+v", l)
		}
		// A machine under load is late; the schedule is never early by more than the first token was late.
		if l.TPOT.Mean < .3 || l.TPOT.Mean > 1.6 {
			t.Errorf("%d tokens: TPOT %v ms, not 0.4", want, l.TPOT.Mean)
		}
		if tpot := l.Decode.Mean / float64(want-1); math.Abs(tpot-l.TPOT.Mean) > 1e-6 {
			t.Errorf("%d tokens: decode time %v ms and TPOT %v ms do not agree", want, l.Decode.Mean, l.TPOT.Mean)
		}
		// A chunk brings two tokens, which share its gap.
		if l.BetweenTokens == nil || l.BetweenTokens.Count != 2*(want-1) || l.BetweenChunks.Count >= l.BetweenTokens.Count {
			t.Fatalf("%d tokens: %+v between chunks, %+v between tokens", want, l.BetweenChunks, l.BetweenTokens)
		}
		if math.Abs(l.BetweenTokens.Mean-l.TPOT.Mean) > 1e-6 {
			t.Errorf("%d tokens: %v ms between tokens, TPOT %v ms", want, l.BetweenTokens.Mean, l.TPOT.Mean)
		}
		if all := math.Ceil(float64(promptTokens+want) / blockTokens); l.KVBlocks != watchdog.Known(all) {
			t.Errorf("%d tokens take %v blocks, not %v", want, l.KVBlocks, all)
		}
		if l.KVNeeded != watchdog.Known(math.Ceil(float64(promptTokens+want-1)/blockTokens)) {
			t.Errorf("%d tokens need %v blocks", want, l.KVNeeded)
		}
		if l.KVBytes.Value != l.KVBlocks.Value*blockBytes || l.GPUMemory.Value != memory {
			t.Errorf("%d tokens take %v bytes in %v blocks, beside %v", want, l.KVBytes, l.KVBlocks, l.GPUMemory)
		}
	}
	if r.Verdict == nil || r.Fit == nil || r.Fit.Points != 8 {
		t.Fatalf("there is no verdict: %+v", r.Notes)
	}
	var table, list strings.Builder
	r.Table(&table)
	for _, want := range []string{"1024", "KV BLOCKS", r.Verdict.Text} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, table.String())
		}
	}
	if err := r.CSV(&list); err != nil || strings.Count(list.String(), "\n") != 5 {
		t.Errorf("%v:\n%s", err, list.String())
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// A server whose time for each token grows with the length by a known slope, far beyond the noise, is found out.
func TestGrowthIsFound(t *testing.T) {
	const intercept, slope = 1.0, .05 // ms, ms for each token
	f := &fakeVLLM{silent: true, lingers: func(n int64) bool { return n >= 2 && n <= 4 }, tpot: func(n int) time.Duration {
		return time.Duration((intercept + slope*float64(n)) * float64(time.Millisecond))
	}}
	r, err := Run(t.Context(), Config{Client: f.serve(t), Prompt: "p", Lengths: []int{16, 32, 64}, Repeats: 3, WarmUps: 1, Tolerance: 15})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict == nil || r.Verdict.Outcome != Grows || !r.Verdict.Measurable || math.Abs(r.Fit.Slope-slope) > .35*slope {
		t.Fatalf("have %+v of %+v", r.Verdict, r.Fit)
	}
	for _, l := range r.Lengths {
		if want := intercept + slope*float64(l.OutputTokens); l.TPOT.Mean < .9*want || l.TPOT.Mean > 2*want {
			t.Errorf("%d tokens: TPOT %v ms, not %v", l.OutputTokens, l.TPOT.Mean, want)
		}
		if l.BetweenTokens != nil {
			t.Errorf("%d tokens: the server did not tell the tokens of its chunks, and yet there is %+v", l.OutputTokens, l.BetweenTokens)
		}
		if l.GPUMemory.Known {
			t.Errorf("nobody read the GPUs' memory, and yet it is %v", l.GPUMemory)
		}
	}
	// One warm-up, one look at each length, then the rounds, each in another order.
	f.mu.Lock()
	defer f.mu.Unlock()
	if want := []int{16, 16, 32, 64, 16, 32, 64, 64, 32, 16, 32, 64, 16}; !slices.Equal(f.lengths, want) {
		t.Errorf("asked for %v, want %v", f.lengths, want)
	}
}

func TestWrongLengthIsNoSample(t *testing.T) {
	f := &fakeVLLM{tpot: flat(0), short: 3}
	r, err := Run(t.Context(), Config{Client: f.serve(t), Prompt: "p", Lengths: []int{16, 32}, Repeats: 3, WarmUps: 1, Tolerance: 15})
	if err == nil || !strings.Contains(err.Error(), "13, not 16") || len(r.Samples) != 0 || r.Verdict != nil || r.EndedEarly == "" {
		t.Errorf("%v, %+v", err, r)
	}
}

// What fails in the midst of it is counted apart; three failures in a row end it, with what there is.
func TestFailuresEndItWithWhatThereIs(t *testing.T) {
	f := &fakeVLLM{tpot: flat(0), lingers: func(n int64) bool { return n == 2 || n == 3 }}
	f.before = func(n int64) {
		// One warm-up and two looks come before. The fifth measured request fails, and from the eighth on all do.
		if n == 8 || n >= 11 {
			panic(http.ErrAbortHandler)
		}
	}
	r, err := Run(t.Context(), Config{Client: f.serve(t), Prompt: "p", Lengths: []int{16, 32}, Repeats: 50, WarmUps: 1, Tolerance: 15})
	if err == nil || len(r.Samples) != 10 {
		t.Fatalf("%v after %d requests", err, len(r.Samples))
	}
	good, failed := 0, 0
	for _, l := range r.Lengths {
		good, failed = good+l.Samples, failed+l.Failed
	}
	if good != 6 || failed != 4 || r.Fit == nil || r.Fit.Points != 6 {
		t.Errorf("%d good, %d failed, %+v", good, failed, r.Fit)
	}
	var table strings.Builder
	r.Table(&table)
	if !strings.Contains(table.String(), "Ended early") {
		t.Errorf("the table says nothing of it:\n%s", table.String())
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &fakeVLLM{tpot: flat(0), lingers: func(n int64) bool { return n == 2 || n == 3 }}
	f.before = func(n int64) {
		if n == 10 {
			cancel()
		}
	}
	r, err := Run(ctx, Config{Client: f.serve(t), Prompt: "p", Lengths: []int{16, 32}, Repeats: 50, WarmUps: 1, Tolerance: 15})
	if !errors.Is(err, context.Canceled) || len(r.Samples) < 6 || len(r.Samples) > 7 {
		t.Fatalf("%v after %d requests", err, len(r.Samples))
	}
	if r.Fit == nil || r.EndedEarly == "" {
		t.Errorf("have %+v", r)
	}
}

func TestTooLongForTheModel(t *testing.T) {
	f := &fakeVLLM{tpot: flat(0), most: promptTokens + 31}
	if r, err := Run(t.Context(), Config{Client: f.serve(t), Prompt: "p", Lengths: []int{16, 32}, Repeats: 1, WarmUps: 1}); !errors.Is(err, ErrTooLong) || len(r.Samples) != 0 {
		t.Errorf("%v, %+v", err, r)
	}
}

// Without a page nothing is known of the cache, and everything else is.
func TestServerWithoutAPage(t *testing.T) {
	f := &fakeVLLM{tpot: flat(0), noPage: true}
	r, err := Run(t.Context(), Config{Client: f.serve(t), Prompt: "p", Lengths: []int{16, 32}, Repeats: 2, WarmUps: 1, Tolerance: 15})
	if err != nil || r.Cache != nil || r.Lengths[0].KVBlocks.Known || r.Lengths[0].TPOT == nil || len(r.Notes) == 0 {
		t.Errorf("%v, %+v", err, r)
	}
}

// Where the looks come too late each time, it asks again, and then says what it has not seen.
func TestPeakThatIsMissed(t *testing.T) {
	f := &fakeVLLM{tpot: flat(0), forgets: true}
	r, err := Run(t.Context(), Config{Client: f.serve(t), Prompt: "p", Lengths: []int{16, 32}, Repeats: 2, WarmUps: 1, Tolerance: 15})
	if err != nil {
		t.Fatal(err)
	}
	if n := f.asked.Load(); n != 1+2*probesMost+4 {
		t.Errorf("asked %d times", n)
	}
	if r.Lengths[0].KVBlocks.Known || r.Lengths[0].KVBytes.Known || len(r.Notes) != 2 || !strings.Contains(r.Notes[0], "Of the 8 blocks that 16 output tokens need") {
		t.Errorf("have %+v and %q", r.Lengths[0], r.Notes)
	}
}

func TestPeakInBytes(t *testing.T) {
	known := watchdog.Known[float64]
	var l Length
	l.take(peak{blocks: known(8.999999)}, &Cache{BytesPerBlock: known(262144)})
	if l.KVBlocks != known(9) || l.KVBytes != known(9*262144) || l.GPUMemory.Known {
		t.Errorf("have %+v", l)
	}
	l = Length{}
	l.take(peak{}, &Cache{BytesPerBlock: known(262144)})
	if l.KVBlocks.Known || l.KVBytes.Known {
		t.Errorf("of nothing seen: %+v", l)
	}
	l.take(peak{blocks: known(3)}, nil)
	if l.KVBlocks != known(3) || l.KVBytes.Known {
		t.Errorf("without the size of a block: %+v", l)
	}
}
