package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// pageOf is a page of vLLM after so many requests of ten tokens, each with a first token after 0.05 s.
func pageOf(requests int, running float64) string {
	return fmt.Sprintf(`# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} %[2]g
vllm:num_requests_waiting{engine="0",model_name="m"} 0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="m"} %[1]d
vllm:generation_tokens_total{engine="0",model_name="m"} %[3]d
vllm:prompt_tokens_total{engine="0",model_name="m"} %[3]d
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.02",model_name="m"} 0
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1",model_name="m"} %[1]d
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="m"} %[1]d
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} %[1]d
vllm:time_to_first_token_seconds_sum{engine="0",model_name="m"} %[4]g
`, requests, running, 10*requests, 0.05*float64(requests))
}

// The histograms of a page are read when they may have moved, and an idle time counts as time in which nothing was served.
func TestHistogramsAreReadWhenTheyMayHaveMoved(t *testing.T) {
	var requests atomic.Int64
	var running atomic.Value
	running.Store(0.0)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" {
			fmt.Fprint(w, pageOf(int(requests.Load()), running.Load().(float64)))
		}
	}))
	defer s.Close()
	client, err := vllm.New(vllm.Config{URL: s.URL, UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	now := time.Now()
	live := serving.NewLive(serving.SLA{TTFT: 2 * time.Second}, time.Now())
	source := &servedSource{Client: client, url: s.URL, live: live, now: func() time.Time { return now }}
	look := func(times int) {
		t.Helper()
		for range times {
			if got := source.Read(t.Context()); got.Outcome != watchdog.OutcomeAnswered {
				t.Fatalf("the page was not read: %+v", got)
			}
			now = now.Add(5 * time.Second)
		}
	}
	window := func() (seconds, requests, running float64) {
		w := live.Window(serving.Now, now)
		_, most := w.Running()
		return w.Seconds(), w.Requests().Value, most.Value
	}
	look(13) // a minute
	if seconds, n, most := window(); seconds < 55 || n != 0 || most != 0 || !source.unmoved {
		t.Errorf("an idle minute: %v s, %v requests, at most %v together, unmoved %v", seconds, n, most, source.unmoved)
	}
	running.Store(3.0)
	look(4)
	running.Store(0.0)
	requests.Store(4)
	look(5)
	if seconds, n, most := window(); seconds < 100 || n != 4 || most != 3 {
		t.Errorf("after four requests: %v s, %v requests, at most %v together", seconds, n, most)
	}
	if f := live.Summary(now); f.Source.Value != serving.FromHistograms || f.TTFT.P95Low.Value != 0.02 || f.TTFT.P95High.Value != 0.1 {
		t.Errorf("summary %+v", f)
	}
	requests.Store(1) // another start
	look(5)
	requests.Store(2)
	look(5)
	if _, n, _ := window(); n != 5 {
		t.Errorf("%v requests after another start has served one more, want 5", n)
	}
	s.Close()
	if got := source.Read(t.Context()); got.Outcome == watchdog.OutcomeAnswered || source.unmoved {
		t.Errorf("a server that is gone: %+v, unmoved %v", got, source.unmoved)
	}
}
