//go:build linux && cgo && !gpu

package nvml

import (
	"path/filepath"
	"testing"
)

func TestSessionTellsWhatIsShownAndTheDriverOnlyWhereAsked(t *testing.T) {
	for _, asked := range []bool{false, true} {
		script := idle(2)
		script.Trace = filepath.Join(t.TempDir(), "trace")
		second, err := ParseSelection("1")
		if err != nil {
			t.Fatal(err)
		}
		cfg := brisk
		cfg.Driver, cfg.GPUs = asked, second
		s, _ := watch(t, script, cfg)
		read(t, s)
		want := Session{Shown: 2}
		if asked {
			want.Driver = "580.95.05"
		}
		if got := s.Session(); got != want {
			t.Errorf("asked for the driver (%v): %+v, want %+v", asked, got, want)
		}
		if n := calls(t, script.Trace, "nvmlSystemGetDriverVersion"); (n > 0) != asked {
			t.Errorf("asked for the driver (%v): %d calls", asked, n)
		}
		s.Close()
	}
}

func TestSessionWithoutTheFunctionHasNoDriver(t *testing.T) {
	alone(t, "", []string{"without:nvmlSystemGetDriverVersion"}, func(t *testing.T) {
		cfg := brisk
		cfg.Driver = true
		s, _ := watch(t, idle(1), cfg)
		read(t, s)
		if got := s.Session(); got != (Session{Shown: 1}) {
			t.Errorf("have %+v", got)
		}
	})
}
