package wrapped

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// soon is how long something that must come may take on a busy machine.
const soon = 20 * time.Second

// refused has the watchdog refuse its settings, which is all that it does then.
const refused = "WATCHDOG_NO_SUCH_SETTING=1"

// wrapper is a running `gpu-watchdog exec`.
type wrapper struct {
	t     *testing.T
	cmd   *exec.Cmd
	ended chan struct{}

	out, log lines
}

// lines are what came from one of its streams.
type lines struct {
	mu    sync.Mutex
	all   []string
	more  chan struct{}
	whole bytes.Buffer
}

func (l *lines) read(from io.Reader) {
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		l.mu.Lock()
		if line != "" {
			l.all = append(l.all, strings.TrimRight(line, "\r\n"))
			l.whole.WriteString(line)
		}
		close(l.more)
		l.more = make(chan struct{})
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.whole.String()
}

// command is a wrapper of a server that a shell is told. It has nothing in its environment but what is given, PATH, and settings
// with which a watchdog that is not refused watches nothing.
func command(t *testing.T, environ []string, flags []string, script string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	argv := append(append([]string{"exec"}, flags...), "--", "/bin/sh", "-c", script)
	cmd := exec.Command(binary, argv...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "WATCHDOG_LISTEN=127.0.0.1:0", "WATCHDOG_INGEST_LISTEN=off", "WATCHDOG_VLLM_URLS=none",
		"WATCHDOG_GPUS=none", "WATCHDOG_DRY_RUN=true", "WATCHDOG_LOG_FORMAT=json", "WATCHDOG_DIR=" + filepath.Join(dir, "volume"),
		"WATCHDOG_START_ID_FILE=" + filepath.Join(dir, "start-id"),
	}, environ...)
	return cmd
}

func wrap(t *testing.T, environ []string, script string, flags ...string) *wrapper {
	t.Helper()
	w := &wrapper{t: t, cmd: command(t, environ, flags, script), ended: make(chan struct{})}
	w.out.more, w.log.more = make(chan struct{}), make(chan struct{})
	stdout, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { w.out.read(stdout) })
	reading.Go(func() { w.log.read(stderr) })
	go func() {
		defer close(w.ended)
		reading.Wait()
		_ = w.cmd.Wait() // status says how it ended
	}()
	t.Cleanup(func() {
		// The server is in a group of its own, and must not outlive its test.
		left := children(w.cmd.Process.Pid)
		_ = w.cmd.Process.Kill()
		for _, pid := range left {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		<-w.ended
		if t.Failed() {
			t.Logf("its output:\n%s\nits log:\n%s", w.out.text(), w.log.text())
		}
	})
	return w
}

// said waits for the first line of its output that begins so, and returns the rest; logged waits for one of its log that holds that.
func (w *wrapper) said(begins string) string {
	w.t.Helper()
	return await(w, &w.out, func(line string) (string, bool) { return strings.CutPrefix(line, begins) }, begins)
}

func (w *wrapper) logged(holds string) string {
	w.t.Helper()
	return await(w, &w.log, func(line string) (string, bool) { return line, strings.Contains(line, holds) }, holds)
}

func await(w *wrapper, from *lines, wanted func(string) (string, bool), what string) string {
	w.t.Helper()
	timeout := time.After(soon)
	for next := 0; ; {
		from.mu.Lock()
		have, more := from.all, from.more
		from.mu.Unlock()
		for ; next < len(have); next++ {
			if rest, yes := wanted(have[next]); yes {
				return strings.TrimSpace(rest)
			}
		}
		select {
		case <-more:
		case <-timeout:
			w.t.Fatalf("no %q within %s", what, soon)
		}
	}
}

func (w *wrapper) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// status waits for its end and returns it as a shell does.
func (w *wrapper) status() int {
	w.t.Helper()
	select {
	case <-w.ended:
	case <-time.After(soon):
		w.t.Fatalf("it still runs after %s", soon)
	}
	return statusOf(w.cmd)
}

func statusOf(cmd *exec.Cmd) int {
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 1000 + int(ws.Signal()) // it was no exit of its own
	}
	return cmd.ProcessState.ExitCode()
}

// children are the processes that a process has started.
func children(pid int) (out []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid)) // the pattern is a good one
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// watchdog waits until the wrapper has a watchdog beside the server, other than that process, and returns it.
func (w *wrapper) watchdog(other int) int {
	w.t.Helper()
	for deadline := time.Now().Add(soon); ; {
		for _, pid := range children(w.cmd.Process.Pid) {
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if pid != other && bytes.HasSuffix(line, []byte("\x00run\x00")) {
				return pid
			}
		}
		if time.Now().After(deadline) {
			w.t.Fatal("no watchdog beside the server")
		}
		pause()
	}
}

// pause lets others run.
func pause() { <-time.After(10 * time.Millisecond) }

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(text, "nothing"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}
