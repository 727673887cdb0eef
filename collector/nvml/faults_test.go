//go:build linux && cgo && !gpu

package nvml

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestLostGPUHeals(t *testing.T) {
	for _, code := range []int{1, 15, 16, 28, 999} {
		script := idle(2)
		s, logs := watch(t, script, brisk)
		readUntil(t, s, "a good look", inState(watchdog.SourceOK))
		script.GPUs[1].Lost = code
		write(t, script)
		g := readUntil(t, s, "the loss", inState(watchdog.SourceFailed))
		if g.Devices[0].State != watchdog.SourceOK || g.Devices[1].State != watchdog.SourceFailed {
			t.Errorf("code %d: one GPU is lost and one is not, have %+v", code, g.Devices)
		}
		if !strings.HasPrefix(g.Reason, "GPU 1 ("+uuid(1)+")") || g.Devices[1].Rate.Known || g.Devices[1].PowerWatts.Known {
			t.Errorf("code %d: have reason %q and %+v", code, g.Reason, g.Devices[1])
		}
		// It stays lost through several new starts of NVML, and the other one is watched all the while.
		n := 0
		readUntil(t, s, "samples of the good one", func(g watchdog.GPU) bool {
			if g.State != watchdog.SourceFailed || len(g.Devices) != 2 {
				t.Fatalf("code %d: have %+v", code, g)
			}
			n += len(g.Devices[0].Samples)
			return n > 10
		})
		script.GPUs[1].Lost = 0
		script.GPUs[1].Burst(time.Now(), 10*time.Millisecond, 77)
		write(t, script)
		readUntil(t, s, "the healed GPU and its burst", func(g watchdog.GPU) bool {
			return g.State == watchdog.SourceOK && highest(g.Devices[1]) == 77
		})
		failed := logs.FilterMessage("gpu source failed").Len()
		if failed < 1 || failed > 2 { // the call that says so differs between the first poll and the new starts
			t.Errorf("code %d: the loss was logged %d times", code, failed)
		}
		if n := logs.FilterMessage("gpus are watched").Len(); n != 2 {
			t.Errorf("code %d: a good state was logged %d times, want at the start and once healed", code, n)
		}
		s.Close()
	}
}

// A driver that was reloaded begins its stamps anew: what comes then is new, and what came before may have been lost.
func TestStampsThatBeginAnewAfterALoss(t *testing.T) {
	script := idle(1)
	s, _ := watch(t, script, brisk)
	n := 0
	readUntil(t, s, "samples", func(g watchdog.GPU) bool { n += len(g.Devices[0].Samples); return n > 3 })
	script.GPUs[0].Lost = 15
	write(t, script)
	readUntil(t, s, "the loss", inState(watchdog.SourceFailed))
	now := time.Now()
	script.GPUs[0].Lost, script.GPUs[0].StampOffset, script.GPUs[0].RingSince = 0, -time.Hour, now
	script.GPUs[0].Burst(now.Add(6*time.Millisecond), 10*time.Millisecond, 66)
	write(t, script)
	gap := false
	readUntil(t, s, "the burst after the reload", func(g watchdog.GPU) bool {
		if g.State != watchdog.SourceOK {
			return false
		}
		gap = gap || g.Devices[0].Gap
		return highest(g.Devices[0]) == 66
	})
	if !gap {
		t.Error("no gap was seen although the stamps began anew")
	}
}

// A GPU that disappears from the list is missed, also where GPUS names it by an index that another one takes over.
func TestGPUThatIsGone(t *testing.T) {
	for _, gpus := range []string{"all", "1"} {
		selected, err := ParseSelection(gpus)
		if err != nil {
			t.Fatal(err)
		}
		cfg := brisk
		cfg.GPUs = selected
		script := idle(3)
		s, _ := watch(t, script, cfg)
		readUntil(t, s, "a good look", inState(watchdog.SourceOK))
		all := script.GPUs
		script.GPUs = append(all[:1:1], all[2]) // index 1 is now what was 2
		script.Codes = map[string]int{"nvmlDeviceGetSamples": 15}
		write(t, script)
		readUntil(t, s, "the gap in the list", func(g watchdog.GPU) bool {
			return g.State == watchdog.SourceFailed && strings.Contains(g.Reason, uuid(1)+") was here and is gone")
		})
		script.Codes = nil
		write(t, script)
		g := readUntil(t, s, "the others", func(g watchdog.GPU) bool {
			return strings.HasPrefix(g.Reason, "GPU 1 ("+uuid(1)) && strings.HasSuffix(g.Reason, "NVML shows 0 "+uuid(0)+", 1 "+uuid(2))
		})
		for _, d := range g.Devices {
			if (d.State == watchdog.SourceOK) == (d.UUID == uuid(1)) {
				t.Errorf("GPUS=%s: while one is gone, %s is %v", gpus, d.UUID, d.State)
			}
		}
		script.GPUs = all
		write(t, script)
		g = readUntil(t, s, "its return", inState(watchdog.SourceOK))
		for i, d := range g.Devices {
			if gpus == "all" && d.UUID != uuid(i) || gpus == "1" && d.UUID != uuid(1) {
				t.Errorf("GPUS=%s: device %d is %s", gpus, i, d.UUID)
			}
		}
		s.Close()
	}
}

