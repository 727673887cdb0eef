package watchdog

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// learned is the baseline after windows of five seconds, for so long; load is asked for each, by its age.
func learned(b CPUBaseline, long time.Duration, serving bool, load func(age time.Duration) float64) CPUBaseline {
	const window = 5 * time.Second
	for age := time.Duration(0); age < long; age += window {
		b = b.Learn(load(age), window, serving)
	}
	return b
}

func steady(cores float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return cores }
}

// What is taken for idling, and after how long.
func TestCPUBaselineLearns(t *testing.T) {
	unknown := Maybe[float64]{}
	for _, c := range []struct {
		name    string
		long    time.Duration
		serving bool
		load    func(time.Duration) float64
		want    Maybe[float64]
	}{
		{"nothing yet", 0, true, steady(0.1), unknown},
		{"too short", cpuSettle*cpuMinute - 5*time.Second, true, steady(0.1), unknown},
		{"an idle pod", cpuSettle * cpuMinute, false, steady(0.1), Known(0.1)},
		{"a pod that does nothing", cpuSettle * cpuMinute, false, steady(0), Known(0.)},
		{"half a core", cpuSettle * cpuMinute, false, steady(quietCPU), Known(quietCPU)},
		{"work from the start, and no server", 48 * time.Hour, false, steady(4), unknown},
		{"one core from the start, and no server", 48 * time.Hour, false, steady(1), unknown},
		{"a server that spins, not long enough", cpuMinutes*cpuMinute - 5*time.Second, true, steady(8), unknown},
		{"a server that spins", cpuMinutes * cpuMinute, true, steady(8), Known(8.)},
		{"a server that spins, a little uneven", cpuMinutes * cpuMinute, true, func(age time.Duration) float64 { return 0.94 + float64(age/cpuMinute%2)*0.04 }, Known(0.94)},
		{"work beside an idle server, which comes and goes", 48 * time.Hour, true, func(age time.Duration) float64 { return 4 + float64(age/cpuMinute%4) }, unknown},
		{"one minute of rest within work", 30 * time.Minute, false, func(age time.Duration) float64 {
			if age/cpuMinute == 15 {
				return 0.2
			}
			return 6
		}, unknown},
		{"work that begins within a minute", 30 * time.Minute, false, func(age time.Duration) float64 {
			if age < cpuMinute/2 {
				return 0.05
			}
			return 0.9
		}, unknown},
		{"minutes of rest within work", 30 * time.Minute, false, func(age time.Duration) float64 {
			if age%(10*cpuMinute) < 2*cpuMinute {
				return 0.2
			}
			return 6
		}, Known(0.2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := learned(CPUBaseline{}, c.long, c.serving, c.load); got.Idle != c.want {
				t.Errorf("after %v: %+v, want %+v", c.long, got.Idle, c.want)
			}
		})
	}
}

func TestCPUBaselineCounts(t *testing.T) {
	idle := learned(CPUBaseline{}, 10*time.Minute, false, steady(0.25))
	for _, c := range []struct {
		name string
		base CPUBaseline
		load float64
		want float64
	}{
		{"no baseline yet: all of it", CPUBaseline{}, 1.5, 1.5},
		{"work", idle, 1.75, 1.5},
		{"idle", idle, 0.25, 0},
		{"less than idle", idle, 0.125, 0},
		{"no number", idle, math.NaN(), 0},
	} {
		if got := c.base.Above(c.load); got != c.want {
			t.Errorf("%s: %v cores are %v above, want %v", c.name, c.load, got, c.want)
		}
	}
	for _, c := range []struct{ pod, own, want Maybe[float64] }{
		{Known(2.), Known(0.5), Known(1.5)},
		{Known(2.), Maybe[float64]{}, Known(2.)},
		{Known(0.01), Known(0.02), Known(0.)}, // two clocks
		{Maybe[float64]{}, Known(0.5), Maybe[float64]{}},
	} {
		if got := CPULoad(c.pod, c.own); got != c.want {
			t.Errorf("pod %+v, own %+v: %+v, want %+v", c.pod, c.own, got, c.want)
		}
	}
}

