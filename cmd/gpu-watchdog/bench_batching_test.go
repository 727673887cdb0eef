package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
)

// benched runs the command line, and says what it printed and how it would exit.
func benched(t *testing.T, args ...string) (out string, code int, err error) {
	t.Helper()
	t.Setenv("WATCHDOG_GPUS", "none") // a process can load one NVML in its life, and the demo has it
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	root := newRoot()
	var stdout, stderr bytes.Buffer
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(append([]string{"bench", "batching"}, args...))
	err = root.ExecuteContext(ctx)
	if stderr.Len() > 0 {
		t.Errorf("it says %q to people who look at no terminal", stderr.String())
	}
	return stdout.String(), exitCode(err), err
}

func simulated(t *testing.T) *fakepod.Server {
	t.Helper()
	s, err := fakepod.NewServer(fakepod.ServerConfig{Prefill: 2 * time.Millisecond, PerToken: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ready(); err != nil {
		t.Fatal(err)
	}
	return s
}

// quick are options of an experiment that takes a moment.
func quick(url string, more ...string) []string {
	return append([]string{"--url", url, "--groups", "2", "--per-group", "4", "--static", "4", "--concurrency", "2,4", "--output-tokens", "4", "--sample-every", "10ms"}, more...)
}

func TestBenchBatching(t *testing.T) {
	plot := filepath.Join(t.TempDir(), "plot.svg")
	out, code, err := benched(t, quick(simulated(t).URL(), "--repeats", "2", "--plot", plot, "--goodput", "ttft:500,tpot:50")...)
	if code != 0 {
		t.Fatalf("exit code %d: %v\n%s", code, err, out)
	}
	for _, want := range []string{
		"demo/llama-8b-instruct on http://127.0.0.1:", "(vLLM 0.32.0): 2 groups of 4 prompts, each scenario 2 times", "A one at a time", "B batches of 4",
		"C 2 at a time", "C 4 at a time", "GOOD REQ/S counts requests with a TTFT of at most 500ms and a TPOT of at most 50ms.",
		"No GPU figures: GPUS=none", "Prompt caching was held off",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
	if svg, err := os.ReadFile(plot); err != nil || !bytes.HasSuffix(svg, []byte("</svg>\n")) {
		t.Errorf("the plot: %v", err)
	}
}

func TestBenchBatchingForPrograms(t *testing.T) {
	prompts := filepath.Join(t.TempDir(), "prompts.jsonl")
	if err := os.WriteFile(prompts, []byte(`{"prompt":"one","output_tokens":3}`+"\n"+`{"prompt":"two"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code, err := benched(t, "--url", simulated(t).URL(), "--prompts", prompts, "--output-tokens", "5", "--scenarios", "a,c", "--rate", "50", "--output", "json", "--detailed")
	if code != 0 {
		t.Fatalf("exit code %d: %v", code, err)
	}
	var read struct {
		Model     string `json:"model_id"`
		Early     *string
		Scenarios []struct {
			Rate   any     `json:"request_rate"`
			Tokens float64 `json:"total_output_tokens"`
			Runs   []struct {
				OutputLens []int `json:"output_lens"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &read); err != nil || len(read.Scenarios) != 2 || read.Model != "demo/llama-8b-instruct" || read.Early != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if s := read.Scenarios[1]; s.Rate != 50.0 || s.Tokens != 8 || !slices.Equal(s.Runs[0].OutputLens, []int{3, 5}) {
		t.Errorf("have %+v", s)
	}
}

// TestBenchBatchingPrintsWhatItHas lets the server fail in the middle.
func TestBenchBatchingPrintsWhatItHas(t *testing.T) {
	pod := simulated(t)
	var asked atomic.Int64
	to, err := url.Parse(pod.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval, proxy.ErrorLog = -1, log.New(io.Discard, "", 0)
	before := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/completions" && asked.Add(1) > 4+8+2 { // the warm-up, A, and two of B
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, `{"error":{"message":"out of memory"}}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(before.Close)
	out, code, err := benched(t, quick(before.URL)...)
	if code != 1 || !strings.Contains(err.Error(), "out of memory") {
		t.Errorf("exit code %d: %v", code, err)
	}
	for _, want := range []string{"A one at a time", "B batches of 4", "ENDED EARLY: B batches of 4, repeat 1:"} {
		if !strings.Contains(out, want) {
			t.Errorf("without %q:\n%s", want, out)
		}
	}
}

func TestBenchBatchingExitCodes(t *testing.T) {
	gone := simulated(t)
	gone.Close()
	there := simulated(t).URL()
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"nobody there", quick(gone.URL()), 4, "not reachable"},
		{"no such output", []string{"--output", "xml"}, 2, "none of table, csv, json"},
		{"no such scenario", []string{"--url", there, "--scenarios", "d"}, 2, "none of a, b, c"},
		{"no such goal", []string{"--url", there, "--goodput", "tps:3"}, 2, "names none of ttft, tpot, e2el"},
		{"a goal that is none", []string{"--url", there, "--goodput", "ttft=3"}, 2, "is no objective"},
		{"nobody at a time", []string{"--url", there, "--concurrency", "0"}, 2, "--concurrency 0"},
		{"no rate", []string{"--url", there, "--rate", "0"}, 2, "--rate 0"},
		{"no tokens", []string{"--url", there, "--output-tokens", "0"}, 2, "--output-tokens 0"},
		{"no prompts", []string{"--url", there, "--groups", "0"}, 2, "--groups 0"},
		{"no batch", []string{"--url", there, "--static", "0"}, 2, "--static 0"},
		{"no file of prompts", []string{"--url", there, "--prompts", "/no/such/file"}, 2, "read the prompts"},
		{"no URL", []string{"--url", "127.0.0.1:1"}, 2, "cannot be read"},
		{"no time", []string{"--url", there, "--timeout", "0s"}, 2, "lets no request through"},
		{"looked at all the time", []string{"--url", there, "--sample-every", "1ms"}, 2, "10ms is the least"},
		{"no file to replay", []string{"--replay", "/no/such/file"}, 2, "replay"},
		{"an argument", []string{"x"}, 2, "unknown command"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, code, err := benched(t, c.args...)
			if code != c.code || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("exit code %d: %v", code, err)
			}
		})
	}
}

func TestBenchBatchingReplays(t *testing.T) {
	recorded := "../../internal/experiment/batching/testdata/concurrency.json"
	out, code, err := benched(t, "--replay", recorded, "--goodput", "e2el:500")
	if code != 0 || !strings.Contains(out, "keys agree within 1e-6") {
		t.Errorf("exit code %d: %v\n%s", code, err, out)
	}
	_, code, err = benched(t, "--replay", recorded, "--output", "json")
	if code != 1 || err == nil || !strings.Contains(err.Error(), "give them with --goodput") {
		t.Errorf("exit code %d: %v", code, err)
	}
	if _, code, err = benched(t, "--replay", "main.go"); code != 1 || !strings.Contains(err.Error(), "no result of a benchmark") {
		t.Errorf("exit code %d: %v", code, err)
	}
}

func TestBenchAlone(t *testing.T) {
	root := newRoot()
	root.SetArgs([]string{"bench"})
	err := root.ExecuteContext(t.Context())
	var use wrongUse
	if !errors.As(err, &use) || !strings.Contains(err.Error(), "batching") {
		t.Errorf("have %v", err)
	}
}
