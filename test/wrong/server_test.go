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
func newServer(t *testing.T, secure bool, wrong func(s *server) http.HandlerFunc) *server {
	s := &server{left: make(chan struct{})}
	s.wrong = wrong(s)
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

// The ways to be wrong.

func hangs(s *server) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-s.left:
		}
	}
}

func answersHTML(*server) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>It works!</body></html>\n")
	}
}

// halfAPage announces the whole and sends the half.
func halfAPage(s *server) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		page := s.page()
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		w.Header().Set("Content-Length", fmt.Sprint(len(page)))
		_, _ = io.WriteString(w, page[:len(page)/2])
	}
}

// halfALine announces nothing, and ends the connection in the middle of a number.
func halfALine(s *server) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, out, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		page := s.page()
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=1.0.0\r\nConnection: close\r\n\r\n%s", page[:len(page)-len(".0\n")])
		_ = out.Flush()
	}
}

// endless sends 200 MB that begin like a page.
func endless(s *server) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		block := []byte(strings.Repeat(s.page(), 200))
		for sent := 0; sent < 200<<20 && r.Context().Err() == nil; sent += len(block) {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	}
}

// announcesTooMuch says at once that 200 MB will come.
func announcesTooMuch(s *server) http.HandlerFunc {
	send := endless(s)
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(200<<20))
		send(w, r)
	}
}

func redirects(*server) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }
}

func wantsLogin(*server) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "who are you?", http.StatusUnauthorized) }
}

// binary noise under the right content type.
func noise(*server) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		b := make([]byte, 4096)
		for i := range b {
			b[i] = byte(i*i ^ i>>3)
		}
		_, _ = w.Write(b)
	}
}

// notHTTP answers with another protocol's greeting.
func notHTTP(*server) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.9\r\n")
	}
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
