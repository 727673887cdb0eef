package main

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// moment is what a server answered at one moment. A path without an answer gets 404.
type moment map[string]recorded

// recorded is one answer.
type recorded struct {
	Status      int    `json:"status"`
	ContentType string `json:"content_type"`
	Body        string `json:"body"`
	File        string `json:"file"`
}

// replay plays the moments of one server, and reads each as the watchdog would.
type replay struct {
	mu     sync.Mutex
	now    moment
	server *http.Server
	done   chan struct{}
	client *vllm.Client
	// refusing reads a port on which nobody listens.
	refusing *vllm.Client
}

func newReplay() (*replay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("replay a recording: %w", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		listener.Close()
		return nil, fmt.Errorf("replay a recording: %w", err)
	}
	closed.Close()
	p := &replay{done: make(chan struct{})}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Second}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(listener)
	}()
	for _, c := range []struct {
		to   **vllm.Client
		addr net.Addr
	}{{&p.client, listener.Addr()}, {&p.refusing, closed.Addr()}} {
		*c.to, err = vllm.New(vllm.Config{URL: "http://" + c.addr.String(), UserAgent: "gpu-watchdog/recordings"})
		if err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *replay) close() {
	for _, c := range []*vllm.Client{p.client, p.refusing} {
		if c != nil {
			c.Close()
		}
	}
	_ = p.server.Close()
	<-p.done
}

func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	a, ok := p.now[r.URL.Path]
	p.mu.Unlock()
	if !ok {
		a = recorded{Status: http.StatusNotFound}
	}
	if a.ContentType != "" {
		w.Header().Set("Content-Type", a.ContentType)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
}

// read plays one moment; nil is a port that refuses.
func (p *replay) read(ctx context.Context, m moment) watchdog.Server {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if m == nil {
		s := p.refusing.Read(ctx)
		s.URL = p.client.Skipped().URL // it plays the same server
		return s
	}
	p.mu.Lock()
	p.now = m
	p.mu.Unlock()
	return p.client.Read(ctx)
}

// page reads a recorded page, packed or not, and notes that it was read.
func (r *report) page(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var from io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if from, err = gzip.NewReader(f); err != nil {
			return "", fmt.Errorf("unpack %s: %w", path, err)
		}
	}
	b, err := io.ReadAll(from)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	r.read[path] = true
	return string(b), nil
}
