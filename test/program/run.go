package program

import (
	"bufio"
	"fmt"
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
	// stderr is our end of its log, stalled is held while nobody reads it.
	stderr  *os.File
	stalled sync.Mutex
	resume  func()

	mu    sync.Mutex
	lines []Line
	more  chan struct{} // closed and replaced with each line
}

// Config says how the program is run.
type Config struct {
	// Path is the program, Env all of its environment but for what Start adds.
	Path string
	Env  []string
	// Wrap is a command that is given the program's own as its last arguments; empty for none. It must end by exec.
	Wrap []string
	// Args are the program's arguments; none are "run".
	Args []string
	// Attr are the system's attributes of the process.
	Attr *syscall.SysProcAttr
	// LogPipe is how many bytes of its log may wait to be read, 0 for what the system has.
	LogPipe int
}

// Soon is how long something that must come may take on a busy machine.
const Soon = 20 * time.Second

// Start runs the program with nothing in its environment but what is given (and PATH), and with a free port to listen on
// where WATCHDOG_LISTEN is not given. At the end of the test it is killed; the log of a failed test is shown.
func Start(t testing.TB, path string, env ...string) *Run {
	t.Helper()
	return Config{Path: path, Env: env}.Start(t)
}

// Start is the function Start, with all that Config can say.
func (c Config) Start(t testing.TB) *Run {
	t.Helper()
	sources.Do(readSources)
	r := &Run{t: t, ended: make(chan struct{}), more: make(chan struct{})}
	args := c.Args
	if len(args) == 0 {
		args = []string{"run"}
	}
	argv := slices.Concat(c.Wrap, []string{c.Path}, args)
	r.cmd = exec.Command(argv[0], argv[1:]...)
	r.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "WATCHDOG_LISTEN=127.0.0.1:0", "WATCHDOG_INGEST_LISTEN=127.0.0.1:0", "WATCHDOG_LOG_FORMAT=json"}, c.Env...)
	r.cmd.SysProcAttr = c.Attr
	stderr, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	if c.LogPipe > 0 {
		if err := resizePipe(write, c.LogPipe); err != nil {
			t.Fatal(err)
		}
	}
	r.cmd.Stderr, r.stderr = write, stderr
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		r.read(stderr)
	}()
	go func() {
		defer close(r.ended)
		_ = r.cmd.Wait() // ExitCode says how it ended
		<-read
	}()
	t.Cleanup(func() {
		r.Kill()
		if t.Failed() {
			t.Log("its log:\n" + r.String())
		}
	})
	return r
}

func (r *Run) read(from *os.File) {
	defer from.Close()
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r.stalled.Lock()
		r.mu.Lock()
		r.lines = append(r.lines, parse(lines.Bytes()))
		close(r.more)
		r.more = make(chan struct{})
		r.mu.Unlock()
		r.stalled.Unlock()
	}
}

// StallLog ceases to read its log, as a log collector that hangs, until the program is killed.
func (r *Run) StallLog() {
	r.stalled.Lock()
	r.resume = sync.OnceFunc(r.stalled.Unlock)
}

// DropLog closes its log's other end, as a log collector that died.
func (r *Run) DropLog() { _ = r.stderr.Close() }

// Says waits for a line with this constant message, and one of its fields holding every one of the words.
func (r *Run) Says(msg string, words ...string) Line {
	r.t.Helper()
	return r.Await(fmt.Sprintf("%q with %q", msg, words), Soon, func(l Line) bool { return l.Msg() == msg && l.Holds(words...) })
}

// Signal sends it a signal; one that has ended already gets none.
func (r *Run) Signal(s syscall.Signal) { _ = r.cmd.Process.Signal(s) }

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
	if r.resume != nil {
		r.resume()
	}
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
