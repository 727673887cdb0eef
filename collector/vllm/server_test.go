package vllm

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const goodPage = `process_start_time_seconds 1795500348
vllm:num_requests_running{engine="0",model_name="m"} 0
vllm:num_requests_waiting{engine="0",model_name="m"} 0
vllm:prompt_tokens_total{engine="0",model_name="m"} 100
http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 3
`

// fakeServer is a vLLM that answers what a test sets, and counts what it was asked.
type fakeServer struct {
	*httptest.Server

	mu          sync.Mutex
	handlers    map[string]http.HandlerFunc
	asked       []string
	headers     http.Header
	connections int
	open        map[net.Conn]bool
	inFlight    int
	mostAtOnce  int
}

// newFake starts a healthy server.
func newFake(t *testing.T) *fakeServer {
	t.Helper()
	f := &fakeServer{handlers: map[string]http.HandlerFunc{}, open: map[net.Conn]bool{}}
	f.say(metricsPath, http.StatusOK, textType, goodPage)
	f.say(healthPath, http.StatusOK, "", "")
	f.say(loadPath, http.StatusOK, "application/json", `{"server_load":0}`)
	f.say(versionPath, http.StatusOK, "application/json", `{"version":"0.32.0"}`)
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ConnState = f.count
	f.Start()
	t.Cleanup(f.Close)
	return f
}

func (f *fakeServer) count(c net.Conn, s http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch s {
	case http.StateNew:
		f.connections++
		f.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(f.open, c)
	}
}

func (f *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	f.headers = r.Header
	f.inFlight++
	f.mostAtOnce = max(f.mostAtOnce, f.inFlight)
	handle := f.handlers[r.URL.Path]
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.inFlight--
		f.mu.Unlock()
	}()
	if handle == nil {
		http.NotFound(w, r)
		return
	}
	handle(w, r)
}

// on sets what a path does.
func (f *fakeServer) on(path string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlers[path] = h
}

// say sets what a path answers.
func (f *fakeServer) say(path string, status int, contentType, body string) {
	f.on(path, func(w http.ResponseWriter, _ *http.Request) {
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

// takeAsked returns what was asked since the last call.
func (f *fakeServer) takeAsked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := f.asked
	f.asked = nil
	return asked
}

func (f *fakeServer) connectionCount() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.connections
}

// dropConnections closes what is open, as a server does with kept connections after its idle time.
func (f *fakeServer) dropConnections() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.open {
		c.Close()
	}
}

// ports records what a client says of its own connections.
type ports struct {
	mu             sync.Mutex
	opened, closed []netip.AddrPort
}

func (p *ports) Opened(a netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened = append(p.opened, a)
}

func (p *ports) Closed(a netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = append(p.closed, a)
}

func (p *ports) seen() (opened, closed []netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.opened), slices.Clone(p.closed)
}

// newClient makes a client that is closed at the end of the test.
func newClient(t *testing.T, url string, own OwnPorts) *Client {
	t.Helper()
	c, err := New(Config{URL: url, UserAgent: "gpu-watchdog/test", Own: own})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// read reads once, and holds the client to its deadline.
func read(t *testing.T, c *Client, limit time.Duration) watchdog.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	s := c.Read(ctx)
	if took := time.Since(start); took > limit+500*time.Millisecond {
		t.Errorf("the read took %s, with a deadline of %s", took, limit)
	}
	return s
}
