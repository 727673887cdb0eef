//go:build linux && cgo && !gpu

package nvml

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// A burst that GetUtilizationRates never shows is seen, once, and every sample of the ring comes in exactly one look.
func TestBurstThatOnlyTheRingRemembers(t *testing.T) {
	script := idle(1)
	s, _ := watch(t, script, brisk)
	read(t, s)
	periods := func(at time.Time) int64 { return at.UnixMicro() / 5000 }
	before := periods(time.Now())
	readUntil(t, s, "a sample", func(g watchdog.GPU) bool { return len(g.Devices[0].Samples) > 0 })
	first := periods(time.Now())

	script.GPUs[0].Burst(time.Now().Add(40*time.Millisecond), 12*time.Millisecond, 87)
	write(t, script)
	var samples []uint8
	began := time.Now()
	readUntil(t, s, "300 ms", func(g watchdog.GPU) bool {
		d := g.Devices[0]
		samples = append(samples, d.Samples...)
		if g.State != watchdog.SourceOK || d.Gap || d.Rate != watchdog.Known(0.0) {
			t.Fatalf("want a good look without a gap and with a rate of 0, have %+v", g)
		}
		return time.Since(began) > 300*time.Millisecond
	})
	last := periods(time.Now())

	burst := 0
	for _, v := range samples {
		switch v {
		case 87:
			burst++
		case 0:
		default:
			t.Errorf("a sample of %d, which nobody planted", v)
		}
	}
	// 12 ms touch three or four periods of 5 ms.
	if burst < 3 || burst > 4 {
		t.Errorf("the burst was in %d samples, want 3 or 4", burst)
	}
	if n := int64(len(samples)); n > last-before || n < last-first-1 {
		t.Errorf("%d samples in a time that has between %d and %d", n, last-first-1, last-before)
	}
}

// Long intervals between looks lose nothing, because the source drains a ring that wraps meanwhile.
func TestRingIsDrainedBetweenLooks(t *testing.T) {
	script := idle(1)
	script.GPUs[0].Slots = 72 // 360 ms
	script.Trace = filepath.Join(t.TempDir(), "trace")
	s, _ := watch(t, script, brisk)
	read(t, s)
	script.GPUs[0].Burst(time.Now(), 10*time.Millisecond, 64)
	write(t, script)
	began := time.Now()
	had := calls(t, script.Trace, "nvmlDeviceGetUtilizationRates")
	eventually.Within(t, bound, "polls for twice as long as the ring", func() bool {
		return calls(t, script.Trace, "nvmlDeviceGetUtilizationRates") > had+4 && time.Since(began) > 800*time.Millisecond
	})
	d := read(t, s).Devices[0]
	if highest(d) != 64 || d.Gap || len(d.Samples) < 150 {
		t.Errorf("want the burst of 64, at least 150 samples, no gap; have highest %d, %d samples, gap %v",
			highest(d), len(d.Samples), d.Gap)
	}
	if d.SamplePeriod != 5*time.Millisecond {
		t.Errorf("the period is 5 ms, was measured as %v", d.SamplePeriod)
	}
	if again := read(t, s).Devices[0]; highest(again) != 0 {
		t.Errorf("the burst came twice")
	}
}

func TestSeveralGPUs(t *testing.T) {
	script := idle(3)
	for i := range script.GPUs {
		g := &script.GPUs[i]
		n := uint(i)
		g.Name = "Card " + string(rune('A'+i))
		g.SetLevel(time.Now().Add(-time.Hour), 10*n)
		g.MemoryRate, g.MemoryUsed, g.MemoryTotal = n, 1000+uint64(n), 2000+uint64(n)
		g.SetPower(time.Now(), 50_000+1000*n)
		g.EnergyMillijoules = 7_000_000 * uint64(n+1)
	}
	s, _ := watch(t, script, brisk)
	g := readUntil(t, s, "samples of each GPU", func(g watchdog.GPU) bool {
		return len(g.Devices[0].Samples) > 0 && len(g.Devices[1].Samples) > 0 && len(g.Devices[2].Samples) > 0
	})
	if g.State != watchdog.SourceOK || g.Reason != "" {
		t.Errorf("have %v %q, want a good look without a reason", g.State, g.Reason)
	}
	for i, d := range g.Devices {
		n := float64(i)
		if joules := d.EnergyJoules.Value; !d.EnergyJoules.Known || joules < 7000*(n+1) || joules > 7000*(n+1)+52*bound.Seconds() {
			t.Errorf("GPU %d: %v J, want a little above %v", i, d.EnergyJoules, 7000*(n+1))
		}
		for _, v := range d.Samples {
			if v != uint8(10*i) {
				t.Errorf("GPU %d has a sample of %d, want %d", i, v, 10*i)
			}
		}
		want := watchdog.Device{
			UUID: uuid(i), Name: "Card " + string(rune('A'+i)), Index: i, State: watchdog.SourceOK,
			Samples: d.Samples, SamplePeriod: d.SamplePeriod,
			Rate: watchdog.Known(10 * n), MemoryRate: watchdog.Known(n),
			MemoryUsedBytes: watchdog.Known(1000 + n), MemoryTotalBytes: watchdog.Known(2000 + n),
			PowerWatts: watchdog.Known(50 + n), EnergyJoules: d.EnergyJoules,
		}
		if diff := cmp.Diff(want, d); diff != "" {
			t.Errorf("GPU %d (-want +have):\n%s", i, diff)
		}
	}
}

