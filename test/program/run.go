package program

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Run is one run of the program, `gpu-watchdog run`.
type Run struct {
	t     testing.TB
	cmd   *exec.Cmd
	ended chan struct{}

	mu    sync.Mutex
	lines []Line
	more  chan struct{} // closed and replaced with each line
}

// Start runs the program with nothing in its environment but what is given (and PATH), and with a free port to listen on
// where WATCHDOG_LISTEN is not given. At the end of the test it is killed; the log of a failed test is shown.
func Start(t testing.TB, path string, env ...string) *Run {
	t.Helper()
	sources.Do(readSources)
	r := &Run{t: t, ended: make(chan struct{}), more: make(chan struct{})}
	r.cmd = exec.Command(path, "run")
	r.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "WATCHDOG_LISTEN=127.0.0.1:0", "WATCHDOG_INGEST_LISTEN=127.0.0.1:0", "WATCHDOG_LOG_FORMAT=json"}, env...)
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.ended)
		r.read(stderr)
		_ = r.cmd.Wait() // ExitCode says how it ended
	}()
	t.Cleanup(func() {
		r.Kill()
		if t.Failed() {
			t.Log("its log:\n" + r.String())
		}
	})
	return r
}

func (r *Run) read(from io.Reader) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r.mu.Lock()
		r.lines = append(r.lines, parse(lines.Bytes()))
		close(r.more)
		r.more = make(chan struct{})
		r.mu.Unlock()
	}
}

// Lines are the lines so far.
func (r *Run) Lines() []Line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

// Find returns the lines so far of which want is true.
func (r *Run) Find(want func(Line) bool) []Line {
	return slices.DeleteFunc(r.Lines(), func(l Line) bool { return !want(l) })
}

// String is the log so far, the latest lines of a long one.
func (r *Run) String() string {
	var b strings.Builder
	lines := r.Lines()
	for _, l := range lines[max(0, len(lines)-40):] {
		fmt.Fprintln(&b, map[string]any(l))
	}
	return b.String()
}

// Await returns the first line of which want is true; the test ends where there is none in time, or the program ended
// without one.
func (r *Run) Await(what string, most time.Duration, want func(Line) bool) Line {
	r.t.Helper()
	deadline := time.After(most)
	for {
		r.mu.Lock()
		i, more := slices.IndexFunc(r.lines, want), r.more
		r.mu.Unlock()
		if i >= 0 {
			return r.Lines()[i]
		}
		select {
		case <-more:
			continue
		case <-deadline:
			r.t.Fatalf("no line within %s: %s", most, what)
		case <-r.ended:
			if len(r.Find(want)) == 0 {
				r.t.Fatalf("the program ended with %d and without this line: %s", r.ExitCode(), what)
			}
		}
	}
}

// URL is where its pages are.
func (r *Run) URL() string {
	r.t.Helper()
	l := r.Await("listening", 10*time.Second, func(l Line) bool { return l.Msg() == "listening" })
	return "http://" + l.Text("address")
}

// PID is its process.
func (r *Run) PID() int { return r.cmd.Process.Pid }

// Lives says whether it still runs.
func (r *Run) Lives() bool {
	select {
	case <-r.ended:
		return false
	default:
		return true
	}
}

// Kill ends it without giving it a chance, and waits until it is gone.
func (r *Run) Kill() {
	_ = r.cmd.Process.Kill() // an error is that it has ended
	<-r.ended
}

// Terminate asks it to end and returns its exit code; one that does not within so long fails the test.
func (r *Run) Terminate(most time.Duration) int {
	r.t.Helper()
	_ = r.cmd.Process.Signal(syscall.SIGTERM) // an error is that it has ended
	return r.Wait(most)
}

// Wait returns its exit code once it has ended by itself; one that does not within so long fails the test.
func (r *Run) Wait(most time.Duration) int {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(most):
		r.t.Fatalf("the program still runs after %s", most)
	}
	return r.ExitCode()
}

// ExitCode is how it ended; -1 for a signal.
func (r *Run) ExitCode() int { return r.cmd.ProcessState.ExitCode() }