func TestCodesOfInit(t *testing.T) {
	for _, c := range []struct {
		code  int
		state watchdog.SourceState
		words string
	}{
		{9, watchdog.SourceAbsent, "the NVIDIA driver is not loaded (code 9)"},
		{18, watchdog.SourceAbsent, "different versions"},
		{4, watchdog.SourceAbsent, "no permission"},
		{17, watchdog.SourceAbsent, "cgroup"},
		{15, watchdog.SourceFailed, "lost"},
		{999, watchdog.SourceFailed, "unknown error (code 999)"},
	} {
		script := idle(1)
		script.Init = c.code
		script.Trace = filepath.Join(t.TempDir(), "trace")
		s, logs := watch(t, script, brisk)
		g := read(t, s)
		if g.State != c.state || !strings.Contains(g.Reason, c.words) || len(g.Devices) != 0 {
			t.Errorf("code %d: have %v %q, want %v with %q", c.code, g.State, g.Reason, c.state, c.words)
		}
		eventually.Within(t, bound, "three tries", func() bool { return calls(t, script.Trace, "nvmlInit_v2") >= 3 })
		if logs.Len() != 1 {
			t.Errorf("code %d: %d log lines after three tries, want 1", c.code, logs.Len())
		}
		if n := calls(t, script.Trace, "nvmlDevice"); n != 0 {
			t.Errorf("code %d: %d other calls without initialisation", c.code, n)
		}
		script.Init = 0
		write(t, script)
		readUntil(t, s, "a good look after the driver came", inState(watchdog.SourceOK))

		// Now that it has worked, the same code is a fault: a source that is required and does not answer.
		script.Init, script.GPUs[0].Lost = c.code, 15
		write(t, script)
		readUntil(t, s, "the same code as a failure", func(g watchdog.GPU) bool {
			return g.State == watchdog.SourceFailed && strings.Contains(g.Reason, c.words) && len(g.Devices) == 1 &&
				g.Devices[0].State == watchdog.SourceFailed && g.Devices[0].UUID == uuid(0)
		})
		s.Close()
	}
}

func TestNoGPU(t *testing.T) {
	script := idle(0)
	s, logs := watch(t, script, brisk)
	if g := read(t, s); g.State != watchdog.SourceAbsent || g.Reason != "NVML shows no GPU" {
		t.Errorf("have %+v", g)
	}
	script.GPUs = idle(1).GPUs
	write(t, script)
	readUntil(t, s, "the GPU that came", inState(watchdog.SourceOK))
	script.GPUs = nil
	write(t, script)
	readUntil(t, s, "the failure, now that it has worked", func(g watchdog.GPU) bool {
		return g.State == watchdog.SourceFailed && g.Reason == "NVML shows no GPU"
	})
	if n := logs.FilterMessage("gpu source absent").Len(); n != 1 {
		t.Errorf("absence was logged %d times", n)
	}
}

func TestGPUWithoutPermission(t *testing.T) {
	script := idle(2)
	script.GPUs[0].Lost = 4
	s, _ := watch(t, script, brisk)
	g := read(t, s)
	if g.State != watchdog.SourceOK || g.Devices[0].State != watchdog.SourceAbsent || g.Devices[1].State != watchdog.SourceOK {
		t.Errorf("somebody else's GPU beside ours: have %+v", g)
	}
	if !strings.Contains(g.Devices[0].Reason, "no permission") {
		t.Errorf("have %q", g.Devices[0].Reason)
	}
}

