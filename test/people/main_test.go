package people

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }

// soon is how long something that must come may take on a busy machine.
const soon = 20 * time.Second

// pod is a pod with a quiet server and a watchdog that takes orders.
type pod struct {
	*program.Run
	t       *testing.T
	dir     string
	working atomic.Bool
}

// start runs the program beside a server that is quiet until it is told to work. It looks five times a second and would stop the pod
// only after an hour, unless env says otherwise.
func start(t *testing.T, env ...string) *pod {
	t.Helper()
	p := &pod{t: t}
	// The path of a socket must be short, which that of t.TempDir need not be.
	dir, err := os.MkdirTemp("", "people-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what is left is in the temporary folder
	p.dir = dir
	p.Run = program.Start(t, binary, append([]string{
		"TMPDIR=" + dir, "WATCHDOG_CONTROL_SOCKET=" + p.socket(), "WATCHDOG_NAME=pod",
		"WATCHDOG_DIR=" + filepath.Join(dir, "volume"), "WATCHDOG_START_ID_FILE=" + filepath.Join(dir, "start-id"),
		"WATCHDOG_VLLM_URLS=" + p.server(), "WATCHDOG_GPUS=none", "WATCHDOG_CHECK_INTERVAL=200ms", "WATCHDOG_MIN_RUNTIME=0s",
		"WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_LIMIT=1h", "WATCHDOG_WARN_BEFORE=0s", "WATCHDOG_TERMINAL_GUARD=0s",
	}, env...)...)
	p.Await("taking orders", soon, func(l program.Line) bool { return l.Msg() == "taking orders" })
	p.Await("a quiet window", soon, func(l program.Line) bool { return l.Msg() == "decision" && l.Text("activity") == "quiet" })
	return p
}

func (p *pod) socket() string { return filepath.Join(p.dir, "s") }

// server is one whose requests begin and end as the test says.
func (p *pod) server() string {
	began := time.Now()
	var tokens atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		running := int64(0)
		if p.working.Load() {
			running = 1
		}
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		fmt.Fprintf(w, "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine=\"0\"} %d\n", running)
		fmt.Fprint(w, "# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{engine=\"0\"} 0\n")
		fmt.Fprintf(w, "# TYPE vllm:generation_tokens counter\nvllm:generation_tokens_total{engine=\"0\"} %d\n", tokens.Add(running))
		fmt.Fprintf(w, "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %d\n", began.Unix())
	})
	s := httptest.NewServer(mux)
	p.t.Cleanup(s.Close)
	return s.URL
}

// said is what a command came to.
type said struct {
	code        int
	out, errors string
}

// order gives the watchdog of this pod an order.
func (p *pod) order(args ...string) said {
	p.t.Helper()
	return order(p.t, p.socket(), args...)
}

func order(t *testing.T, socket string, args ...string) said {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "WATCHDOG_CONTROL_SOCKET=" + socket}
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), problems.String()}
}

// until waits for something that must come true.
func (p *pod) until(what string, true func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(soon); !true(); {
		if time.Now().After(deadline) {
			p.t.Fatalf("not within %s: %s", soon, what)
		}
		timer := time.NewTimer(50 * time.Millisecond)
		<-timer.C
	}
}
