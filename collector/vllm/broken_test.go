package vllm

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Everything that can be wrong with a server gives a defined outcome and one clear sentence, in time.
func TestBrokenServers(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	tests := []struct {
		name    string
		metrics http.HandlerFunc
		outcome watchdog.Outcome
		detail  string
	}{
		{"hangs before the answer", hang, watchdog.OutcomeTimeout, "no whole answer within"},
		{"hangs within the answer", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, goodPage)
			_ = http.NewResponseController(w).Flush()
			hang(w, r)
		}, watchdog.OutcomeTimeout, "no whole answer within"},
		{"drips", func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(5 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ; i++ {
				fmt.Fprintf(w, "drop{i=\"%d\"} 1\n", i)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}, watchdog.OutcomeTimeout, "no whole answer within"},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<!doctype html><title>Login</title>")
		}, watchdog.OutcomeUnreadable, "is an HTML page"},
		{"half a page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(2*len(goodPage)))
			fmt.Fprint(w, goodPage)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, watchdog.OutcomeUnreadable, "is half a page"},
		{"half a chunked page", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, goodPage)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, watchdog.OutcomeUnreadable, "is half a page"},
		{"half a line", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, goodPage[:len(goodPage)-4])
		}, watchdog.OutcomeUnreadable, "is half a page"},
		{"announces 200 MB", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "200000000")
			fmt.Fprint(w, goodPage)
		}, watchdog.OutcomeUnreadable, "larger than"},
		{"a redirect loop", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://user:hunter2@"+r.Host+"/metrics?token=hunter2#x", http.StatusMovedPermanently)
		}, watchdog.OutcomeUnreadable, "answers with a redirect to http://127.0.0.1:"},
		{"404", http.NotFound, watchdog.OutcomeUnreadable, "answers 404: not vLLM, or"},
		{"401", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, watchdog.OutcomeUnreadable, "wants a login"},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, watchdog.OutcomeUnreadable, "answers 500"},
		{"204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, watchdog.OutcomeUnreadable, "answers 204"},
		{"garbage", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte{0xff, 0, 1, '\n'})
		}, watchdog.OutcomeUnreadable, "line 1"},
		{"is cut off before the answer", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, watchdog.OutcomeUnreadable, "closed without an answer"},
		{"is reset within the answer", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(2*len(goodPage)))
			fmt.Fprint(w, goodPage)
			_ = http.NewResponseController(w).Flush()
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
		}, watchdog.OutcomeUnreadable, "answer was whole"},
		{"a header without end", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", answerLimit+1))
		}, watchdog.OutcomeUnreadable, "does not speak HTTP as we do"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.on(metricsPath, tt.metrics)
			c := newClient(t, f.URL, nil)
			for i := range 2 { // the second on what the first left behind
				s := read(t, c, 300*time.Millisecond)
				if s.Outcome != tt.outcome || !strings.HasPrefix(s.Detail, "/metrics ") || !strings.Contains(s.Detail, tt.detail) {
					t.Errorf("read %d: outcome %d, detail %q; want %d, %q", i, s.Outcome, s.Detail, tt.outcome, tt.detail)
				}
				if strings.Contains(s.Detail, "hunter2") || len(s.Detail) > 600 {
					t.Errorf("detail %q", s.Detail)
				}
				if len(s.Engines) != 0 || s.HTTPRequests.Known || s.EngineSeries || s.HTTPSeries {
					t.Errorf("an unreadable page still said %+v", s)
				}
			}
		})
	}
}

// 200 MB that never end are not read to the end, and take little memory.
func TestEndlessPage(t *testing.T) {
	f := newFake(t)
	sent := make(chan int, 1)
	f.on(metricsPath, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat("drop{i=\"0\"} 1\n", 1000))
		n := 0
		for n < 200<<20 {
			m, err := w.Write(chunk)
			n += m
			if err != nil {
				break
			}
		}
		sent <- n
	})
	c := newClient(t, f.URL, nil)
	before := allocated()
	s := read(t, c, 5*time.Second)
	grown := allocated() - before
	if s.Outcome != watchdog.OutcomeUnreadable || !strings.Contains(s.Detail, "larger than") {
		t.Errorf("%+v", s)
	}
	if s.Health != watchdog.HealthOK {
		t.Errorf("health was not asked: %+v", s)
	}
	select {
	case n := <-sent:
		if n > 32<<20 {
			t.Errorf("%d bytes were sent", n)
		}
	case <-time.After(2 * time.Second):
		t.Error("the connection was not closed")
	}
	if grown > 64<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
	if c.body != nil && cap(c.body) > maxKept {
		t.Errorf("%d bytes are kept", cap(c.body))
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := read(t, newClient(t, "http://"+l.Addr().String(), nil), time.Second)
	if s.Outcome != watchdog.OutcomeRefused || s.Health != watchdog.HealthUnknown || s.Load.Known {
		t.Errorf("%+v", s)
	}
	if want := "/metrics connection refused: nobody listens there"; s.Detail != want {
		t.Errorf("detail %q, want %q", s.Detail, want)
	}
}

func TestCertificates(t *testing.T) {
	f := &fakeServer{handlers: map[string]http.HandlerFunc{}}
	f.say(metricsPath, http.StatusOK, textType, goodPage)
	secure := httptest.NewUnstartedServer(f)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := newFake(t)
	for _, tt := range []struct{ name, url, detail string }{
		{"an issuer that nobody knows", secure.URL, "certificate does not hold: x509: certificate signed by unknown authority"},
		{"http where TLS is spoken", strings.Replace(secure.URL, "https:", "http:", 1), "answers 400"},
		{"https where none is spoken", strings.Replace(plain.URL, "http:", "https:", 1), "does not speak TLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := read(t, newClient(t, tt.url, nil), 2*time.Second)
			if s.Outcome != watchdog.OutcomeUnreadable || !strings.Contains(s.Detail, tt.detail) {
				t.Errorf("%+v", s)
			}
			if strings.Count(s.Detail, "TLS")+strings.Count(s.Detail, "certificate does") > 1 {
				t.Errorf("said twice: %q", s.Detail)
			}
		})
	}
}

// Not HTTP at all.
func TestOtherProtocol(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "SSH-2.0-OpenSSH_9.2\r\n")
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	s := read(t, newClient(t, "http://"+l.Addr().String(), nil), time.Second)
	if s.Outcome != watchdog.OutcomeUnreadable || s.Detail == "" {
		t.Errorf("%+v", s)
	}
}

// A listener whose queue is full lets no connection come about: that is silence, not refusal.
func TestSilentHost(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 8 { // fill the queue
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		cancel()
		if err != nil {
			break
		}
		defer conn.Close()
	}
	c := newClient(t, "http://"+address, nil)
	var dials atomic.Int32
	dial := c.wire.dial
	c.wire.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials.Add(1)
		defer dials.Add(-1)
		return dial(ctx, network, address)
	}
	for range 2 {
		s := read(t, c, 200*time.Millisecond)
		if s.Outcome != watchdog.OutcomeTimeout || !strings.Contains(s.Detail, "no connection within") {
			t.Errorf("%+v", s)
		}
	}
	// A dial that went on would keep the one connection from the next read.
	eventually.Within(t, 2*time.Second, "the dials end with their reads", func() bool { return dials.Load() == 0 })
}

func TestCancelledRead(t *testing.T) {
	f := newFake(t)
	ctx, cancel := context.WithCancel(t.Context())
	f.on(metricsPath, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	if s := newClient(t, f.URL, nil).Read(ctx); s.Outcome != watchdog.OutcomeTimeout {
		t.Errorf("%+v", s)
	}
}
