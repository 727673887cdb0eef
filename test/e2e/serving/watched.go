package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// slaTTFT lies between two bounds of vLLM's histogram, and where a tiny model meets it now and then.
const slaTTFT = 35 * time.Millisecond

// watched is a running watchdog that only says what it would do.
type watched struct {
	// url is where it is read, ingest the address that takes spans and rows; empty where it takes none.
	url, ingest string
	// database is the file of its telemetry, log what it says.
	database, log string

	program string
	env     []string
	cmd     *exec.Cmd
	done    chan struct{}
}

// startWatchdog starts one that watches a server, and waits until it answers.
func startWatchdog(ctx context.Context, c config, name, server string, takes bool) (*watched, error) {
	dir, err := c.folder("watchdog-" + name)
	if err != nil {
		return nil, err
	}
	listen, err := stage.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	w := &watched{program: c.watchdog, url: "http://" + listen, log: filepath.Join(dir, "log")}
	w.database = filepath.Join(dir, "kept", name, "telemetry.db")
	ingest := "off"
	if takes {
		if w.ingest, err = stage.FreeAddress(ctx); err != nil {
			return nil, err
		}
		ingest = w.ingest
	}
	w.env = []string{
		"PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir, "WATCHDOG_DRY_RUN=true", "WATCHDOG_PRICE=1.50", "WATCHDOG_NAME=" + name,
		"WATCHDOG_DIR=" + filepath.Join(dir, "kept"), "WATCHDOG_START_ID_FILE=" + filepath.Join(dir, "start-id"),
		"WATCHDOG_VLLM_URLS=" + server, "WATCHDOG_LISTEN=" + listen, "WATCHDOG_INGEST_LISTEN=" + ingest,
		"WATCHDOG_SLA_TTFT=" + slaTTFT.String(), "WATCHDOG_LOG_FORMAT=json",
	}
	if err := w.start(ctx); err != nil {
		if w.done != nil {
			w.kill()
		}
		return nil, err
	}
	return w, nil
}

// start starts the program, for the first time or again, and waits until it answers on both ports.
func (w *watched) start(ctx context.Context) error {
	log, err := os.OpenFile(w.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	w.cmd = exec.Command(w.program, "run")
	w.cmd.Env, w.cmd.Stderr, w.cmd.Stdout = w.env, log, log
	if err := w.cmd.Start(); err != nil {
		return fmt.Errorf("start the watchdog: %w", err)
	}
	cmd, done := w.cmd, make(chan struct{})
	w.done = done
	go func() {
		defer close(done)
		_ = cmd.Wait() // end reads how it ended
	}()
	up := stage.Until(ctx, 15*time.Second, func() bool {
		return w.ended() || stage.Page(ctx, w.url+"/healthz") != "" && (w.ingest == "" || listens(ctx, w.ingest))
	})
	if !up || w.ended() {
		return fmt.Errorf("the watchdog does not answer at %s; the end of its log:\n%s", w.url, stage.Tail(w.log))
	}
	return nil
}

func listens(ctx context.Context, address string) bool {
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func (w *watched) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// kill ends it at this instant, as the end of a container does.
func (w *watched) kill() {
	_ = w.cmd.Process.Kill() // an error is that it has ended
	<-w.done
}

// end lets it finish and returns its exit code.
func (w *watched) end() int {
	_ = w.cmd.Process.Signal(syscall.SIGTERM) // an error is that it has ended
	select {
	case <-w.done:
	case <-time.After(10 * time.Second):
		w.kill()
	}
	return w.cmd.ProcessState.ExitCode()
}

// told is the part of /status that is about requests; nil is unknown.
type told struct {
	Now     time.Time `json:"now"`
	Serving struct {
		Window   *float64 `json:"window_seconds"`
		Requests *float64 `json:"requests"`
		TTFT     struct {
			P50     *float64 `json:"p50"`
			P95     *float64 `json:"p95"`
			P95Low  *float64 `json:"p95_low"`
			P95High *float64 `json:"p95_high"`
		} `json:"ttft_seconds"`
		TokensPerSecond *float64 `json:"output_tokens_per_second"`
		Goodput         *float64 `json:"goodput_requests_per_second"`
		GoodputLow      *float64 `json:"goodput_requests_per_second_low"`
		GoodputHigh     *float64 `json:"goodput_requests_per_second_high"`
		SLA             *float64 `json:"sla_percent"`
		SLALow          *float64 `json:"sla_percent_low"`
		SLAHigh         *float64 `json:"sla_percent_high"`
		Source          *string  `json:"source"`
	} `json:"serving"`
}

func (w *watched) status(ctx context.Context) (t told, err error) {
	page := stage.Page(ctx, w.url+"/status")
	if err := json.Unmarshal([]byte(page), &t); err != nil {
		return t, fmt.Errorf("read %s/status: %w: %.200q", w.url, err, page)
	}
	return t, nil
}

// metrics are the series of a page, by their name and labels as they stand there.
func metrics(ctx context.Context, url string) map[string]float64 {
	out := map[string]float64{}
	for line := range strings.Lines(stage.Page(ctx, url+"/metrics")) {
		i := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err == nil {
			out[line[:i]] = v
		}
	}
	return out
}

var seriesName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*`)

// total adds up the series of one name over all labels.
func total(of map[string]float64, wanted string) (sum float64) {
	for series, v := range of {
		if seriesName.FindString(series) == wanted {
			sum += v
		}
	}
	return sum
}
