package standin

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What the library does with the file is tested through go-nvml, in the package above.

func TestBuildSaysWhatIsWrong(t *testing.T) {
	for _, variant := range []string{"new", "without:", "without:main", "without:nvml -o /etc/passwd"} {
		if _, err := Build(t.TempDir(), variant); err == nil || !strings.Contains(err.Error(), "unknown variant") {
			t.Errorf("variant %q: have the error %v", variant, err)
		}
	}
	t.Setenv("CC", "no-such-compiler -m64")
	if _, err := Build(t.TempDir()); !errors.Is(err, ErrNoCompiler) || !strings.Contains(err.Error(), `"no-such-compiler"`) {
		t.Errorf("have the error %v", err)
	}
	t.Setenv("CC", "false")
	if _, err := Build(t.TempDir()); err == nil || !strings.Contains(err.Error(), "false: exit status 1") {
		t.Errorf("have the error %v", err)
	}
	t.Setenv("CC", "")
	t.Setenv("PATH", t.TempDir())
	if _, err := Build(t.TempDir()); !errors.Is(err, ErrNoCompiler) {
		t.Errorf("have the error %v", err)
	}
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	path, err := Build(dir, "old", "without:nvmlDeviceGetName")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(filepath.Join(dir, Library))
	if err != nil || path != filepath.Join(dir, Library) {
		t.Fatal(path, err)
	}
	for symbol, want := range map[string]bool{"\x00nvmlInit\x00": true, "\x00nvmlInit_v2\x00": false, "\x00nvmlDeviceGetName\x00": false} {
		if strings.Contains(string(binary), symbol) != want {
			t.Errorf("exports %q: want %v", strings.Trim(symbol, "\x00"), want)
		}
	}
}

func TestScriptText(t *testing.T) {
	at := time.UnixMicro(1_700_000_000_123_456)
	kind, rate := 0, uint(0)
	s := NewScript(filepath.Join(t.TempDir(), "script"), 2)
	s.Init, s.Trace, s.Hangs = 9, "/tmp/trace", []string{"nvmlShutdown"}
	s.Codes = map[string]int{"nvmlInit_v2": 4, "nvmlDeviceGetCount_v2": 15}
	g := &s.GPUs[1]
	*g = GPU{
		UUID: "GPU-1", Name: "A card", Rate: &rate, MemoryRate: 3, MemoryUsed: 5, MemoryTotal: 6, Lost: 15, MIG: 2,
		Codes: map[string]int{"nvmlDeviceGetName": 3}, Slots: 99, Period: time.Second, ExactSizes: true, DryWhenIdle: true,
		RingSince: at, StampOffset: -time.Millisecond, ValueType: &kind,
	}
	g.SetLevel(at, 70)
	g.Burst(at, time.Second, 80)
	g.SetPower(at, 50_000)
	g.SetPower(at.Add(10*time.Second), 300_000) // 10 s at 50 W
	if err := s.Write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := `# control file of the NVML stand-in
gpus 2
init 9
code nvmlDeviceGetCount_v2 15
code nvmlInit_v2 4
hang nvmlShutdown
trace /tmp/trace
gpu 1 uuid GPU-1
gpu 1 name A card
gpu 1 level 1700000000123456 70
gpu 1 burst 1700000000123456 1700000001123456 80
gpu 1 rate 0
gpu 1 value_type 0
gpu 1 energy 1700000010123456 500000
gpu 1 since_us 1700000000123456
gpu 1 memory_rate 3
gpu 1 power_mw 300000
gpu 1 memory_used 5
gpu 1 memory_total 6
gpu 1 lost 15
gpu 1 mig 2
gpu 1 slots 99
gpu 1 period_us 1000000
gpu 1 offset_us -1000
gpu 1 exact 1
gpu 1 dry 1
gpu 1 code nvmlDeviceGetName 3
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	left, err := os.ReadDir(filepath.Dir(s.Path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files beside the script, %v", len(left)-1, err)
	}
	s.Path = filepath.Join(s.Path, "below", "a file")
	if err := s.Write(); err == nil || !strings.Contains(err.Error(), "write the stand-in's control file") {
		t.Errorf("have the error %v", err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var g GPU
	for i := range 1000 {
		g.SetLevel(time.UnixMicro(int64(i)), 1)
		g.Burst(time.UnixMicro(int64(i)), time.Second, 1)
	}
	if len(g.Levels) != maxSpans || len(g.Bursts) != maxSpans || g.Levels[maxSpans-1].From.UnixMicro() != 999 {
		t.Errorf("%d levels, %d bursts", len(g.Levels), len(g.Bursts))
	}
}