// The level that one server had says nothing about another, nor about what runs when it is gone.
func TestCPUBaselineBeginsAnewWithAnotherServer(t *testing.T) {
	spun := learned(CPUBaseline{}, cpuMinutes*cpuMinute, true, steady(8))
	gone := spun.Learn(8, 5*time.Second, false)
	if above := gone.Above(8); above != 8 {
		t.Errorf("the server is gone, and 8 cores of somebody else's are %v above idling", above)
	}
	plain := learned(CPUBaseline{}, cpuMinutes*cpuMinute, false, steady(0.1))
	if got := learned(plain, cpuMinutes*cpuMinute, true, steady(2)); got.Idle != Known(2.) {
		t.Errorf("a server came that spins on 2 cores: %+v", got.Idle)
	}
	// The hour before it listened does not count for it.
	busy := learned(CPUBaseline{}, 3*time.Hour, false, steady(2))
	if got := learned(busy, 30*time.Minute, true, steady(2)); got.Idle.Known {
		t.Errorf("after half an hour of a server: %+v", got.Idle)
	}
}

func TestCPUBaselineRefusesNonsense(t *testing.T) {
	b := learned(CPUBaseline{}, 10*time.Minute+15*time.Second, true, steady(0.3))
	for _, load := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.1, cpuMost * 2} {
		if got := b.Learn(load, time.Minute, true); !reflect.DeepEqual(got, b) {
			t.Errorf("%v cores are learned: %+v", load, got)
		}
	}
	for _, elapsed := range []time.Duration{0, -time.Second} {
		if got := b.Learn(0.1, elapsed, true); !reflect.DeepEqual(got, b) {
			t.Errorf("a window of %v is learned: %+v", elapsed, got)
		}
	}
	if got := (CPUBaseline{}).Learn(0.1, 24*time.Hour, false); len(got.Minutes) != 1 || got.Idle.Known {
		t.Errorf("one window of a day is %d minutes, %+v", len(got.Minutes), got.Idle)
	}
}

// However work grows once the pod has been seen idle, none of it is ever taken for idling.
func TestCPUBaselineDoesNotLearnCreepingWork(t *testing.T) {
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 5))
		serving, idle := rng.IntN(2) == 0, rng.Float64()*quietCPU
		b := learned(CPUBaseline{}, cpuSettle*cpuMinute, serving, steady(idle))
		first := b.Idle
		if !first.Known || math.Abs(first.Value-idle) > 0.001 {
			t.Fatalf("seed %d: idle at %v, learned %+v", seed, idle, first)
		}
		load, rate := idle, rng.Float64()*rng.Float64()*0.5 // cores an hour, mostly a few hundredths
		for range 12 * 60 * 20 {                            // twenty hours
			load += float64(rate / 720)
			if rng.IntN(2000) == 0 {
				rate = rng.Float64() * 0.2
			}
			seen := load + rng.Float64()*0.02
			b = b.Learn(seen, 5*time.Second, serving)
			if above := b.Above(seen); above < load-first.Value-0.001 {
				t.Fatalf("seed %d: idle at %v, %v cores are only %v above", seed, first.Value, seen, above)
			}
		}
	}
}