func TestSelectionOfGPUs(t *testing.T) {
	for _, c := range []struct {
		gpus   string
		state  watchdog.SourceState
		want   []int // the indices that are OK, in order
		reason string
	}{
		{"all", watchdog.SourceOK, []int{0, 1, 2}, ""},
		{"2,0", watchdog.SourceOK, []int{0, 2}, ""},
		{strings.ToUpper(uuid(1)), watchdog.SourceOK, []int{1}, ""},
		{"1," + uuid(1), watchdog.SourceOK, []int{1}, ""},
		{"0,GPU-feed", watchdog.SourceOK, []int{0}, "GPUS names GPU-feed, which NVML does not show; it shows 0 " + uuid(0)},
		{"7", watchdog.SourceAbsent, nil, "GPUS names 7, which NVML does not show; it shows 0 " + uuid(0) + ", 1 " + uuid(1)},
	} {
		t.Run(c.gpus, func(t *testing.T) {
			selected, err := ParseSelection(c.gpus)
			if err != nil {
				t.Fatal(err)
			}
			cfg := brisk
			cfg.GPUs = selected
			s, _ := watch(t, idle(3), cfg)
			g := read(t, s)
			var have []int
			for _, d := range g.Devices {
				if d.State == watchdog.SourceOK {
					have = append(have, d.Index)
				} else if d.State != watchdog.SourceAbsent || !strings.HasPrefix(d.Reason, "GPUS names") {
					t.Errorf("a named GPU that does not exist is absent with the reason; have %+v", d)
				}
			}
			if g.State != c.state || cmp.Diff(c.want, have) != "" || !strings.HasPrefix(g.Reason, c.reason) || c.reason == "" && g.Reason != "" {
				t.Errorf("have %v, GPUs %v, %q; want %v, %v, %q", g.State, have, g.Reason, c.state, c.want, c.reason)
			}
		})
	}
}

func TestNoneNeverLoadsTheLibrary(t *testing.T) {
	script := idle(1)
	script.Trace = filepath.Join(t.TempDir(), "trace")
	cfg := brisk
	cfg.GPUs = SelectNone()
	s, logs := watch(t, script, cfg)
	for range 3 {
		if g := read(t, s); g.State != watchdog.SourceAbsent || !strings.Contains(g.Reason, "GPUS=none") || g.Devices != nil {
			t.Fatalf("have %+v", g)
		}
	}
	select {
	case <-s.finished:
	default:
		t.Error("a worker runs")
	}
	if n := calls(t, script.Trace, "nvml"); n != 0 {
		t.Errorf("%d calls of NVML", n)
	}
	if logs.Len() != 0 {
		t.Errorf("what was asked for is no news: %v", logs.All())
	}
}

// Figures that are dear to read are not read with every look, and are told again meanwhile.
func TestFiguresAreReadNowAndThen(t *testing.T) {
	script := idle(1)
	script.Trace = filepath.Join(t.TempDir(), "trace")
	script.GPUs[0].PowerMilliwatts = 123_000
	cfg := brisk
	cfg.FiguresEvery = time.Hour
	s, _ := watch(t, script, cfg)
	for range 5 {
		if d := read(t, s).Devices[0]; d.PowerWatts != watchdog.Known(123.0) {
			t.Errorf("have %v W", d.PowerWatts)
		}
	}
	for _, call := range []string{"nvmlDeviceGetPowerUsage", "nvmlDeviceGetMemoryInfo", "nvmlDeviceGetTotalEnergyConsumption"} {
		if n := calls(t, script.Trace, call); n != 1 {
			t.Errorf("%s was called %d times", call, n)
		}
	}
}

