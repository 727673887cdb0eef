//go:build linux && cgo && !gpu

package nvml

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// In each of these a library lacks functions. Calling one of them would end the process with status 127.
func TestMissingSymbols(t *testing.T) {
	for _, c := range []struct {
		without string // symbols, separated by spaces
		good    func(g watchdog.GPU) bool
	}{
		{"nvmlDeviceGetSamples nvmlErrorString", func(g watchdog.GPU) bool {
			d := g.Devices[0]
			return g.State == watchdog.SourceOK && g.Reason == singleReason && d.Rate.Known && d.PowerWatts.Known
		}},
		{"nvmlDeviceGetUtilizationRates nvmlDeviceGetMemoryInfo nvmlDeviceGetPowerUsage nvmlDeviceGetTotalEnergyConsumption",
			func(g watchdog.GPU) bool {
				d := g.Devices[0]
				return g.State == watchdog.SourceOK && len(d.Samples) > 0 && !d.Rate.Known && !d.MemoryRate.Known &&
					!d.MemoryUsedBytes.Known && !d.PowerWatts.Known && !d.EnergyJoules.Known
			}},
		{"nvmlDeviceGetUUID nvmlDeviceGetName nvmlDeviceGetMigMode", func(g watchdog.GPU) bool {
			d := g.Devices[0]
			return g.State == watchdog.SourceOK && len(d.Samples) > 0 && d.UUID == "index-0" && d.Name == ""
		}},
		{"nvmlDeviceGetSamples nvmlDeviceGetUtilizationRates", func(g watchdog.GPU) bool {
			return g.State == watchdog.SourceAbsent && strings.Contains(g.Reason, "does not tell its utilisation")
		}},
		{"nvmlDeviceGetCount nvmlDeviceGetCount_v2", lacks("nvmlDeviceGetCount_v2")},
		{"nvmlDeviceGetHandleByIndex nvmlDeviceGetHandleByIndex_v2", lacks("nvmlDeviceGetHandleByIndex_v2")},
		{"nvmlShutdown", lacks("nvmlShutdown")},
		{"nvmlInit nvmlInit_v2", lacks("nvmlInit_v2")},
	} {
		symbols := strings.Fields(c.without)
		t.Run(symbols[0], func(t *testing.T) {
			var variants []string
			for _, symbol := range symbols {
				variants = append(variants, "without:"+symbol)
			}
			alone(t, "", variants, func(t *testing.T) {
				s, _ := watch(t, idle(1), brisk)
				readUntil(t, s, "the expected look", c.good)
				// Loss and return take the code paths that a quiet life does not.
				script := idle(1)
				script.GPUs[0].Lost = 15
				write(t, script)
				began := time.Now()
				readUntil(t, s, "several new starts", func(watchdog.GPU) bool { return time.Since(began) > 3*brisk.RetryEvery })
				write(t, idle(1))
				readUntil(t, s, "the expected look again", c.good)
			})
		})
	}
}

func lacks(symbol string) func(watchdog.GPU) bool {
	return func(g watchdog.GPU) bool {
		return g.State == watchdog.SourceAbsent && strings.HasSuffix(g.Reason, "is not a usable NVML library: it lacks "+symbol)
	}
}

func TestOldDriver(t *testing.T) {
	alone(t, "", []string{"old"}, func(t *testing.T) {
		script := idle(2)
		script.GPUs[1].SetLevel(time.Now().Add(-time.Hour), 55)
		s, _ := watch(t, script, brisk)
		g := read(t, s)
		if g.State != watchdog.SourceOK || g.Reason != singleReason || len(g.Devices) != 2 {
			t.Fatalf("have %+v", g)
		}
		if d := g.Devices[1]; d.Rate != watchdog.Known(55.0) || !d.PowerWatts.Known || d.EnergyJoules.Known || d.UUID != uuid(1) {
			t.Errorf("have %+v", d)
		}
	})
}

func TestNoLibrary(t *testing.T) {
	nowhere := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	alone(t, nowhere, nil, func(t *testing.T) {
		s, logs := watch(t, idle(1), brisk)
		g := read(t, s)
		if g.State != watchdog.SourceAbsent || !strings.HasPrefix(g.Reason, "no NVML library: "+libraryPath) {
			t.Errorf("have %+v", g)
		}
		began := time.Now()
		eventually.Within(t, bound, "several tries", func() bool { return time.Since(began) > 4*brisk.RetryEvery })
		if logs.Len() != 1 {
			t.Errorf("%d log lines, want 1: %v", logs.Len(), logs.All())
		}
	})
}

// The name under which the runtime mounts the library is found by the loader's own search.
func TestLibraryByName(t *testing.T) {
	alone(t, DefaultLibrary, nil, func(t *testing.T) {
		cfg := brisk
		cfg.Library = "" // watch fills it in with the bare name
		s, _ := watch(t, idle(1), cfg)
		readUntil(t, s, "a good look", inState(watchdog.SourceOK))
	})
}

// Closing while a call hangs does not wait for it, and a closed source can still be read.
func TestCloseDuringAHang(t *testing.T) {
	alone(t, "", nil, func(t *testing.T) {
		script := idle(1)
		s, logs := watch(t, script, brisk)
		readUntil(t, s, "a good look", inState(watchdog.SourceOK))
		script.Hangs = []string{"nvmlDeviceGetUtilizationRates"}
		write(t, script)
		impatient := func() watchdog.GPU {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			return s.Read(ctx)
		}
		if g := impatient(); g.State != watchdog.SourceFailed {
			t.Fatalf("have %+v", g)
		}
		began := time.Now()
		s.Close()
		if took := time.Since(began); took > closePatience+time.Second {
			t.Errorf("Close took %v", took)
		}
		if n := logs.FilterMessage("nvml left behind in a call").Len(); n != 1 {
			t.Errorf("%d lines about the call left behind", n)
		}
		if g := impatient(); g.State != watchdog.SourceFailed {
			t.Errorf("have %+v", g)
		}
		script.Hangs = nil
		write(t, script)
		<-s.finished
	})
}

// A call that has hung for long is logged once, is not waited for, and its return is logged as well.
func TestLongHang(t *testing.T) {
	alone(t, "", nil, longHang)
}

func longHang(t *testing.T) {
	script := idle(1)
	s, logs := watch(t, script, brisk)
	readUntil(t, s, "a good look", inState(watchdog.SourceOK))
	script.Hangs = []string{"nvmlDeviceGetSamples"}
	write(t, script)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if g := s.Read(ctx); g.State != watchdog.SourceFailed || ctx.Err() != nil {
		t.Errorf("Read left nothing of its time to the caller: %v, %+v", ctx.Err(), g)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if g := s.Read(ctx); g.State != watchdog.SourceFailed || time.Since(began) > patience/4 {
		t.Errorf("Read went on for %v after it was cancelled: %+v", time.Since(began), g)
	}
	if g := read(t, s); g.State != watchdog.SourceFailed {
		t.Fatalf("a Read without a near deadline waited for the hang to end: %+v", g)
	}
	eventually.Within(t, bound, "reads that do not wait", func() bool {
		began := time.Now()
		read(t, s)
		return time.Since(began) < patience/4
	})
	if n := logs.FilterMessage("nvml does not answer").Len(); n != 1 {
		t.Errorf("the hang was logged %d times", n)
	}
	script.Hangs = nil
	write(t, script)
	readUntil(t, s, "a good look", inState(watchdog.SourceOK))
	if n := logs.FilterMessage("nvml answers again").Len(); n != 1 {
		t.Errorf("its end was logged %d times", n)
	}
}
