//go:build linux && cgo && !gpu

package nvml

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// A process can load one NVML in its life. Tests that share the plain stand-in run in this one, one after the other;
// those with a library of their own, or that leave a stuck call behind, run in a process of their own, see alone.
const (
	insideVariable  = "NVML_TEST_INSIDE"
	libraryVariable = "NVML_TEST_LIBRARY"
)

// bound is the time in which everything in these tests must have happened.
const bound = 20 * time.Second

var libraryPath, scriptPath string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(insideVariable) != "" {
		libraryPath, scriptPath = os.Getenv(libraryVariable), os.Getenv(standin.Variable)
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "nvml-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		libraryPath, err = standin.Build(dir)
	}
	if err == nil {
		scriptPath = filepath.Join(dir, "script")
		err = os.Setenv(standin.Variable, scriptPath)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "these tests watch a compiled NVML stand-in and cannot run without one:", err)
		return 1
	}
	return m.Run()
}

// alone runs body in a process of its own, against a stand-in of the given variants, or against the library at path
// where that is not empty. It fails where that process does, status 127 of a missing symbol included.
func alone(t *testing.T, path string, variants []string, body func(*testing.T)) {
	t.Helper()
	if os.Getenv(insideVariable) == t.Name() {
		body(t)
		return
	}
	t.Parallel()
	dir := t.TempDir()
	if path == "" {
		var err error
		if path, err = standin.Build(dir, variants...); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	exact := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", exact, "-test.v", "-test.timeout", bound.String())
	cmd.Env = append(os.Environ(), insideVariable+"="+t.Name(), libraryVariable+"="+path,
		standin.Variable+"="+filepath.Join(dir, "script"), "LD_LIBRARY_PATH="+filepath.Dir(libraryPath))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("the process of its own: %v\n%s", err, out)
	}
}

// idle is a script for n GPUs whose rings are quick, so that tests are.
func idle(n int) *standin.Script {
	s := standin.NewScript(scriptPath, n)
	for i := range s.GPUs {
		s.GPUs[i].UUID, s.GPUs[i].Period, s.GPUs[i].Slots = uuid(i), 5*time.Millisecond, 200
	}
	return s
}

func uuid(i int) string { return fmt.Sprintf("GPU-0000000%d-aaaa-bbbb-cccc-0123456789ab", i) }

func write(t *testing.T, s *standin.Script) {
	t.Helper()
	if err := s.Write(); err != nil {
		t.Fatal(err)
	}
}

// brisk are settings that do not make a test wait.
var brisk = Config{PollEvery: 50 * time.Millisecond, RetryEvery: 40 * time.Millisecond, FiguresEvery: time.Nanosecond}

// watch writes the script and opens a source on it.
func watch(t *testing.T, script *standin.Script, cfg Config) (*Source, *observer.ObservedLogs) {
	t.Helper()
	write(t, script)
	core, logs := observer.New(zapcore.DebugLevel)
	if cfg.Library == "" {
		cfg.Library = libraryPath
	}
	s := New(cfg, zap.New(core))
	t.Cleanup(func() {
		script.Hangs = nil
		write(t, script)
		s.Close()
	})
	return s, logs
}

func read(t *testing.T, s *Source) watchdog.GPU {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	return s.Read(ctx)
}

// readUntil reads until a look satisfies ok, and returns it.
func readUntil(t *testing.T, s *Source, what string, ok func(watchdog.GPU) bool) (g watchdog.GPU) {
	t.Helper()
	eventually.Within(t, bound, what, func() bool {
		g = read(t, s)
		return ok(g)
	})
	return g
}

func inState(state watchdog.SourceState) func(watchdog.GPU) bool {
	return func(g watchdog.GPU) bool { return g.State == state }
}

// calls counts the lines of a trace that begin so.
func calls(t *testing.T, trace, call string) int {
	t.Helper()
	text, err := os.ReadFile(trace)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count("\n"+string(text), "\n"+call)
}

// threads is how many threads this process has.
func threads(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "Threads:\t")
	line, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func highest(d watchdog.Device) uint8 {
	if len(d.Samples) == 0 {
		return 0
	}
	return slices.Max(d.Samples)
}
