package startup

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever was seen, and in whatever order, the phases are not negative, are known where their end was seen, and add up to the
// time of the latest milestone.
func TestPhasesAddUp(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2))
	for range 2000 {
		var m Marks
		latest, seen := time.Duration(0), 0
		for i := range m {
			if random.IntN(3) > 0 {
				m[i] = Mark{time.Duration(random.Int64N(int64(time.Hour))), ByLog, true}
				latest = max(latest, m[i].At)
				seen++
			}
		}
		sum := time.Duration(0)
		for i, p := range m.Phases() {
			if p.Seconds.Known != m[i].Seen || p.Seconds.Value < 0 || p.Name == "" || (p.Source == ByLog) != m[i].Seen {
				t.Fatalf("%+v of %+v", p, m[i])
			}
			sum += time.Duration(p.Seconds.Value * float64(time.Second))
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
		want  map[Milestone]time.Duration
	}{
		"0.32.0 on the CPU, compiled": {[]string{
			"Triton is installed, but doesn't include CPU backend. Disabling Triton.",
			"(Worker pid=2) INFO 11-24 06:23:36 [cpu_model_runner.py:68] Starting to load model tiny...",
			"Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00, 95.74it/s]",
			"(Worker pid=2) INFO 11-24 06:23:37 [default_loader.py:501] Loading weights took 0.01 seconds",
			"(Worker pid=2) INFO 11-24 06:23:37 [cpu_model_runner.py:87] Warming up model for the compilation...",
			"(Worker pid=2) INFO 11-24 06:24:19 [cpu_model_runner.py:91] Warming up done.",
			"(EngineCore pid=1) INFO 11-24 06:24:20 [core.py:402] init engine (profile, create kv cache, warmup model) took 42.69 s",
		}, map[Milestone]time.Duration{Loading: s(2), Weights: s(4), Compiled: s(6), Engine: s(7)}},
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
		}, map[Milestone]time.Duration{Loading: s(1), Weights: s(5), Compiled: s(6), Captured: s(8), Engine: s(9)}},
		"another server": {[]string{"Uvicorn running on http://0.0.0.0:8000"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var m Marks
			for i, line := range c.lines {
				m.ReadLine([]byte(line), s(i+1))
			}
			for i := range m {
				want, there := c.want[Milestone(i)]
				if m[i].Seen != there || m[i].At != want {
					t.Errorf("%s ends at %v (seen: %v), not at %v", Names[i], m[i].At, m[i].Seen, want)
				}
			}
		})
	}
}
