package control

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// desk carries orders out by remembering them.
type desk struct {
	mu    sync.Mutex
	taken []any
	// does is what happens with an order; nil answers it.
	does func(ctx context.Context, order any) (orders.Answer, error)
}

func (d *desk) take(ctx context.Context, order any) (orders.Answer, error) {
	d.mu.Lock()
	d.taken = append(d.taken, order)
	d.mu.Unlock()
	if d.does != nil {
		return d.does(ctx, order)
	}
	return orders.Answer{Text: "done"}, nil
}

// last is the order that was taken last, nil where none was since the last call.
func (d *desk) last() any {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.taken) == 0 {
		return nil
	}
	order := d.taken[len(d.taken)-1]
	d.taken = nil
	return order
}

type question struct{}

func (d *desk) Standing(ctx context.Context) (orders.Answer, error) { return d.take(ctx, question{}) }
func (d *desk) Hold(ctx context.Context, o orders.Hold) (orders.Answer, error) {
	return d.take(ctx, o)
}
func (d *desk) Release(ctx context.Context, o orders.Release) (orders.Answer, error) {
	return d.take(ctx, o)
}
func (d *desk) Postpone(ctx context.Context, o orders.Postpone) (orders.Answer, error) {
	return d.take(ctx, o)
}
func (d *desk) Stop(ctx context.Context, o orders.Stop) (orders.Answer, error) {
	return d.take(ctx, o)
}

// running runs a server until the test ends or end is called, and gives its log. Retry is 5 ms where it is not set.
func running(t *testing.T, c Config) (s *Server, logs *observer.ObservedLogs, end func()) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	c.Log = zap.New(core)
	if c.Retry == 0 {
		c.Retry = 5 * time.Millisecond
	}
	if c.Orders == nil {
		c.Orders = &desk{}
	}
	s = New(c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end with its context")
		}
	})
	t.Cleanup(end)
	return s, logs, end
}

// opened is running, and waits until orders are taken.
func opened(t *testing.T, c Config) (s *Server, logs *observer.ObservedLogs, end func()) {
	t.Helper()
	s, logs, end = running(t, c)
	eventually.Holds(t, "an open socket", s.Open)
	return s, logs, end
}

// socketPath is a path for a socket, short enough for one.
func socketPath(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "control-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	return filepath.Join(folder, "s.sock")
}

// dead leaves the socket of a process that has ended.
func dead(t *testing.T, path string) {
	t.Helper()
	l := listening(t, path)
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
}

// listening is a foreign process at path that accepts nobody.
func listening(t *testing.T, path string) *net.UnixListener {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// answered is what a plain HTTP client hears at a socket.
func answered(t *testing.T, socket, method, path string, body io.Reader) (code int, header http.Header, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer.StatusCode, answer.Header, string(b)
}

// held is an answer with everything in it.
func held() orders.Answer {
	return orders.Answer{
		Text: "held until 14:00 UTC", Until: watchdog.Known(noon.Add(2 * time.Hour)), StopAt: watchdog.Known(noon.Add(3 * time.Hour)),
		Holds: []orders.Lease{{Until: noon.Add(2 * time.Hour), By: "root", Why: "evaluation"}},
	}
}

func contains(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
