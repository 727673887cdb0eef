package coldstart

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Whatever was seen, and in whatever order, the phases are not negative, are known where their end was seen, and add up to the
// time of the latest milestone.
func TestPhasesAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	for range 2000 {
		var m marks
		latest, seen := time.Duration(0), 0
		for i := range m {
			if random.IntN(3) > 0 {
				m[i] = mark{time.Duration(random.Int64N(int64(time.Hour))), ByLog, true}
				latest = max(latest, m[i].at)
				seen++
			}
		}
		sum := time.Duration(0)
		for i, p := range m.phases() {
			if p.Seconds.Known != m[i].seen || p.Seconds.Value < 0 || p.Name == "" || (p.Source == ByLog) != m[i].seen {
				t.Fatalf("%+v of %+v", p, m[i])
			}
			sum += seconds(p.Seconds.Value)
		}
		if diff := sum - latest; diff.Abs() > time.Microsecond {
			t.Fatalf("%d phases add up to %v, the last milestone is at %v: %+v", seen, sum, latest, m)
		}
	}
}

// Lines of real starts, shortened.
func TestLines(t *testing.T) {
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for name, c := range map[string]struct {
		lines []string
		want  map[milestone]time.Duration
	}{
		"0.32.0 on the CPU, compiled": {[]string{
			"Triton is installed, but doesn't include CPU backend. Disabling Triton.",
			"(Worker pid=2) INFO 11-24 06:23:36 [cpu_model_runner.py:68] Starting to load model tiny...",
			"Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00, 95.74it/s]",
			"(Worker pid=2) INFO 11-24 06:23:37 [default_loader.py:501] Loading weights took 0.01 seconds",
			"(Worker pid=2) INFO 11-24 06:23:37 [cpu_model_runner.py:87] Warming up model for the compilation...",
			"(Worker pid=2) INFO 11-24 06:24:19 [cpu_model_runner.py:91] Warming up done.",
			"(EngineCore pid=1) INFO 11-24 06:24:20 [core.py:402] init engine (profile, create kv cache, warmup model) took 42.69 s",
		}, map[milestone]time.Duration{loading: s(2), weights: s(4), compiled: s(6), engine: s(7)}},
		"two workers on GPUs": {[]string{
			"\x1b[0;36m(Worker_TP0 pid=2)\x1b[0;0m INFO [gpu_model_runner.py:55] Starting to load model m...",
			"\x1b[0;36m(Worker_TP1 pid=3)\x1b[0;0m INFO [gpu_model_runner.py:55] Starting to load model m...",
			"INFO [default_loader.py:308] Loading weights took 4.10 seconds",
			"INFO [default_loader.py:308] Loading weights took 5.20 seconds",
			"INFO [gpu_model_runner.py:5150] Model loading took 7.5 GiB memory and 6.100000 seconds",
			"INFO [monitor.py:34] torch.compile takes 31.20 s in total",
			"INFO [gpu_model_runner.py:6582] Graph capturing finished in 9 secs, took 0.60 GiB",
			"INFO [gpu_model_runner.py:6582] Graph capturing finished in 11 secs, took 0.60 GiB",
			"INFO [core.py:254] init engine (profile, create kv cache, warmup model) took 60.82 seconds",
		}, map[milestone]time.Duration{loading: s(1), weights: s(5), compiled: s(6), captured: s(8), engine: s(9)}},
		"another server": {[]string{"Uvicorn running on http://0.0.0.0:8000"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var m marks
			for i, line := range c.lines {
				m.readLine([]byte(line), s(i+1))
			}
			for i := range m {
				want, there := c.want[milestone(i)]
				if m[i].seen != there || m[i].at != want {
					t.Errorf("%s ends at %v (seen: %v), not at %v", phaseNames[i], m[i].at, m[i].seen, want)
				}
			}
		})
	}
}

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
		if !m[firstLine].seen || m[firstLine].at != time.Second || !m[loading].seen || !m[weights].seen || m[weights].at < m[loading].at {
			t.Errorf("in pieces of %d: %+v", size, m)
		}
		begins := len("boot\rprogress 10%\r")/size + 1
		if want := time.Duration(begins) * time.Second; m[loading].at != want {
			t.Errorf("in pieces of %d: the line began in piece %d and is dated %v", size, begins, m[loading].at)
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
	want := marks{loading: {seconds(27.5), BySpan, true}, weights: {seconds(33), BySpan, true}, compiled: {seconds(74), BySpan, true}, engine: {seconds(75.5), BySpan, true}}
	if m != want {
		t.Errorf("have %+v, want %+v", m, want)
	}
	if !slices.IsSortedFunc(all, func(a, b Span) int { return int(a.Began - b.Began) }) || len(all) != 8 {
		t.Errorf("the spans are %+v", all)
	}
	log := marks{firstLine: {seconds(9), ByLog, true}, weights: {seconds(34), ByLog, true}}
	if both := log.over(m); both[firstLine] != log[firstLine] || both[weights] != m[weights] {
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
