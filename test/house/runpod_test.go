package house

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The two children of start.sh are scripts here. Each writes what it lives through into a file, since start.sh's own output
// is the subject.
const (
	server = `#!/bin/bash
trap 'echo term >>"$RECORD/server"; exit 7' TERM
trap 'echo usr1 >>"$RECORD/server"' USR1
echo "$@" "key=${WATCHDOG_RUNPOD_API_KEY:-none}" "file=${WATCHDOG_RUNPOD_API_KEY_FILE:-none}" >"$RECORD/server"
[[ $1 != short ]] || exit 3
while :; do sleep 0.02; done
`
	watcher = `#!/bin/bash
trap 'echo term >>"$RECORD/watchdog"; exit 0' TERM
echo "$@" "key=${WATCHDOG_RUNPOD_API_KEY:-none}" >>"$RECORD/watchdog"
echo '{"msg":"watchdog started"}' >&2
[[ ! -e $RECORD/dies ]] || { code=$(cat "$RECORD/dies"); rm "$RECORD/dies"; exit "$code"; }
while :; do sleep 0.02; done
`
)

// A start is one run of start.sh.
type start struct {
	t      *testing.T
	cmd    *exec.Cmd
	record string
	mu     sync.Mutex
	output bytes.Buffer
}

func (s *start) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.Write(p)
}

func (s *start) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.output.String()
}

func (s *start) recorded(name string) string {
	text, err := os.ReadFile(filepath.Join(s.record, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text)
}

// eventually waits until a condition holds, 10 s at most.
func (s *start) eventually(what string, holds func() bool) {
	s.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			s.t.Fatalf("%s: not within 10 s; start.sh wrote:\n%s\nserver:\n%s\nwatchdog:\n%s", what, s.said(), s.recorded("server"), s.recorded("watchdog"))
		}
	}
}

func (s *start) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// ended is the exit code.
func (s *start) ended() int {
	s.t.Helper()
	var exit *exec.ExitError
	if err := s.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

// begin starts start.sh with its arguments. dies is the exit code of the first watchdog; "" lets it live.
func begin(t *testing.T, dies string, environ []string, arguments ...string) *start {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("start.sh is for the images of Linux")
	}
	s := &start{t: t, record: t.TempDir()}
	bin := t.TempDir()
	for name, text := range map[string]string{"vllm": server, "gpu-watchdog": watcher} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if dies != "" {
		if err := os.WriteFile(filepath.Join(s.record, "dies"), []byte(dies), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	script, err := filepath.Abs(root + "/deploy/runpod/start.sh")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	s.cmd = exec.CommandContext(ctx, script, arguments...)
	s.cmd.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "RECORD=" + s.record, "TMPDIR=" + t.TempDir()}, environ...)
	s.cmd.Stdout, s.cmd.Stderr = s, s
	// Whatever is left holds the output open; this is how long it may.
	s.cmd.WaitDelay = 5 * time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *start) running() {
	s.t.Helper()
	s.eventually("server and watchdog run", func() bool {
		return s.recorded("server") != "" && strings.Contains(s.said(), "watchdog started")
	})
}

func TestStartPassesSignalsAndTheServersCodeOn(t *testing.T) {
	t.Parallel()
	s := begin(t, "", []string{"WATCHDOG_RUNPOD_API_KEY=k1", "WATCHDOG_RUNPOD_API_KEY_FILE=/run/k"}, "vllm", "serve", "a model")
	s.running()
	s.signal(syscall.SIGUSR1)
	s.eventually("the server gets SIGUSR1", func() bool { return strings.Contains(s.recorded("server"), "usr1") })
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 7 {
		t.Errorf("it ended with %d, not with the server's 7", code)
	}
	if got, want := s.recorded("server"), "serve a model key=none file=none\nusr1\nterm\n"; got != want {
		t.Errorf("the server lived through %q, not %q", got, want)
	}
	if got, want := s.recorded("watchdog"), "run key=k1\nterm\n"; got != want {
		t.Errorf("the watchdog lived through %q, not %q", got, want)
	}
}

func TestStartEndsWithTheServer(t *testing.T) {
	t.Parallel()
	s := begin(t, "", nil, "vllm", "short")
	if code := s.ended(); code != 3 {
		t.Errorf("it ended with %d, not with the server's 3", code)
	}
}

// A missing symbol of NVML ends a process with 127.
func TestStartKeepsTheServerWhenTheWatchdogDies(t *testing.T) {
	t.Parallel()
	s := begin(t, "127", nil, "vllm", "serve")
	s.eventually("the watchdog is started again", func() bool { return strings.Count(s.recorded("watchdog"), "run") == 2 })
	if !strings.Contains(s.said(), "gpu-watchdog ended with 127 and is started again in 1 s") {
		t.Errorf("it does not say that the watchdog died:\n%s", s.said())
	}
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 7 {
		t.Errorf("it ended with %d, not with the server's 7", code)
	}
}

func TestStartServesUnwatchedWhenSettingsAreWrong(t *testing.T) {
	t.Parallel()
	s := begin(t, "2", nil, "vllm", "serve")
	s.eventually("it says so", func() bool { return strings.Contains(s.said(), "NOBODY WATCHES THIS POD") })
	s.eventually("the server runs", func() bool { return s.recorded("server") != "" })
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 7 {
		t.Errorf("it ended with %d, not with the server's 7", code)
	}
	if strings.Count(s.recorded("watchdog"), "run") != 1 {
		t.Error("the refused settings were tried again at once")
	}
}

func TestStartCopiesTheLogToTheVolume(t *testing.T) {
	t.Parallel()
	volume := t.TempDir()
	log := filepath.Join(volume, "pod1", "watchdog.log")
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, bytes.Repeat([]byte("old\n"), 3<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	s := begin(t, "", []string{"WATCHDOG_DIR=" + volume, "RUNPOD_POD_ID=pod1"}, "vllm", "serve")
	s.running()
	s.eventually("the log is on the volume", func() bool {
		text, err := os.ReadFile(log)
		return err == nil && string(text) == "{\"msg\":\"watchdog started\"}\n"
	})
	if info, err := os.Stat(log + ".1"); err != nil || info.Size() != 12<<20 {
		t.Errorf("the long log of before was not put aside: %v", err)
	}
	s.signal(syscall.SIGTERM)
	s.ended()
}

// A named pipe that nobody reads hangs whoever opens it, as a network volume does that is gone.
func TestStartDoesNotHangWithTheVolume(t *testing.T) {
	t.Parallel()
	volume := t.TempDir()
	if err := os.Mkdir(filepath.Join(volume, "pod1"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(volume, "pod1", "watchdog.log"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := begin(t, "", []string{"WATCHDOG_DIR=" + volume, "RUNPOD_POD_ID=pod1"}, "vllm", "serve")
	s.running()
	s.signal(syscall.SIGTERM)
	if code := s.ended(); code != 7 {
		t.Errorf("it ended with %d, not with the server's 7", code)
	}
	if !strings.HasSuffix(s.recorded("watchdog"), "term\n") {
		t.Error("the watchdog was not ended")
	}
}

func TestStartWantsAServer(t *testing.T) {
	t.Parallel()
	s := begin(t, "", nil)
	if code := s.ended(); code != 2 || !strings.Contains(s.said(), "which server?") {
		t.Errorf("it ended with %d and wrote %q", code, s.said())
	}
}
