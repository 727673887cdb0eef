package coldstart

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// However the pipe cuts what is written, the same lines come out, dated by their beginning, and memory is bounded.
func TestOutputIsReadInAnyPieces(t *testing.T) {
	const text = "boot\rprogress 10%\rStarting to load model m\n\nLoading weights took 1 s\r\nno end"
	for size := 1; size <= len(text); size++ {
		at := time.Duration(0)
		kept := &counted{}
		o := &output{to: kept, since: func() time.Duration { at += time.Second; return at }}
		for piece := range slices.Chunk([]byte(text), size) {
			if n, err := o.Write(piece); n != len(piece) || err != nil {
				t.Fatal(n, err)
			}
		}
		m := o.seen()
		if !m[startup.FirstLine].Seen || m[startup.FirstLine].At != time.Second || !m[startup.Loading].Seen || !m[startup.Weights].Seen || m[startup.Weights].At < m[startup.Loading].At {
			t.Errorf("in pieces of %d: %+v", size, m)
		}
		begins := len("boot\rprogress 10%\r")/size + 1
		if want := time.Duration(begins) * time.Second; m[startup.Loading].At != want {
			t.Errorf("in pieces of %d: the line began in piece %d and is dated %v", size, begins, m[startup.Loading].At)
		}
		if kept.n != len(text) {
			t.Errorf("%d of %d bytes came to the file", kept.n, len(text))
		}
	}
	o := &output{to: &counted{}, since: func() time.Duration { return 0 }}
	for range 1000 {
		_, _ = o.Write(make([]byte, 64<<10))
	}
	if len(o.line) > longestLine || cap(o.line) > 4*longestLine {
		t.Errorf("a line without an end takes %d bytes", cap(o.line))
	}
}

type counted struct{ n int }

func (c *counted) Write(p []byte) (int, error) { c.n += len(p); return len(p), nil }

func TestSpansTellMilestones(t *testing.T) {
	exec := time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)
	span := func(name string, from, took float64) ingest.Phase {
		return ingest.Phase{Key: name, Name: name, Began: exec.Add(seconds(from)), Seconds: took, Process: "worker"}
	}
	all, m := spansOf([]ingest.Phase{
		span("Overall Loading", 5, 66.5), span("Load weights", 30, 1), span("Load model", 28, 4), span("Loading (CPU)", 27.5, 5), span("Warmup (CPU)", 33, 41),
		span("Prepare model", 32.5, 43), span("Load model", 28.5, 4.5), span("Load model", -500, 2),
	}, exec)
	want := startup.Marks{startup.Loading: {At: seconds(27.5), Source: startup.BySpan, Seen: true}, startup.Weights: {At: seconds(33), Source: startup.BySpan, Seen: true}, startup.Compiled: {At: seconds(74), Source: startup.BySpan, Seen: true}, startup.Engine: {At: seconds(75.5), Source: startup.BySpan, Seen: true}}
	if m != want {
		t.Errorf("have %+v, want %+v", m, want)
	}
	if !slices.IsSortedFunc(all, func(a, b Span) int { return int(a.Began - b.Began) }) || len(all) != 8 {
		t.Errorf("the spans are %+v", all)
	}
	log := startup.Marks{startup.FirstLine: {At: seconds(9), Source: startup.ByLog, Seen: true}, startup.Weights: {At: seconds(34), Source: startup.ByLog, Seen: true}}
	if both := log.Over(m); both[startup.FirstLine] != log[startup.FirstLine] || both[startup.Weights] != m[startup.Weights] {
		t.Errorf("together they are %+v", both)
	}
}

func TestReceiverWaitsForTheRoot(t *testing.T) {
	r, err := receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	one := ingest.Phase{Key: "a", Name: "Load model"}
	root := ingest.Phase{Key: "b", Name: rootSpan}
	for _, p := range []ingest.Phase{one, root, one, root} { // batches come twice
		if err := r.Add(t.Context(), ingest.Batch{Phases: []ingest.Phase{p}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.await(t.Context()); len(got) != 2 {
		t.Errorf("have %+v", got)
	}
}

func TestPlanAlternates(t *testing.T) {
	for _, c := range []struct {
		cold, warm int
		want       []Kind
	}{
		{3, 2, []Kind{Cold, Warm, Cold, Warm, Cold}}, {0, 2, []Kind{Warm, Warm}}, {1, 3, []Kind{Cold, Warm, Warm, Warm}}, {0, 0, nil},
	} {
		if got := plan(c.cold, c.warm); !slices.Equal(got, c.want) {
			t.Errorf("%d cold and %d warm: %v", c.cold, c.warm, got)
		}
	}
}

// What is suggested lies within what was measured, rounded up; one more start as slow as the slowest never lowers it.
func TestSuggestion(t *testing.T) {
	if suggested(nil).Known {
		t.Error("something is suggested without a start")
	}
	// numpy.percentile([40, 50, 70], 75) is 60.
	if got := suggested([]float64{70, 40, 50}); got != watchdog.Known(time.Minute) {
		t.Errorf("have %v", got)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		all := make([]float64, 1+random.IntN(8))
		for i := range all {
			all[i] = 600 * random.Float64()
		}
		got := suggested(all).Value.Seconds()
		if got < slices.Min(all) || got >= slices.Max(all)+1 {
			t.Fatalf("%v of %v", got, all)
		}
		if more := suggested(append(all, slices.Max(all))).Value.Seconds(); more < got {
			t.Fatalf("%v of %v, and %v with one slow start more", got, all, more)
		}
	}
}

func TestBeyondUsual(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		ttfts        []time.Duration
		extra, usual time.Duration
		known        bool
	}{
		{[]time.Duration{10 * s, s, s, s, s, 2 * s}, 8800 * time.Millisecond, 1200 * time.Millisecond, true},
		{[]time.Duration{s, 2 * s}, 0, 2 * s, true},
		{[]time.Duration{10 * s}, 0, 0, false},
		{nil, 0, 0, false},
	} {
		if extra, usual, known := beyondUsual(c.ttfts); extra != c.extra || usual != c.usual || known != c.known {
			t.Errorf("%v: %v %v %v", c.ttfts, extra, usual, known)
		}
	}
}
