//go:build !linux || !cgo

package nvml

import (
	"context"
	"runtime"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Source reads nothing in this build.
type Source struct{ reason string }

// New returns a source that is absent: NVML takes Linux and cgo.
func New(cfg Config, log *zap.Logger) *Source {
	reason := "this program was built without cgo, which NVML takes"
	switch {
	case cfg.GPUs.None():
		return &Source{noneReason}
	case runtime.GOOS != "linux":
		reason = "NVML is read on Linux only, and this is " + runtime.GOOS
	}
	if log != nil {
		log.Warn("gpu source absent", zap.String("reason", reason))
	}
	return &Source{reason}
}

// Read says that the source is absent, and why.
func (s *Source) Read(context.Context) watchdog.GPU {
	return watchdog.GPU{State: watchdog.SourceAbsent, Reason: s.reason}
}

// Session is empty.
func (s *Source) Session() Session { return Session{} }

// Close does nothing.
func (s *Source) Close() {}
