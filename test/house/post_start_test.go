package house

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

const (
	// An image's own start script, in the manner of RunPod's: what fails ends it, and the container with it.
	imagesStart = `#!/bin/bash
set -e
echo "Pod Started"
bash "$POST_START"
echo "Pod is ready to use"
`
	// A watchdog for it. It writes what it lives through into a file, since the script's own output is the subject.
	watcher = `#!/bin/bash
echo "$@" "pod=${RUNPOD_POD_ID:-none} key=${RUNPOD_API_KEY:-none}" >>"$RECORD/watchdog"
echo '{"msg":"watchdog started"}' >&2
[[ ! -e $RECORD/dies ]] || { code=$(cat "$RECORD/dies"); rm "$RECORD/dies"; exit "$code"; }
while :; do sleep 0.02; done
`
)

// A start is one run of a start script with post_start.sh.
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

// has waits until the output has a text.
func (s *start) has(text string) {
	s.t.Helper()
	eventually.Holds(s.t, "the output has "+strconv.Quote(text), func() bool { return strings.Contains(s.said(), text) })
}

// ended is the exit code of the start script. What it left behind may hold the output open, so that is not waited for.
func (s *start) ended() int {
	s.t.Helper()
	state, err := s.cmd.Process.Wait()
	if err != nil {
		s.t.Fatal(err)
	}
	return state.ExitCode()
}

// left are the processes of this start that still run, found by the folder of their records.
func (s *start) left() (pids []int) {
	places, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, place := range places {
		environ, err := os.ReadFile(place)
		if err != nil || !bytes.Contains(environ, []byte("RECORD="+s.record+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(place))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// A layout says where the program and post_start.sh lie; without a program there is none.
type layout int

const (
	onThePath layout = iota
	besideTheScript
	noProgram
)

// begin starts an image's start script. dies is the exit code of the first watchdog; "" lets it live.
func begin(t *testing.T, where layout, dies string) *start {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("post_start.sh is for the images of Linux")
	}
	s := &start{t: t, record: t.TempDir()}
	bin, folder := t.TempDir(), t.TempDir()
	script, err := os.ReadFile(root + "/deploy/runpod/post_start.sh")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{filepath.Join(bin, "start.sh"): imagesStart, filepath.Join(folder, "post_start.sh"): string(script)}
	switch where {
	case onThePath:
		files[filepath.Join(bin, "gpu-watchdog")] = watcher
	case besideTheScript:
		files[filepath.Join(folder, "gpu-watchdog")] = watcher
	case noProgram:
	}
	if dies != "" {
		files[filepath.Join(s.record, "dies")] = dies
	}
	for name, text := range files {
		// A program that another test starts meanwhile would hold the file open for writing until it has become itself, and nobody
		// can run a file that is being written.
		syscall.ForkLock.RLock()
		err := os.WriteFile(name, []byte(text), 0o755)
		syscall.ForkLock.RUnlock()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	s.cmd = exec.CommandContext(ctx, filepath.Join(bin, "start.sh"))
	s.cmd.Env = []string{
		"PATH=" + bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "RECORD=" + s.record,
		"POST_START=" + filepath.Join(folder, "post_start.sh"), "RUNPOD_POD_ID=pod1", "RUNPOD_API_KEY=k1",
	}
	// A pipe of our own, since exec's would be waited for until the watchdog closes it.
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = write, write
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close() // the children have it
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(s, read)
	}()
	t.Cleanup(func() {
		eventually.Holds(t, "all of it is killed", func() bool {
			pids := s.left()
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return len(pids) == 0
		})
		cancel()
		<-copied
		_ = read.Close()
		if t.Failed() {
			t.Logf("written:\n%s\nwatchdog:\n%s", s.said(), s.recorded("watchdog"))
		}
	})
	return s
}

// ready waits until the image's start script has gone on.
func (s *start) ready() {
	s.t.Helper()
	s.has("Pod is ready to use")
	if code := s.ended(); code != 0 {
		s.t.Errorf("the start script ended with %d", code)
	}
}

func TestPostStartLeavesAWatchdogBehind(t *testing.T) {
	for name, where := range map[string]layout{"on the path": onThePath, "beside the script": besideTheScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := begin(t, where, "")
			s.ready()
			s.has("watchdog started")
			if got, want := s.recorded("watchdog"), "run pod=pod1 key=k1\n"; got != want {
				t.Errorf("the watchdog was started as %q, not as %q", got, want)
			}
		})
	}
}

// A missing symbol of NVML ends a process with 127.
func TestPostStartStartsADeadWatchdogAgain(t *testing.T) {
	t.Parallel()
	s := begin(t, onThePath, "127")
	s.ready()
	s.has("gpu-watchdog ended with 127 and is started again in 1 s")
	eventually.Holds(t, "it is started again", func() bool { return strings.Count(s.recorded("watchdog"), "run") == 2 })
}

func TestPostStartLeavesThePodWhenSettingsAreWrong(t *testing.T) {
	t.Parallel()
	s := begin(t, onThePath, "2")
	s.ready()
	s.has("NOBODY WATCHES THIS POD")
	if strings.Count(s.recorded("watchdog"), "run") != 1 {
		t.Error("the refused settings were tried again at once")
	}
}

func TestPostStartLeavesThePodWhenThereIsNoProgram(t *testing.T) {
	t.Parallel()
	s := begin(t, noProgram, "")
	s.ready()
	s.has("gpu-watchdog ended with 127 and is started again in 1 s")
}

// The watchdog is in no session of a start script or a terminal that others signal, or that closes.
func TestPostStartPutsTheWatchdogIntoASessionOfItsOwn(t *testing.T) {
	t.Parallel()
	s := begin(t, onThePath, "")
	s.ready()
	s.has("watchdog started")
	ours, err := unix.Getsid(0)
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, pid := range s.left() {
		session, err := unix.Getsid(pid)
		if err != nil {
			continue // a sleep of the stand-in's that has ended
		}
		looked++
		if session == ours {
			t.Errorf("process %d is in the session of whoever started it", pid)
		}
	}
	if looked < 2 {
		t.Errorf("%d processes are left, and not a watchdog and what starts it again", looked)
	}
}