// A look just after a poll of the worker's own is served from it.
func TestFreshPollServesALook(t *testing.T) {
	eventually.Within(t, bound, "a look that needed no poll of its own", func() bool {
		script := idle(1)
		script.Trace = filepath.Join(t.TempDir(), "trace")
		cfg := brisk
		cfg.PollEvery = maxPollEvery
		s, _ := watch(t, script, cfg)
		defer s.Close()
		eventually.Within(t, bound, "the first poll", func() bool { return calls(t, script.Trace, "nvmlDeviceGetTotalEnergyConsumption") == 1 })
		if d := read(t, s).Devices[0]; d.State != watchdog.SourceOK || !d.Rate.Known {
			t.Fatalf("have %+v", d)
		}
		return calls(t, script.Trace, "nvmlDeviceGetUtilizationRates") == 1 // on a busy machine it may have come too late
	})
}

// An idle ring that holds nothing is a good look with nothing in it, and the hole that it leaves is no gap.
func TestDryRing(t *testing.T) {
	for _, exact := range []bool{false, true} {
		script := idle(1)
		script.GPUs[0].DryWhenIdle, script.GPUs[0].ExactSizes = true, exact
		s, _ := watch(t, script, brisk)
		began := time.Now()
		readUntil(t, s, "100 ms", func(g watchdog.GPU) bool {
			if g.State != watchdog.SourceOK || len(g.Devices[0].Samples) != 0 || g.Devices[0].Gap {
				t.Fatalf("exact sizes %v: have %+v", exact, g)
			}
			return time.Since(began) > 100*time.Millisecond
		})
		for range 2 {
			script.GPUs[0].Burst(time.Now(), 30*time.Millisecond, 50)
			write(t, script)
			n := 0
			readUntil(t, s, "the burst", func(g watchdog.GPU) bool {
				n += len(g.Devices[0].Samples)
				if g.Devices[0].Gap {
					t.Fatalf("exact sizes %v: a dry ring is no gap", exact)
				}
				return n >= 6
			})
		}
		s.Close()
	}
}

// Polls that come too late for a quick ring are a gap; a look in time is none.
func TestFullReplyIsAGap(t *testing.T) {
	for _, exact := range []bool{false, true} {
		script := idle(1)
		script.GPUs[0].Slots, script.GPUs[0].Period, script.GPUs[0].ExactSizes = 72, 2*time.Millisecond, exact
		cfg := brisk
		cfg.PollEvery = maxPollEvery
		s, _ := watch(t, script, cfg)
		began, n := time.Now(), 0
		read(t, s)
		readUntil(t, s, "a look within the ring", func(g watchdog.GPU) bool {
			if time.Since(began) < 72*2*time.Millisecond && g.Devices[0].Gap {
				t.Fatalf("exact sizes %v: a gap in a look that was in time", exact)
			}
			n += len(g.Devices[0].Samples)
			return n > 5
		})
		began = time.Now()
		eventually.Within(t, bound, "twice the ring", func() bool { return time.Since(began) > 300*time.Millisecond })
		if d := read(t, s).Devices[0]; !d.Gap {
			t.Errorf("exact sizes %v: no gap although half of the samples are lost (%d came)", exact, len(d.Samples))
		}
		s.Close()
	}
}

// Work that is over before the watch begins is not counted.
func TestWhatWasBeforeUsIsNoWork(t *testing.T) {
	script := idle(1)
	script.GPUs[0].Burst(time.Now().Add(-200*time.Millisecond), 150*time.Millisecond, 99)
	s, _ := watch(t, script, brisk)
	n := 0
	readUntil(t, s, "samples", func(g watchdog.GPU) bool {
		n += len(g.Devices[0].Samples)
		if highest(g.Devices[0]) != 0 {
			t.Fatalf("a sample from before the watch: %+v", g)
		}
		return n > 5
	})
}

func TestSampleTypes(t *testing.T) {
	for kind := range 7 {
		script := idle(1)
		script.GPUs[0].ValueType = &kind
		script.GPUs[0].SetLevel(time.Now().Add(-time.Hour), 42)
		s, _ := watch(t, script, brisk)
		g := readUntil(t, s, "samples", func(g watchdog.GPU) bool { return len(g.Devices[0].Samples) > 0 })
		if highest(g.Devices[0]) != 42 {
			t.Errorf("type %d: have %d, want 42", kind, highest(g.Devices[0]))
		}
		s.Close()
	}
}

func TestReadAfterClose(t *testing.T) {
	s, _ := watch(t, idle(1), brisk)
	read(t, s)
	s.Close()
	s.Close()
	if g := read(t, s); g.State != watchdog.SourceFailed || !strings.Contains(g.Reason, "closed") {
		t.Errorf("have %+v", g)
	}
}
