package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// started runs a server on loopback until the test ends, and gives its log.
func started(t *testing.T, c Config) (*Server, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Latest == nil {
		c.Latest = func() *loop.View { return fullView() }
	}
	c.Log = zap.New(core)
	s := New(c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
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
	return s, logs
}

func listening(t *testing.T, s *Server) string {
	t.Helper()
	eventually.Holds(t, "listening", func() bool { return s.Address() != "" })
	return s.Address()
}

// fetch gets a path over the network, each time on a connection of its own.
func fetch(ctx context.Context, address, path string) (int, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

func TestServes(t *testing.T) {
	s, _ := started(t, Config{})
	address := listening(t, s)
	for _, path := range everyPath[:5] {
		if code, err := fetch(t.Context(), address, path); err != nil || code != http.StatusOK {
			t.Errorf("%s: %d, %v", path, code, err)
		}
	}
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("warns while it serves: %v", w)
	}
}

func TestAddressTakenThenFreed(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := other.Addr().String()
	s, logs := started(t, Config{Listen: address, Retry: 20 * time.Millisecond})
	eventually.Holds(t, "a warning", func() bool { return len(s.Warnings()) == 1 })
	if w := s.Warnings()[0]; !strings.Contains(w, address) || !strings.Contains(w, "taken") || !strings.Contains(w, "WATCHDOG_LISTEN") {
		t.Errorf("the warning names no address, cause or remedy: %s", w)
	}
	if s.Address() != "" {
		t.Errorf("claims to listen on %s", s.Address())
	}
	eventually.Holds(t, "three more tries", func() bool { return logs.FilterMessage("still not listening").Len() >= 3 })
	warnings := logs.FilterLevelExact(zapcore.WarnLevel)
	if warnings.Len() != 1 {
		t.Errorf("warned %d times of one taken address", warnings.Len())
	} else if fields := warnings.All()[0].ContextMap(); fields["address"] != address || !strings.Contains(fmt.Sprint(fields["problem"]), "free address") {
		t.Errorf("the log names no address or remedy: %v", fields)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if got := listening(t, s); got != address {
		t.Errorf("listens on %s, want %s", got, address)
	}
	if w := s.Warnings(); len(w) != 0 {
		t.Errorf("still warns: %v", w)
	}
	if code, err := fetch(t.Context(), address, "/healthz"); err != nil || code != http.StatusOK {
		t.Errorf("/healthz: %d, %v", code, err)
	}
}

func TestListenProblems(t *testing.T) {
	// 192.0.2.1 is kept for documentation: no machine has it.
	for address, says := range map[string]string{"192.0.2.1:9877": "no address of this machine", "127.0.0.1:99999": "correct WATCHDOG_LISTEN"} {
		s, _ := started(t, Config{Listen: address})
		eventually.Holds(t, "a warning for "+address, func() bool { return len(s.Warnings()) == 1 })
		if w := s.Warnings()[0]; !strings.Contains(w, says) || !strings.Contains(w, address) {
			t.Errorf("%s: warns %q", address, w)
		}
	}
}

func TestNothingToListenOn(t *testing.T) {
	s := New(Config{Latest: func() *loop.View { return nil }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil || s.Address() != "" || s.Warnings() != nil {
		t.Errorf("Run: %v, listens on %q, warns %v", err, s.Address(), s.Warnings())
	}
}

// Clients that begin a request and never end it hold every connection that there is, and yet a probe gets its answer.
func TestSlowClientsCannotHoldTheServer(t *testing.T) {
	const most = 3
	s, _ := started(t, Config{Timeout: 150 * time.Millisecond, Connections: most})
	address := listening(t, s)
	begun := time.Now()
	slow := make([]net.Conn, 0, most)
	for i, start := range []string{"", "GET /status HTTP/1.1\r\nHost: local", "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Write([]byte(start)); err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		slow = append(slow, c)
	}
	if code, err := fetch(t.Context(), address, "/readyz"); err != nil || code != http.StatusOK {
		t.Errorf("beside slow clients /readyz: %d, %v", code, err)
	}
	for i, c := range slow {
		if err := c.SetReadDeadline(begun.Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for r := bufio.NewReader(c); ; {
			if _, err := r.ReadByte(); err != nil {
				if errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("client %d is still connected after %s", i, time.Since(begun))
				}
				break
			}
		}
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s, _ := started(t, Config{})
	c, err := net.Dial("tcp", listening(t, s))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	// The server may close before all of it is written.
	_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("a", 2*maxHeader) + "\r\n\r\n"))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("answered %q, %v; want 431", line, err)
	}
}

func TestMethodsOverTheNetwork(t *testing.T) {
	s, _ := started(t, Config{})
	address := listening(t, s)
	for request, want := range map[string]string{
		"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n":       "405",
		"BREW /status HTTP/1.1\r\nHost: localhost\r\n\r\n":    "405",
		"GET /status HTTP/1.0\r\n\r\n":                        "403",
		"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n": "403",
	} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = c.Write([]byte(request))
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, " "+want+" ") {
			t.Errorf("%q: answered %q, %v; want %s", request, line, err, want)
		}
		_ = c.Close()
	}
}
