//go:build linux && cgo && gpu

package nvml

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// These run on a machine with an NVIDIA GPU: go test -tags gpu ./collector/nvml. NVML_LIBRARY names another library.
// They need nothing to run on the GPU, and say what they measured.

func hardware(t *testing.T) *Source {
	t.Helper()
	s := New(Config{Library: os.Getenv("NVML_LIBRARY")}, zaptest.NewLogger(t))
	t.Cleanup(s.Close)
	return s
}

// look reads with enough time for a driver that has to wake its GPUs first.
func look(t *testing.T, s *Source) (watchdog.GPU, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	return s.Read(ctx), time.Since(began)
}

func firstGoodLook(t *testing.T, s *Source) watchdog.GPU {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		g, _ := look(t, s)
		if g.State == watchdog.SourceOK {
			return g
		}
		if g.State == watchdog.SourceAbsent || time.Now().After(deadline) {
			t.Fatalf("no GPU to test: %v %s", g.State, g.Reason)
		}
	}
}

func TestHardwareIsDescribed(t *testing.T) {
	s := hardware(t)
	g := firstGoodLook(t, s)
	if len(g.Devices) == 0 {
		t.Fatal("no devices")
	}
	for _, d := range g.Devices {
		t.Logf("%+v", d)
		if d.State != watchdog.SourceOK {
			continue
		}
		if d.UUID == "" || d.Name == "" {
			t.Errorf("GPU %d has no name: %+v", d.Index, d)
		}
		if total := d.MemoryTotalBytes; total.Known && total.Value < 1<<28 {
			t.Errorf("GPU %d has %v bytes of memory", d.Index, total.Value)
		}
		if w := d.PowerWatts; w.Known && (w.Value <= 0 || w.Value > 3000) {
			t.Errorf("GPU %d draws %v W", d.Index, w.Value)
		}
		if r := d.Rate; r.Known && (r.Value < 0 || r.Value > 100) {
			t.Errorf("GPU %d is busy to %v percent", d.Index, r.Value)
		}
	}
}

// Looks 5 s apart get all samples of those 5 s, or none from a ring that is dry while the GPU idles.
func TestHardwareRing(t *testing.T) {
	s := hardware(t)
	firstGoodLook(t, s)
	tick := time.NewTicker(maxPollEvery)
	defer tick.Stop()
	for range 3 {
		<-tick.C
		g, took := look(t, s)
		t.Logf("a look took %v", took)
		if took > 500*time.Millisecond {
			t.Errorf("a look took %v", took)
		}
		for _, d := range g.Devices {
			t.Logf("GPU %d: %d samples, highest and period: %v %v, rate %v, gap %v, %v W, %v J", d.Index, len(d.Samples),
				d.Samples, d.SamplePeriod, d.Rate, d.Gap, d.PowerWatts.Or(-1), d.EnergyJoules.Or(-1))
			if d.State != watchdog.SourceOK || len(d.Samples) == 0 {
				continue
			}
			if d.Gap {
				t.Errorf("GPU %d: a gap in looks 5 s apart", d.Index)
			}
			if d.SamplePeriod == 0 {
				continue
			}
			if n := int(maxPollEvery / d.SamplePeriod); len(d.Samples) > n+n/4+2 {
				t.Errorf("GPU %d: %d samples in 5 s at a period of %v", d.Index, len(d.Samples), d.SamplePeriod)
			}
		}
	}
}
