package kubetest

import (
	"io"
	"log"
	"net/http"
	"strings"
	"time"
)

// Fault is an answer that the script puts in place of the right one.
type Fault struct {
	// Method and Path say which requests it is for: empty for every method, and a part of the path that must occur.
	Method, Path string
	// Status, Header and Body are the answer.
	Status int
	Header map[string]string
	Body   string
	// Half promises more than Body and cuts the connection after it.
	Half bool
	// Drop cuts the connection without an answer; Hang never answers, until the client goes away or the server closes.
	Drop, Hang bool
	// Once: for one request, not for all.
	Once bool
}

type hook struct {
	method, path string
	run          func()
}

// Script adds a fault.
func (s *Server) Script(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// Before runs f once before the next such request is answered: what somebody else does between two requests of ours.
func (s *Server) Before(method, path string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = append(s.hooks, hook{method: method, path: path, run: f})
}

func (s *Server) runHooks(r *http.Request) {
	s.mu.Lock()
	var due []func()
	kept := s.hooks[:0:0]
	for _, h := range s.hooks {
		if h.method == r.Method && strings.Contains(r.URL.Path, h.path) {
			due = append(due, h.run)
		} else {
			kept = append(kept, h)
		}
	}
	s.hooks = kept
	s.mu.Unlock()
	for _, f := range due {
		f()
	}
}

func (s *Server) nextFault(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Method != "" && f.Method != r.Method || !strings.Contains(r.URL.Path, f.Path) {
			continue
		}
		if f.Once {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
		}
		return f, true
	}
	return Fault{}, false
}

// play answers with a fault and returns the status that it sent.
func (s *Server) play(w http.ResponseWriter, r *http.Request, f Fault) int {
	if f.Hang {
		select {
		case <-r.Context().Done():
		case <-s.closing:
		case <-time.After(30 * time.Second):
		}
	}
	if f.Hang || f.Drop {
		return 0
	}
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	if f.Half {
		w.Header().Set("Content-Length", "1000000")
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
	if f.Half {
		_ = http.NewResponseController(w).Flush()
	}
	return f.Status
}

// quiet drops what net/http logs of handshakes that tests break on purpose.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
