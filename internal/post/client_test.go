package post

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

const key = "signing-key"

// serve starts a server, and a client of a secret path of it.
func serve(t *testing.T, c Config, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c.Address = parsed(t, server.URL+"/"+planted)
	return NewClient(c)
}

// checkError: an error names the trouble alone, with nothing of the address, not even masked, and without the key.
func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
	if err != nil && (strings.Contains(err.Error(), planted) || strings.Contains(err.Error(), key) || strings.ContainsAny(err.Error(), "[\n")) {
		t.Errorf("the error shows too much: %v", err)
	}
}

func TestSend(t *testing.T) {
	for _, signed := range []bool{true, false} {
		var got *http.Request
		var body []byte
		config := Config{UserAgent: "gpu-watchdog/test"}
		if signed {
			config.Key = secret.New(key)
		}
		c := serve(t, config, func(w http.ResponseWriter, r *http.Request) {
			got = r
			body, _ = io.ReadAll(r.Body)
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, "slow down")
		})
		const sent = `{"text": "\u00fc & <b>"}`
		a, err := c.Send(t.Context(), []byte(sent))
		if err != nil || a.Status != 429 || string(a.Body) != "slow down" || a.Wait(time.Now()) != 7*time.Second {
			t.Errorf("answer %+v, error %v", a, err)
		}
		if got.Method != http.MethodPost || got.URL.Path != "/"+planted || string(body) != sent {
			t.Errorf("%s %s with %s", got.Method, got.URL, body)
		}
		for name, want := range map[string]string{"Content-Type": "application/json", "User-Agent": "gpu-watchdog/test"} {
			if value := got.Header.Get(name); value != want {
				t.Errorf("%s: %q, want %q", name, value, want)
			}
		}
		want := ""
		if signed {
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write(body)
			want = "sha256=" + hex.EncodeToString(mac.Sum(nil))
		}
		if value := got.Header.Get("X-Gpu-Watchdog-Signature"); value != want {
			t.Errorf("signature %q, want %q", value, want)
		}
	}
}

// The figure is a published one.
func TestSignature(t *testing.T) {
	if got, want := Signature(secret.New("key"), []byte("The quick brown fox jumps over the lazy dog")), "sha256=f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := Signature(secret.Secret{}, []byte("x")); got != "" {
		t.Errorf("without a key there is the signature %q", got)
	}
}

func TestPasswordInTheAddress(t *testing.T) {
	var user, password string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { user, password, _ = r.BasicAuth() }))
	defer server.Close()
	c := NewClient(Config{Address: parsed(t, strings.Replace(server.URL, "http://", "http://me:hunter2@", 1))})
	if _, err := c.Send(t.Context(), nil); err != nil || user != "me" || password != "hunter2" {
		t.Errorf("user %q, password %q, error %v", user, password, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		a, err := c.Send(t.Context(), []byte("{}"))
		if err != nil || a.Status != status || !a.Redirected() || a.OK() {
			t.Errorf("answer %+v, error %v", a, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests went on", n)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	var sent atomic.Int64
	c := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		block := bytes.Repeat([]byte("x"), 64<<10)
		for range 3200 {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	a, err := c.Send(t.Context(), []byte("{}"))
	if err != nil || len(a.Body) != maxBody {
		t.Errorf("%d bytes kept, error %v", len(a.Body), err)
	}
	if sent.Load() > 40<<20 {
		t.Errorf("%d MiB were taken off the wire", sent.Load()>>20)
	}
}

// An answer that breaks off has said its status.
func TestBrokenOff(t *testing.T) {
	c := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "500")
		_, _ = io.WriteString(w, "ok")
	})
	if a, err := c.Send(t.Context(), []byte("{}")); err != nil || !a.OK() || string(a.Body) != "ok" {
		t.Errorf("answer %+v, error %v", a, err)
	}
}

// A server that takes the request and says nothing.
func TestNoAnswer(t *testing.T) {
	release := make(chan struct{})
	c := serve(t, Config{Timeout: 50 * time.Millisecond}, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) }) // before the server closes
	_, err := c.Send(t.Context(), []byte("{}"))
	checkError(t, err, "no answer in time")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v is no deadline", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Send(ctx, []byte("{}"))
	checkError(t, err, "given up")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not say who gave up", err)
	}
}

// closed is an address at which nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestNobodyThere(t *testing.T) {
	c := NewClient(Config{Address: parsed(t, "http://me:hunter2@"+closed(t)+"/"+planted+"?key="+planted)})
	_, err := c.Send(t.Context(), []byte("{}"))
	checkError(t, err, "connection refused")
	checkError(t, c.Reach(t.Context()), "connection refused")
}

// Nothing is sent to a server that cannot prove its name.
func TestABadCertificate(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	server.StartTLS()
	defer server.Close()
	c := NewClient(Config{Address: parsed(t, server.URL+"/"+planted)})
	_, err := c.Send(t.Context(), []byte("{}"))
	checkError(t, err, "certificate")
	checkError(t, c.Reach(t.Context()), "certificate")
	if served.Load() != 0 {
		t.Error("a request was served")
	}
}

// Reach connects and asks for nothing.
func TestReach(t *testing.T) {
	var requests atomic.Int64
	c := serve(t, Config{}, func(http.ResponseWriter, *http.Request) { requests.Add(1) })
	if err := c.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	if n := requests.Load(); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}
