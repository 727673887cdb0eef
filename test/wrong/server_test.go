package wrong

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
)

// server stands in for a vLLM: a good one that works, until it turns wrong.
type server struct {
	*httptest.Server
	wrong  http.HandlerFunc
	turned atomic.Bool
	// idle: it is good and has nothing to do.
	idle   atomic.Bool
	tokens atomic.Int64
	// left frees the handlers that hang.
	left chan struct{}
}

// newServer serves over TLS where secure is true. wrong answers everything, from the start or once it has turned.
func newServer(t *testing.T, secure bool, wrong nonsense.Way) *server {
	s := &server{left: make(chan struct{})}
	s.wrong = wrong(nonsense.Source{Page: s.page, Left: s.left})
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail are what is tested
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		close(s.left)
		s.Close()
	})
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case s.turned.Load():
		s.wrong(w, r)
	case r.URL.Path == "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		_, _ = io.WriteString(w, s.page())
	case r.URL.Path == "/load":
		fmt.Fprint(w, `{"server_load":0}`) // nothing tracks it
	case r.URL.Path == "/version":
		fmt.Fprint(w, `{"version":"0.32.0"}`)
	}
}

// page has a request that runs and makes progress with each reading.
func (s *server) page() string {
	var b strings.Builder
	running, n := int64(0), s.tokens.Load()
	if !s.idle.Load() {
		running, n = 1, s.tokens.Add(1)
	}
	for _, series := range []struct {
		name, kind string
		value      int64
	}{
		{"vllm:num_requests_running", "gauge", running}, {"vllm:num_requests_waiting", "gauge", 0},
		{"vllm:prompt_tokens_total", "counter", n}, {"vllm:generation_tokens_total", "counter", n},
		{"vllm:request_success_total", "counter", n},
	} {
		fmt.Fprintf(&b, "# HELP %[1]s A stand-in.\n# TYPE %[1]s %[2]s\n%[1]s{engine=\"0\",model_name=\"m\"} %[3]d.0\n", series.name, series.kind, series.value)
	}
	return b.String()
}

// nobody is an address on which nobody listens.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}
