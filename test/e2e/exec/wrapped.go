package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

const (
	podID  = "e2eexecpod"
	apiKey = "rpa_e2e_key_of_no_account"
	// brokenLimit is short, so that an act takes a minute.
	brokenLimit = 10 * time.Second
)

// wrapped is a running `gpu-watchdog exec`.
type wrapped struct {
	// url is where the server will be.
	url, log string
	provider *runpodtest.Server // nil off RunPod
	cmd      *exec.Cmd
	done     chan struct{}

	mu    sync.Mutex
	lines []line
}

// line is one line of what it and the server write.
type line struct {
	at     time.Time
	text   string
	fields map[string]any // nil where it is no JSON
}

func (l line) is(msg string) bool { return l.fields != nil && l.fields["msg"] == msg }

func (l line) word(key string) string {
	s, _ := l.fields[key].(string)
	return s
}

func (l line) number(key string) (n float64, known bool) {
	n, known = l.fields[key].(float64)
	return n, known
}

// wrap starts a command under exec. onRunPod gives it a fake RunPod of its own. argv gets the port that it must serve.
func (p *play) wrap(ctx context.Context, name string, onRunPod bool, argv func(port string) []string, environ ...string) (*wrapped, error) {
	disk := filepath.Join(p.config.work, "disk-"+name)
	if err := os.RemoveAll(disk); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(disk, 0o755); err != nil {
		return nil, err
	}
	address, err := stage.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(address)
	w := &wrapped{url: "http://" + address, log: filepath.Join(p.config.work, name+".log"), done: make(chan struct{})}
	all := p.pod.Inside(append([]string{p.config.watchdog, "exec", "--"}, argv(port)...)...)
	w.cmd = exec.Command(all[0], all[1:]...)
	w.cmd.Env = append(stage.Environment(p.config.venv, stage.Kernels(p.config.work)),
		"TMPDIR="+disk, "WATCHDOG_NAME="+name, "WATCHDOG_VLLM_URLS="+w.url, "WATCHDOG_LISTEN=127.0.0.1:0", "WATCHDOG_INGEST_LISTEN=127.0.0.1:0",
		"WATCHDOG_LOG_FORMAT=json", "WATCHDOG_DIR="+filepath.Join(disk, "kept"), "WATCHDOG_START_ID_FILE="+filepath.Join(disk, "start-id"),
		"WATCHDOG_CHECK_INTERVAL=500ms", "WATCHDOG_MIN_RUNTIME=0s", "WATCHDOG_WARN_BEFORE=0s", "WATCHDOG_BROKEN_LIMIT="+brokenLimit.String(),
		"WATCHDOG_STARTUP_TIMEOUT=10m", "WATCHDOG_PRICE=1.5")
	if onRunPod {
		w.provider = runpodtest.New(runpodtest.Options{PodID: podID, APIKey: apiKey, CostUSDPerHour: 1.5})
		w.cmd.Env = append(w.cmd.Env, "RUNPOD_POD_ID="+podID, "RUNPOD_API_KEY="+apiKey,
			"WATCHDOG_RUNPOD_API_URL="+w.provider.URL(), "WATCHDOG_RUNPOD_GRAPHQL_URL="+w.provider.GraphQLURL())
	}
	w.cmd.Env = append(w.cmd.Env, environ...)
	log, err := os.Create(w.log)
	if err != nil {
		return nil, err
	}
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	w.cmd.Stdout, w.cmd.Stderr = to, to
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start exec: %w", err)
	}
	to.Close()
	go func() {
		defer log.Close()
		defer from.Close()
		w.read(io.TeeReader(from, log))
	}()
	go func() {
		defer close(w.done)
		_ = w.cmd.Wait() // status reads how it ended
	}()
	return w, os.WriteFile(filepath.Join(p.config.work, "server.pid"), []byte(strconv.Itoa(w.cmd.Process.Pid)+"\n"), 0o600)
}

func (w *wrapped) read(from io.Reader) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l := line{at: time.Now(), text: scanner.Text()}
		_ = json.Unmarshal(scanner.Bytes(), &l.fields) // the server's are no JSON
		w.mu.Lock()
		w.lines = append(w.lines, l)
		w.mu.Unlock()
	}
}

// find returns the lines so far that are wanted.
func (w *wrapped) find(wanted func(line) bool) (out []line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.lines {
		if wanted(l) {
			out = append(out, l)
		}
	}
	return out
}

// await waits for the first line that is wanted.
func (w *wrapped) await(ctx context.Context, most time.Duration, what string, wanted func(line) bool) (line, error) {
	var found []line
	if !stage.Until(ctx, most, func() bool { found = w.find(wanted); return len(found) > 0 || w.ended() }) || len(found) == 0 {
		return line{}, fmt.Errorf("no line within %s: %s; the end of %s:\n%s", most, what, w.log, stage.Tail(w.log))
	}
	return found[0], nil
}

func (w *wrapped) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// child waits for its child whose command line holds a word, other than that process.
func (w *wrapped) child(ctx context.Context, word string, other int) (int, error) {
	found := 0
	if !stage.Until(ctx, 10*time.Second, func() bool {
		for _, pid := range stage.Children(w.cmd.Process.Pid) {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			if pid != other && bytes.Contains(text, []byte(word)) {
				found = pid
			}
		}
		return found != 0
	}) {
		return 0, fmt.Errorf("it has no child %q", strings.ReplaceAll(word, "\x00", " "))
	}
	return found, nil
}

// watcher is the watchdog beside the server.
const watcher = "gpu-watchdog\x00run\x00"

// end ends it and all that it has started.
func (w *wrapped) end() {
	all := stage.Descendants(w.cmd.Process.Pid)
	_ = w.cmd.Process.Signal(syscall.SIGTERM) // an error is that it has ended
	select {
	case <-w.done:
	case <-time.After(15 * time.Second):
	}
	for _, pid := range all {
		if pid != w.cmd.Process.Pid && stage.Alive(pid) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	_ = w.cmd.Process.Kill()
	<-w.done
	if w.provider != nil {
		w.provider.Close()
	}
}

// status is how it ended, as a shell has it.
func (w *wrapped) status() int {
	if ws := w.cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 1000 + int(ws.Signal()) // it was no exit of its own
	}
	return w.cmd.ProcessState.ExitCode()
}