func TestMIG(t *testing.T) {
	for _, mode := range []int{1, 2} { // utilisation not supported, and utilisation that reads 0 whatever happens
		script := idle(2)
		script.GPUs[0].MIG = mode
		script.Trace = filepath.Join(t.TempDir(), "trace")
		s, logs := watch(t, script, brisk)
		g := read(t, s)
		if d := g.Devices[0]; g.State != watchdog.SourceOK || d.State != watchdog.SourceAbsent || d.Reason != migReason || d.Rate.Known {
			t.Errorf("mode %d: have %+v", mode, g)
		}
		script.GPUs[1].MIG = mode
		s.Close()
		s, logs = watch(t, script, brisk)
		eventually.Within(t, bound, "three tries", func() bool { return calls(t, script.Trace, "nvmlShutdown") >= 3 })
		if g := read(t, s); g.State != watchdog.SourceAbsent || g.Reason != migReason {
			t.Errorf("mode %d on both: have %+v", mode, g)
		}
		if logs.Len() != 1 {
			t.Errorf("mode %d: %d log lines, want 1", mode, logs.Len())
		}
		s.Close()
	}
}

func TestCallsThatDoNotWorkAreGivenUp(t *testing.T) {
	for _, code := range []int{3, 13, 4, 26} {
		script := idle(1)
		script.GPUs[0].Codes = map[string]int{"nvmlDeviceGetSamples": code, "nvmlDeviceGetPowerUsage": code}
		script.GPUs[0].SetLevel(time.Now().Add(-time.Hour), 33)
		script.Trace = filepath.Join(t.TempDir(), "trace")
		s, logs := watch(t, script, brisk)
		for range 5 {
			g := read(t, s)
			d := g.Devices[0]
			if g.State != watchdog.SourceOK || g.Reason != singleReason || d.Reason != singleReason || len(d.Samples) != 0 || d.Gap {
				t.Fatalf("code %d: have %+v", code, g)
			}
			if d.Rate != watchdog.Known(33.0) || d.PowerWatts.Known || !d.MemoryUsedBytes.Known {
				t.Fatalf("code %d: want a rate of 33, no power, but memory; have %+v", code, d)
			}
		}
		for _, call := range []string{"nvmlDeviceGetSamples", "nvmlDeviceGetPowerUsage"} {
			if n := calls(t, script.Trace, call); n != 1 {
				t.Errorf("code %d: %s was called %d times", code, call, n)
			}
		}
		if n := logs.FilterMessage("nvml call given up").Len(); n != 2 {
			t.Errorf("code %d: %d lines about calls given up, want 2", code, n)
		}
		s.Close()
	}
}

// With single samples only, the busiest of the polls between two looks is what counts.
func TestSingleSamplesKeepTheHighest(t *testing.T) {
	script := idle(1)
	script.GPUs[0].Codes = map[string]int{"nvmlDeviceGetSamples": 3}
	script.Trace = filepath.Join(t.TempDir(), "trace")
	s, _ := watch(t, script, brisk)
	read(t, s)
	rate := uint(91)
	script.GPUs[0].Rate = &rate
	write(t, script)
	polled := func(n int) {
		had := calls(t, script.Trace, "nvmlDeviceGetUtilizationRates")
		eventually.Within(t, bound, "polls", func() bool { return calls(t, script.Trace, "nvmlDeviceGetUtilizationRates") >= had+n })
	}
	polled(2)
	script.GPUs[0].Rate = nil
	write(t, script)
	polled(2)
	if d := read(t, s).Devices[0]; d.Rate != watchdog.Known(91.0) {
		t.Errorf("have a rate of %v, want the 91 between the looks", d.Rate)
	}
	readUntil(t, s, "a rate of 0 again", func(g watchdog.GPU) bool { return g.Devices[0].Rate == watchdog.Known(0.0) })
}

