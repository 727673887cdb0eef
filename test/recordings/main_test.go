package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pageOf = `process_start_time_seconds 1795500348
vllm:num_requests_running{engine="0"} %d
vllm:num_requests_waiting{engine="0"} 0
vllm:kv_cache_usage_perc{engine="0"} 0
vllm:prompt_tokens_total{engine="0"} %d
vllm:generation_tokens_total{engine="0"} %d
vllm:request_success_total{engine="0",finished_reason="length"} %d
vllm:time_to_first_token_seconds_count{engine="0"} %d
http_requests_total{handler="/v1/completions",method="POST",status="2xx"} %d
`

// look is one recorded state: the numbers of its page and the client's count.
type look struct {
	state                     string
	at                        float64
	running, tokens, finished int
	health, inFlight          int
	requests                  string
}

// record writes a folder of recordings.
func record(t *testing.T, looks []look, change func(i int, page string) string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "0.32.0")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var states []string
	for i, l := range looks {
		page := fmt.Sprintf(pageOf, l.running, l.tokens, l.tokens, l.finished, l.finished, l.finished)
		file := "load-" + l.state + ".metrics.txt"
		if err := os.WriteFile(filepath.Join(dir, file), []byte(change(i, page)), 0o600); err != nil {
			t.Fatal(err)
		}
		states = append(states, fmt.Sprintf(`{"state":%q,"label":"load","at":%v,"pages":{
			"/metrics":{"file":%q,"status":200,"content_type":"text/plain"},"/health":{"status":%d},
			"/load":{"status":200,"body":"{\"server_load\":%d}"},"/version":{"status":200,"body":"{\"version\":\"0.32.0\"}"}},
			"page_says":{"vllm:num_requests_running":%d,"vllm:num_requests_waiting":0,"vllm:kv_cache_usage_perc":0,"vllm:prompt_tokens_total":%d,
			"vllm:generation_tokens_total":%d,"vllm:request_success_total":%d,"vllm:time_to_first_token_seconds_count":%d},
			"requests":[%s],"truth":{"in_flight":%d}}`,
			l.state, l.at, file, l.health, l.inFlight, l.running, l.tokens, l.tokens, l.finished, l.finished, l.requests, l.inFlight))
	}
	all := "[" + strings.Join(states, ",") + "]"
	if !json.Valid([]byte(all)) {
		t.Fatal(all)
	}
	if err := os.WriteFile(filepath.Join(dir, "load-states.json"), []byte(all), 0o600); err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(dir)
}

// life is a server that serves one request and dies.
var life = []look{
	{state: "b-ready-no-request-yet", at: 100, health: 200},
	{state: "c-running", at: 110, running: 1, tokens: 40, health: 200, inFlight: 1, requests: `{"t_start":105,"t_first_chunk":105.1,"t_end":null}`},
	{state: "d-finished", at: 120, tokens: 90, finished: 1, health: 200, requests: `{"t_start":105,"t_first_chunk":105.1,"t_end":115}`},
	{state: "f-idle", at: 150, tokens: 90, finished: 1, health: 200},
	{state: "k-killed", at: 160, running: 1, tokens: 90, finished: 1, health: 503},
}

func TestRecordingsThatAgree(t *testing.T) {
	var out strings.Builder
	n, err := run(t.Context(), record(t, life, func(_ int, page string) string { return page }), &out)
	if err != nil || n != 0 {
		t.Fatalf("%d mismatches, %v\n%s", n, err, out.String())
	}
	for _, want := range []string{"no request yet", "busy", "idle", "dead", "5 pages read", "0 mismatches"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

// Each disagreement between a page and what is known must be found.
func TestRecordingsThatDisagree(t *testing.T) {
	swap := func(at int, from, to string) func(int, string) string {
		return func(i int, page string) string {
			if i == at {
				if !strings.Contains(page, from) {
					panic(from)
				}
				return strings.ReplaceAll(page, from, to)
			}
			return page
		}
	}
	tests := []struct {
		name   string
		change func(int, string) string
		want   string
	}{
		{"a number is read otherwise", swap(1, "running{engine=\"0\"} 1", "running{engine=\"0\"} 2"), "running: the page says 1, read 2"},
		{"a series is missing", swap(1, "vllm:prompt_tokens_total", "vllm:prompt_tokens_other"), "prompt tokens: the page says 40, read nothing"},
		{"an engine too many", swap(3, "vllm:kv_cache_usage_perc{engine=\"0\"} 0", "vllm:kv_cache_usage_perc{engine=\"0\"} 0\nvllm:num_preemptions_total{engine=\"1\"} 0"), "1 engines, read 2"},
		{"an idle server moves", swap(3, "http_requests_total{", "http_requests_total{handler=\"/v1/x\",method=\"POST\",status=\"200\"} 5\nhttp_requests_total{"), "a counter moved"},
		{"a page is not read", swap(2, "} 90", "} ninety"), "the page was not read"},
		{"no HTTP counters", swap(0, "http_requests_total", "http_requests_other"), "HTTPSeries is false"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			n, err := run(t.Context(), record(t, life, tt.change), &out)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 || !strings.Contains(out.String(), tt.want) {
				t.Errorf("%d mismatches, %q is not in\n%s", n, tt.want, out.String())
			}
		})
	}
}

func TestWorkThatLeavesNoTrace(t *testing.T) {
	ghost := append([]look(nil), life[:4]...)
	ghost[3].requests = `{"t_start":130,"t_first_chunk":131,"t_end":140}`
	ghost = append(ghost, look{state: "g-later", at: 170, tokens: 90, finished: 1, health: 200})
	var out strings.Builder
	n, err := run(t.Context(), record(t, ghost, func(_ int, page string) string { return page }), &out)
	if err != nil || n == 0 || !strings.Contains(out.String(), "moved no counter") {
		t.Errorf("%d mismatches, %v\n%s", n, err, out.String())
	}
}

func TestPageThatNobodyNames(t *testing.T) {
	root := record(t, life, func(_ int, page string) string { return page })
	if err := os.WriteFile(filepath.Join(root, "0.32.0", "stray.metrics.txt"), []byte("up 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if n, err := run(t.Context(), root, &out); err != nil || n != 1 {
		t.Errorf("%d mismatches, %v\n%s", n, err, out.String())
	}
}

func TestNoRecordings(t *testing.T) {
	if _, err := run(t.Context(), t.TempDir(), new(strings.Builder)); err == nil {
		t.Error("an empty folder was read")
	}
	if _, err := run(t.Context(), filepath.Join(t.TempDir(), "none"), new(strings.Builder)); err == nil {
		t.Error("no folder was read")
	}
}
