//go:build !linux || !cgo

package nvml

import (
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestAbsentWithoutNVML(t *testing.T) {
	for gpus, want := range map[string]string{"all": "NVML", "none": "GPUS=none"} {
		selected, err := ParseSelection(gpus)
		if err != nil {
			t.Fatal(err)
		}
		s := New(Config{GPUs: selected}, nil)
		if g := s.Read(t.Context()); g.State != watchdog.SourceAbsent || !strings.Contains(g.Reason, want) {
			t.Errorf("GPUS=%s: have %+v", gpus, g)
		}
		s.Close()
	}
}