// A call that fails for reasons of its own does not make the GPU lost while another one tells its utilisation.
func TestFaultyCalls(t *testing.T) {
	for _, c := range []struct {
		codes map[string]int
		good  func(g watchdog.GPU) bool
	}{
		{map[string]int{"nvmlDeviceGetPowerUsage": 999, "nvmlDeviceGetMemoryInfo": 2}, func(g watchdog.GPU) bool {
			d := g.Devices[0]
			return g.State == watchdog.SourceOK && !d.PowerWatts.Known && !d.MemoryUsedBytes.Known && d.EnergyJoules.Known
		}},
		{map[string]int{"nvmlDeviceGetUtilizationRates": 999}, func(g watchdog.GPU) bool {
			return g.State == watchdog.SourceOK && !g.Devices[0].Rate.Known && len(g.Devices[0].Samples) > 0
		}},
		{map[string]int{"nvmlDeviceGetSamples": 999}, func(g watchdog.GPU) bool { // a sandbox that lacks the control
			return g.State == watchdog.SourceOK && g.Reason == singleReason && g.Devices[0].Rate.Known
		}},
		{map[string]int{"nvmlDeviceGetSamples": 999, "nvmlDeviceGetUtilizationRates": 999}, inState(watchdog.SourceFailed)},
	} {
		script := idle(1)
		script.GPUs[0].Codes = c.codes
		s, _ := watch(t, script, brisk)
		readUntil(t, s, fmt.Sprint("the expected look under ", c.codes), c.good)
		s.Close()
	}
	// Once the ring has answered, its silence is a fault.
	script := idle(1)
	s, _ := watch(t, script, brisk)
	readUntil(t, s, "a good look", inState(watchdog.SourceOK))
	script.GPUs[0].Codes = map[string]int{"nvmlDeviceGetSamples": 999}
	write(t, script)
	g := readUntil(t, s, "the fault", inState(watchdog.SourceFailed))
	if !strings.Contains(g.Reason, "nvmlDeviceGetSamples: unknown error (code 999)") {
		t.Errorf("have %q", g.Reason)
	}
}

// Answers of "nothing now" about utilisation are no answer: the look failed, and the GPU is not given up.
func TestTimeoutsAreNoAnswer(t *testing.T) {
	for _, code := range []int{10, 27} {
		script := idle(1)
		script.GPUs[0].Codes = map[string]int{"nvmlDeviceGetSamples": code}
		s, _ := watch(t, script, brisk)
		if g := read(t, s); g.State != watchdog.SourceFailed || !strings.Contains(g.Reason, "no answer") {
			t.Errorf("code %d: have %+v", code, g)
		}
		script.GPUs[0].Codes = map[string]int{"nvmlDeviceGetUtilizationRates": code, "nvmlDeviceGetTotalEnergyConsumption": code}
		write(t, script)
		readUntil(t, s, "a good look without a rate", func(g watchdog.GPU) bool {
			return g.State == watchdog.SourceOK && !g.Devices[0].Rate.Known && !g.Devices[0].EnergyJoules.Known
		})
		s.Close()
	}
}

func TestHang(t *testing.T) {
	for _, call := range []string{
		"nvmlInit_v2", "nvmlDeviceGetCount_v2", "nvmlDeviceGetUUID", "nvmlDeviceGetSamples", "nvmlDeviceGetPowerUsage", "nvmlShutdown",
	} {
		t.Run(call, func(t *testing.T) {
			script := idle(1)
			s, _ := watch(t, script, brisk)
			readUntil(t, s, "a good look", inState(watchdog.SourceOK))
			before := threads(t)
			script.Hangs = []string{call}
			script.Codes = map[string]int{"nvmlDeviceGetTotalEnergyConsumption": 15} // so that NVML is started anew
			write(t, script)
			look := func() watchdog.GPU {
				const budget, slack = 60 * time.Millisecond, 500 * time.Millisecond
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), budget)
				defer cancel()
				g := s.Read(ctx)
				if took := time.Since(began); took > budget+slack { // the slack is for a busy machine
					t.Fatalf("Read took %v of the %v it was given", took, budget)
				}
				return g
			}
			named := func(g watchdog.GPU) bool {
				return g.State == watchdog.SourceFailed && strings.HasPrefix(g.Reason, "NVML has not answered for ") &&
					strings.Contains(g.Reason, call)
			}
			eventually.Within(t, bound, "a reason that names the call", func() bool { return named(look()) })
			for range 3 {
				if g := look(); !named(g) || len(g.Devices) != 1 || g.Devices[0].State != watchdog.SourceFailed || g.Devices[0].UUID != uuid(0) {
					t.Fatalf("have %+v", g)
				}
			}
			if now := threads(t); now > before+2 {
				t.Errorf("%d threads, %d before the hang", now, before)
			}
			script.Hangs, script.Codes = nil, nil
			write(t, script)
			readUntil(t, s, "a good look after the hang", inState(watchdog.SourceOK))
		})
	}
}
