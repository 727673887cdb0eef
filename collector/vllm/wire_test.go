package vllm

import (
	"bufio"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// rawServer answers the n-th request of the c-th connection with the bytes that say returns, and closes where it returns
// "close" at the end.
func rawServer(t *testing.T, say func(c, n int, path string) string) (url string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	connections = new(atomic.Int32)
	serve := func(conn net.Conn, c int) {
		defer conn.Close()
		in := bufio.NewReader(conn)
		for n := 0; ; n++ {
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			bytes, closes := strings.CutSuffix(say(c, n, r.URL.Path), "close")
			fmt.Fprint(conn, bytes)
			if closes {
				return
			}
		}
	}
	all.Go(func() {
		for c := 0; ; c++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			all.Go(func() { serve(conn, c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String(), connections
}

func plainAnswer(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=1.0.0\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func goodAnswer(path string) string {
	return plainAnswer(map[string]string{metricsPath: goodPage, loadPath: `{"server_load":0}`, versionPath: `{"version":"0.32.0"}`}[path])
}

// What servers and proxies may do to a kept connection between and around two answers.
func TestKeptConnection(t *testing.T) {
	tests := []struct {
		name string
		say  func(c, n int, path string) string
		// connections after three reads: four questions, then three and three.
		connections int32
	}{
		{"is kept", func(_, _ int, path string) string { return goodAnswer(path) }, 1},
		{"an interim answer comes before each", func(_, _ int, path string) string {
			return "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + goodAnswer(path)
		}, 1},
		{"a chunked answer", func(_, _ int, path string) string {
			if path != metricsPath {
				return goodAnswer(path)
			}
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(goodPage), goodPage)
		}, 1},
		{"is closed after each answer, as announced", func(_, _ int, path string) string {
			return strings.Replace(goodAnswer(path), "\r\n", "\r\nConnection: close\r\n", 1) + "close"
		}, 10},
		{"is closed after each answer, without a word", func(_, _ int, path string) string { return goodAnswer(path) + "close" }, 10},
		{"HTTP/1.0", func(_, _ int, path string) string {
			return strings.Replace(goodAnswer(path), "1.1", "1.0", 1) + "close"
		}, 10},
		{"an answer without a length ends with it", func(_, _ int, path string) string {
			_, body, _ := strings.Cut(goodAnswer(path), "\r\n\r\n")
			return "HTTP/1.1 200 OK\r\n\r\n" + body + "close"
		}, 10},
		{"says that it timed out, after each answer", func(_, _ int, path string) string {
			return goodAnswer(path) + "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\nclose"
		}, 10},
		{"goes on after each answer", func(_, _ int, path string) string { return goodAnswer(path) + "garbage" }, 10},
		{"times out under a request", func(c, n int, path string) string {
			if c == 0 && n == 4 {
				return "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
			}
			return goodAnswer(path)
		}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url, connections := rawServer(t, tt.say)
			own := &ports{}
			c := newClient(t, url, own)
			for i := range 3 {
				s := read(t, c, 5*time.Second)
				if s.Outcome != watchdog.OutcomeAnswered || s.Health != watchdog.HealthOK || !s.Load.Known || s.Version != "0.32.0" || s.Detail != "" {
					t.Errorf("read %d: %+v", i, s)
				}
			}
			if n := connections.Load(); n != tt.connections {
				t.Errorf("%d connections, want %d", n, tt.connections)
			}
			if opened, closed := own.seen(); int32(len(opened)) != tt.connections || len(opened)-len(closed) > 1 {
				t.Errorf("told of %d connections, of which %d ended, want %d", len(opened), len(closed), tt.connections)
			}
		})
	}
}

// A server that times every request out, or never comes to its answer, is not asked again and again.
func TestOnlyAnEndedConnectionIsReplaced(t *testing.T) {
	for name, answer := range map[string]string{
		"times out":                "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
		"interim answers for ever": strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 2*mostInterim),
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			url, _ := rawServer(t, func(_, _ int, path string) string {
				if path != metricsPath {
					return goodAnswer(path)
				}
				asked.Add(1)
				return answer
			})
			c := newClient(t, url, nil)
			for i := range 3 {
				if s := read(t, c, 2*time.Second); s.Outcome != watchdog.OutcomeUnreadable || s.EngineSeries {
					t.Errorf("read %d: %+v", i, s)
				}
			}
			if n := asked.Load(); n < 3 || n > 6 {
				t.Errorf("the page was asked for %d times in three reads, want once or, on a kept connection, twice each", n)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	f := newFake(t)
	secure := httptest.NewTLSServer(f)
	t.Cleanup(secure.Close)
	c := newClient(t, secure.URL, nil)
	c.wire.tls.RootCAs = x509.NewCertPool()
	c.wire.tls.RootCAs.AddCert(secure.Certificate())
	var dials int
	dial := c.wire.dial
	c.wire.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return dial(ctx, network, address)
	}
	for i := range 3 {
		if s := read(t, c, 5*time.Second); s.Outcome != watchdog.OutcomeAnswered || s.Health != watchdog.HealthOK || !s.Load.Known {
			t.Fatalf("read %d: %+v", i, s)
		}
	}
	if dials != 1 {
		t.Errorf("%d connections for three reads", dials)
	}
}

func TestAddress(t *testing.T) {
	for url, want := range map[string]string{
		"http://127.0.0.1:8000": "127.0.0.1:8000",
		"http://vllm":           "vllm:80",
		"https://vllm":          "vllm:443",
		"https://[::1]":         "[::1]:443",
		"http://[fe80::1%25lo]": "[fe80::1%lo]:80",
		"http://u:p@vllm:81/x/": "vllm:81",
	} {
		c := newClient(t, url, nil)
		if c.wire.address != want {
			t.Errorf("%s is dialled as %s, want %s", url, c.wire.address, want)
		}
	}
}
