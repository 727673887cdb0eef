package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// The watchdog's settings here, short so that the whole play takes minutes.
const (
	interval    = 500 * time.Millisecond
	sampling    = 200 * time.Millisecond // of /status
	limit       = 12 * time.Second
	warnBefore  = 4 * time.Second
	brokenLimit = 20 * time.Second
	// finalLook is the least distance of the two final looks.
	finalLook = time.Second
	podID     = "e2epod"
	apiKey    = "rpa_e2e_key_of_no_account"
)

// line is one line of the watchdog's log.
type line struct {
	at     time.Time
	fields map[string]any
}

func (l line) text(key string) string {
	s, _ := l.fields[key].(string)
	return s
}

func (l line) number(key string) float64 {
	n, _ := l.fields[key].(float64)
	return n
}

// watched is a running watchdog with a RunPod of its own.
type watched struct {
	name     string
	provider *runpodtest.Server
	cmd      *exec.Cmd
	done     chan struct{}
	polling  sync.WaitGroup
	stopPoll context.CancelFunc
	url      chan string

	mu     sync.Mutex
	lines  []line
	sights []sight
	begun  time.Time
}

// start starts the watchdog as on a RunPod pod: disk is the container's own folder, volume the one that outlives it.
func startWatchdog(c config, p stage.Pod, name, volume string, provider runpodtest.Options) (*watched, error) {
	disk := filepath.Join(c.work, "disk-"+name)
	if err := os.RemoveAll(disk); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(disk, 0o755); err != nil {
		return nil, err
	}
	provider.PodID, provider.APIKey, provider.CostUSDPerHour = podID, apiKey, 1.5
	w := &watched{name: name, provider: runpodtest.New(provider), done: make(chan struct{}), url: make(chan string, 1)}
	argv := p.Inside(c.watchdog, "run")
	w.cmd = exec.Command(argv[0], argv[1:]...)
	w.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + disk,
		"RUNPOD_POD_ID=" + podID, "RUNPOD_API_KEY=" + apiKey,
		"WATCHDOG_RUNPOD_API_URL=" + w.provider.URL(), "WATCHDOG_RUNPOD_GRAPHQL_URL=" + w.provider.GraphQLURL(),
		fmt.Sprintf("WATCHDOG_VLLM_URLS=http://127.0.0.1:%d", c.port),
		"WATCHDOG_LISTEN=127.0.0.1:0", "WATCHDOG_INGEST_LISTEN=127.0.0.1:0", "WATCHDOG_LOG_FORMAT=json",
		"WATCHDOG_DIR=" + filepath.Join(c.work, volume), "WATCHDOG_START_ID_FILE=" + filepath.Join(disk, "start-id"),
		"WATCHDOG_CHECK_INTERVAL=" + interval.String(), "WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_LIMIT=" + limit.String(),
		"WATCHDOG_WARN_BEFORE=" + warnBefore.String(), "WATCHDOG_MIN_RUNTIME=0s",
		"WATCHDOG_STARTUP_TIMEOUT=10m", "WATCHDOG_BROKEN_LIMIT=" + brokenLimit.String(),
	}
	log, err := os.Create(filepath.Join(c.work, "watchdog-"+name+".log"))
	if err != nil {
		return nil, err
	}
	stderr, err := w.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	go func() {
		defer close(w.done)
		defer log.Close()
		w.read(io.TeeReader(stderr, log))
		_ = w.cmd.Wait() // finish reads how it ended
	}()
	return w, w.poll(c)
}

// read takes in the log.
func (w *watched) read(from io.Reader) {
	scanner := bufio.NewScanner(from)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		l := line{at: time.Now()}
		if json.Unmarshal(scanner.Bytes(), &l.fields) != nil {
			l.fields = map[string]any{"msg": "not JSON", "detail": scanner.Text()}
		}
		if l.text("msg") == "listening" {
			w.url <- "http://" + l.text("address")
		}
		w.mu.Lock()
		if l.text("msg") == "watchdog started" {
			w.begun = l.at
		}
		w.lines = append(w.lines, l)
		w.mu.Unlock()
	}
}

// poll reads /status more often than the watchdog looks, so that no decision is missed, until the end.
func (w *watched) poll(c config) error {
	var url string
	select {
	case url = <-w.url:
	case <-w.done:
		return fmt.Errorf("the watchdog %s ended at once: see its log in %s", w.name, c.work)
	case <-time.After(10 * time.Second):
		return errors.New("the watchdog listens nowhere")
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.stopPoll = cancel
	reader := &http.Client{Timeout: 2 * time.Second}
	w.polling.Go(func() {
		stage.Every(ctx, sampling, func() {
			s := look(ctx, reader, url+"/status")
			w.mu.Lock()
			w.sights = append(w.sights, s)
			w.mu.Unlock()
		})
	})
	return nil
}

// kill ends it as the end of a container does. end lets it finish and returns its exit code.
func (w *watched) kill() { w.finish(syscall.SIGKILL) }

func (w *watched) end() int { return w.finish(syscall.SIGTERM) }

func (w *watched) finish(s syscall.Signal) int {
	if w.stopPoll != nil {
		w.stopPoll()
	}
	_ = w.cmd.Process.Signal(s) // an error is that it has ended
	select {
	case <-w.done:
	case <-time.After(10 * time.Second):
		_ = w.cmd.Process.Kill()
		<-w.done
	}
	w.polling.Wait()
	w.provider.Close()
	return w.cmd.ProcessState.ExitCode()
}

// said returns the lines with this message since then.
func (w *watched) said(msg string, since time.Time) (out []line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.lines {
		if l.text("msg") == msg && !l.at.Before(since) {
			out = append(out, l)
		}
	}
	return out
}

// stops are the requests for a stop that the provider got.
func (w *watched) stops() (out []runpodtest.Request) {
	for _, r := range w.provider.Requests() {
		if r.Call != runpodtest.V2Read && r.Call != runpodtest.GraphQLRead {
			out = append(out, r)
		}
	}
	return out
}

// awaitStops waits until so many stops were asked for, and says when that was seen.
func (w *watched) awaitStops(ctx context.Context, count int, most time.Duration) (time.Time, bool) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for len(w.stops()) < count {
		if ctx.Err() != nil {
			return time.Now(), false
		}
		stage.Rest(ctx, 20*time.Millisecond)
	}
	return time.Now(), true
}
