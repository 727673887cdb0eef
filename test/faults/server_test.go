package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
)

const loopback = "127.0.0.1"

// server is a vLLM whose process can come, go and turn wrong. Its port is its own for as long as the row lasts.
type server struct {
	t       testing.TB
	address string
	free    func()

	mu     sync.Mutex
	engine *fakepod.Server
	http   *http.Server
	left   chan struct{}
	// wrong answers in place of the right handler, by path; "" is every path.
	wrong map[string]http.HandlerFunc
	// alter changes what /metrics says.
	alter func(string) string
}

func newServer(t testing.TB, host string) *server {
	t.Helper()
	port, free, err := reserve(host)
	if err != nil {
		t.Fatal(err)
	}
	return &server{t: t, address: net.JoinHostPort(host, strconv.Itoa(port)), free: free}
}

// reserve takes a port on which nobody listens yet: whoever connects is refused, and no other process gets it.
func reserve(host string) (port int, free func(), err error) {
	var to syscall.Sockaddr = &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	family := syscall.AF_INET
	if host != loopback {
		family, to = syscall.AF_INET6, &syscall.SockaddrInet6{Addr: [16]byte{15: 1}}
	}
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, nil, err
	}
	free = func() { _ = syscall.Close(fd) }
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, to)
	}
	if err != nil {
		free()
		return 0, nil, fmt.Errorf("reserve a port of %s: %w", host, err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		free()
		return 0, nil, err
	}
	switch a := bound.(type) {
	case *syscall.SockaddrInet4:
		port = a.Port
	case *syscall.SockaddrInet6:
		port = a.Port
	}
	return port, free, nil
}

func (s *server) URL() string { return "http://" + s.address }

// begin starts a process of it: it listens, and its counters are at 0.
func (s *server) begin() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	engine, err := fakepod.NewServer(fakepod.ServerConfig{PerToken: 40 * time.Millisecond})
	if err != nil {
		s.t.Fatal(err)
	}
	// A program that is being started beside us holds a copy of the old listener until it has become itself.
	var listener net.Listener
	eventually.Holds(s.t, "the port is free again", func() (free bool) {
		var err error
		listener, err = net.Listen("tcp", s.address)
		return err == nil
	})
	s.engine, s.left = engine, make(chan struct{})
	right := engine.Handler()
	s.http = &http.Server{ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(right, w, r)
	})}
	of := s.http
	go func() { _ = of.Serve(listener) }() // it ends by finish
}

// finish ends its process: all its connections are cut, and its port refuses.
func (s *server) finish() {
	s.mu.Lock()
	of, engine, left := s.http, s.engine, s.left
	s.http, s.engine, s.left = nil, nil, nil
	s.mu.Unlock()
	if of == nil {
		return
	}
	close(left)
	_ = of.Close()
	engine.Close()
}

func (s *server) close() {
	s.finish()
	s.free()
}

// restart ends the process and begins another one.
func (s *server) restart() {
	s.finish()
	s.begin()
}

func (s *server) serve(right http.Handler, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	wrong, alter := s.wrong[r.URL.Path], s.alter
	if s.wrong[""] != nil {
		wrong = s.wrong[""]
	}
	s.mu.Unlock()
	switch {
	case wrong != nil:
		wrong(w, r)
	case alter != nil && r.URL.Path == "/metrics":
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		_, _ = io.WriteString(w, alter(page(right)))
	default:
		right.ServeHTTP(w, r)
	}
}

// page is what /metrics says.
func page(of http.Handler) string {
	w := httptest.NewRecorder()
	of.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

// turn lets the paths be answered wrongly, or rightly again where the handler is nil.
func (s *server) turn(h http.HandlerFunc, paths ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wrong == nil {
		s.wrong = map[string]http.HandlerFunc{}
	}
	for _, path := range paths {
		if h == nil {
			delete(s.wrong, path)
		} else {
			s.wrong[path] = h
		}
	}
}

// rewrite changes what /metrics says; nil leaves it.
func (s *server) rewrite(alter func(string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.alter = alter
}

// source is what nonsense is made of.
func (s *server) source() nonsense.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	right := s.engine.Handler()
	return nonsense.Source{Page: func() string { return page(right) }, Left: s.left}
}

// clients use servers over real connections until they leave.
type clients struct {
	mu    sync.Mutex
	end   []context.CancelFunc
	group sync.WaitGroup
	// close: each request has a connection of its own.
	close bool
}

// come lets one more client work: one request after the other, each of so many tokens, until it leaves.
func (c *clients) come(url string, tokens int) {
	ctx, cancel := context.WithCancel(context.Background())
	c.mu.Lock()
	c.end = append(c.end, cancel)
	c.mu.Unlock()
	c.group.Go(func() {
		transport := &http.Transport{DisableKeepAlives: c.close}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		for ctx.Err() == nil {
			if ask(ctx, client, url, tokens) != nil {
				again := time.NewTimer(20 * time.Millisecond)
				select {
				case <-again.C:
				case <-ctx.Done():
					again.Stop()
				}
			}
		}
	})
}

func ask(ctx context.Context, client *http.Client, url string, tokens int) error {
	return prompt(ctx, client, url, strings.Repeat("word ", 40), tokens)
}

func prompt(ctx context.Context, client *http.Client, url, text string, tokens int) error {
	body, err := json.Marshal(map[string]any{"prompt": text, "max_tokens": tokens})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// leave lets all hang up, and waits until they have.
func (c *clients) leave() {
	c.mu.Lock()
	for _, end := range c.end {
		end()
	}
	c.end = nil
	c.mu.Unlock()
	c.group.Wait()
}
