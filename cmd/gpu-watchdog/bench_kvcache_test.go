package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/experiment/kvcache"
)

func runKVCache(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, rest strings.Builder
	cmd := newBenchKVCache()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&rest)
	return called(t, cmd, &out, args...)
}

// instant is a server that answers at once, with as many tokens as it is asked for.
func instant(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":[{"id":"tiny","max_model_len":1000}]}`)
	})
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		var q struct {
			MaxTokens int `json:"max_tokens"`
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			t.Error(err)
		}
		for range q.MaxTokens {
			fmt.Fprint(w, `data: {"choices":[{"text":"x"}]}`+"\n\n")
			_ = http.NewResponseController(w).Flush()
		}
		fmt.Fprintf(w, `data: {"choices":[],"usage":{"prompt_tokens":100,"completion_tokens":%d}}`+"\n\ndata: [DONE]\n\n", q.MaxTokens)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func TestBenchKVCache(t *testing.T) {
	t.Setenv("WATCHDOG_GPUS", "none")
	url := instant(t)
	quick := []string{"--url", url, "--lengths", "8,16,32", "--repeats", "2"}
	text, err := runKVCache(t, append(quick, "--output", "json")...)
	if err != nil {
		t.Fatal(err)
	}
	var r kvcache.Report
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(r.Lengths) != 3 || r.Lengths[2].Samples != 2 || r.Verdict == nil || r.Model != "tiny" || r.Lengths[0].GPUMemory.Known {
		t.Errorf("have %s", text)
	}
	if text, err := runKVCache(t, quick...); err != nil || !strings.Contains(text, "TPOT (ms)") {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err := runKVCache(t, append(quick, "--output", "csv")...); err != nil || strings.Count(text, "\n") != 4 {
		t.Errorf("%v\n%s", err, text)
	}
	if text, err := runKVCache(t, "--url", url, "--lengths", "8,950"); exitCode(err) != 2 || !errors.Is(err, kvcache.ErrTooLong) || text != "" {
		t.Errorf("a length that does not fit: %v\n%s", err, text)
	}
	if _, err := runKVCache(t, "--url", "http://127.0.0.1:1"); exitCode(err) != 4 {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestBenchKVCacheWrongUse(t *testing.T) {
	for _, args := range [][]string{
		{"--lengths", "128"}, {"--lengths", "128,128"}, {"--lengths", "1,128"}, {"--repeats", "0"}, {"--warmup", "0"}, {"--tolerance", "0"},
		{"--tolerance", "NaN"}, {"--output", "xml"}, {"--prompt-file", "/nonexistent"}, {"--prompt-file", "/dev/null"}, {"--url", "127.0.0.1:8000"}, {"something"},
	} {
		if _, err := runKVCache(t, args...); exitCode(err) != 2 {
			t.Errorf("%q: exit code %d, %v", args, exitCode(err), err)
		}
	}
}
