//go:build linux && cgo && !gpu

package nvml

import (
	"context"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// BenchmarkRead is one look at 8 GPUs, the calls of NVML included, at the default settings. The stand-in's own calls
// cost less than a driver's.
func BenchmarkRead(b *testing.B) {
	script := idle(8)
	for i := range script.GPUs {
		script.GPUs[i].Period = 0
	}
	if err := script.Write(); err != nil {
		b.Fatal(err)
	}
	s := New(Config{Library: libraryPath}, nil)
	defer s.Close()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	if g := s.Read(ctx); g.State != watchdog.SourceOK || len(g.Devices) != 8 {
		b.Fatalf("have %+v", g)
	}
	b.ReportAllocs()
	for b.Loop() {
		if g := s.Read(ctx); g.State != watchdog.SourceOK {
			b.Fatalf("have %+v", g)
		}
	}
}