// Without a server nothing above half a core is ever idling; with one never more than the load has been at for an hour.
func TestCPUBaselineIsNeverAboveWhatWasSeen(t *testing.T) {
	spun := 0
	for seed := range uint64(80) {
		rng := rand.New(rand.NewPCG(seed, 6))
		serving := false
		var b CPUBaseline
		lowest, level, noise := math.Inf(1), rng.Float64()*4, 0.
		for step := range 6000 {
			if rng.IntN(400) == 0 {
				level, noise = rng.Float64()*rng.Float64()*10, 0.4*float64(rng.IntN(2))
			}
			if rng.IntN(1500) == 0 {
				serving, lowest = !serving, math.Inf(1)
			}
			load := level * (1 + float64(noise*rng.Float64()))
			elapsed := time.Duration(1+rng.IntN(30)) * time.Second
			before := b
			b = b.Learn(load, elapsed, serving)
			if rng.IntN(50) == 0 {
				kept, next := baselineText(t, before), baselineText(t, b)
				for range 3 {
					_ = before.Learn(load+1, time.Minute, serving)
				}
				if baselineText(t, before) != kept || baselineText(t, b) != next {
					t.Fatalf("seed %d, step %d: learning changed the value that it was given, or what another one made of it", seed, step)
				}
			}
			if n := len(b.Minutes); n > 0 && b.For == 0 {
				lowest = min(lowest, b.Minutes[n-1])
			}
			switch {
			case len(b.Minutes) > cpuMinutes || b.For >= cpuMinute || b.For < 0:
				t.Fatalf("seed %d, step %d: %d minutes and %v", seed, step, len(b.Minutes), b.For)
			case !b.Idle.Known:
			case b.Idle.Value < lowest, !serving && b.Idle.Value > quietCPU:
				t.Fatalf("seed %d, step %d: idles at %v, serving %v", seed, step, b.Idle.Value, serving)
			case before.Idle.Known && before.Serving == serving && b.Idle.Value > before.Idle.Value:
				t.Fatalf("seed %d, step %d: the baseline rose from %v to %v", seed, step, before.Idle.Value, b.Idle.Value)
			case b.Idle.Value > quietCPU && len(b.Minutes) < cpuMinutes:
				t.Fatalf("seed %d, step %d: %v cores believed after %d minutes", seed, step, b.Idle.Value, len(b.Minutes))
			}
			if above := b.Above(load); above < 0 || above > load {
				t.Fatalf("seed %d, step %d: %v of %v cores are above", seed, step, above, load)
			}
			if b.Idle.Value > quietCPU {
				spun++
			}
		}
	}
	if spun == 0 {
		t.Error("no load of more than half a core was ever believed: this test shows nothing about those")
	}
}

// A pod that really idles is known as idle in the end, whatever went on before, and work on top of it is counted whole.
func TestCPUBaselineComesDown(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 7))
		serving := rng.IntN(2) == 0
		b := learned(CPUBaseline{}, time.Duration(rng.IntN(180))*time.Minute, serving, func(time.Duration) float64 { return rng.Float64() * 12 })
		idle := rng.Float64() * 0.4
		b = learned(b, 15*time.Minute, serving, func(time.Duration) float64 { return idle + rng.Float64()*0.02 })
		work := 1 + rng.Float64()*4
		if above := b.Above(idle + work); math.Abs(above-work) > 0.05 {
			t.Errorf("seed %d: idle at %v, work of %v cores is %v above (%+v)", seed, idle, work, above, b.Idle)
		}
	}
}

// Stored and taken up again at any moment it goes on as if it had not been, and it stays small.
func TestCPUBaselineIsStored(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 8))
	var whole, stored CPUBaseline
	for step := range 3000 {
		load, elapsed := rng.Float64()*0.6, time.Duration(1+rng.IntN(9))*time.Second
		whole, stored = whole.Learn(load, elapsed, true), stored.Learn(load, elapsed, true)
		text := baselineText(t, stored)
		if len(text) > 1<<10 {
			t.Fatalf("step %d: %d bytes", step, len(text))
		}
		stored = CPUBaseline{}
		if err := json.Unmarshal([]byte(text), &stored); err != nil {
			t.Fatal(err)
		}
		if baselineText(t, whole) != baselineText(t, stored) {
			t.Fatalf("step %d: %+v, stored %+v", step, whole, stored)
		}
	}
	if !whole.Idle.Known {
		t.Error("nothing was learned")
	}
}

func baselineText(t *testing.T, b CPUBaseline) string {
	t.Helper()
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
