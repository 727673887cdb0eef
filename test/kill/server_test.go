package kill

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// server stands in for a vLLM with load tracking. While it works one request runs, and every reading finds new tokens.
type server struct {
	URL string

	mu      sync.Mutex
	working bool
	tokens  int
	started time.Time
}

func newServer(t *testing.T) *server {
	s := &server{started: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"version":"0.32.0"}`) })
	mux.HandleFunc("GET /load", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, `{"server_load":%d}`, s.running()) })
	mux.HandleFunc("GET /metrics", s.metrics)
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	s.URL = h.URL
	return s
}

func (s *server) work(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working = on
	s.tokens++ // a request is one token at the very least
}

func (s *server) running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.working {
		return 1
	}
	return 0
}

func (s *server) metrics(w http.ResponseWriter, _ *http.Request) {
	running := s.running()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens += running
	w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
	for _, series := range []struct {
		name, kind, suffix string
		value              int
	}{
		{"vllm:num_requests_running", "gauge", "", running},
		{"vllm:num_requests_waiting", "gauge", "", 0},
		{"vllm:prompt_tokens", "counter", "_total", s.tokens},
		{"vllm:generation_tokens", "counter", "_total", s.tokens},
	} {
		fmt.Fprintf(w, "# HELP %[1]s%[3]s A stand-in.\n# TYPE %[1]s%[3]s %[2]s\n%[1]s%[3]s{engine=\"0\",model_name=\"m\"} %[4]d.0\n",
			series.name, series.kind, series.suffix, series.value)
	}
	fmt.Fprintf(w, "# HELP process_start_time_seconds A stand-in.\n# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds %d\n", s.started.Unix())
}
