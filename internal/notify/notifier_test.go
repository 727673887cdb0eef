package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

const (
	planted = "PLANTED0123456789"
	key     = "signing-key"
)

// letterbox is a host that takes what comes.
type letterbox struct {
	*httptest.Server
	mu  sync.Mutex
	got []received
}

type received struct {
	host, path, signature, kind, agent string
	body                               string
}

func (l *letterbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = append(l.got, received{
		host: r.Host, path: r.URL.RequestURI(), signature: r.Header.Get("X-Gpu-Watchdog-Signature"),
		kind: r.Header.Get("Content-Type"), agent: r.UserAgent(), body: string(body),
	})
	w.WriteHeader(http.StatusNoContent)
}

func (l *letterbox) all() []received {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]received{}, l.got...)
}

// running starts a notifier of a real network until the test ends; what it logs must not show the address or the key.
func running(t *testing.T, c Config) (*Notifier, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	c.Key, c.Name, c.StartID, c.UserAgent, c.Log = secret.New(key), "pod-1", "s1", "gpu-watchdog/test", zap.New(core)
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(Grace + 10*time.Second):
			t.Error("Run does not end with its context")
		}
		for _, line := range logs.All() {
			if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, planted) || strings.Contains(text, key) {
				t.Errorf("the log shows a secret: %s", text)
			}
		}
		if text := fmt.Sprintf("%v %+v %q", n, n.Counts(), n.Warnings()); strings.Contains(text, planted) || strings.Contains(text, key) {
			t.Errorf("a secret is shown: %s", text)
		}
	})
	return n, logs
}

func newBox(t *testing.T, secure bool) *letterbox {
	t.Helper()
	box := &letterbox{}
	box.Server = httptest.NewUnstartedServer(box)
	box.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	if secure {
		box.StartTLS()
	} else {
		box.Start()
	}
	t.Cleanup(box.Close)
	return box
}

func TestToAProgram(t *testing.T) {
	box := newBox(t, false)
	n, _ := running(t, Config{URL: secret.New(box.URL + "/" + planted)})
	at := time.Now()
	n.Notify(Message{Kind: StopAnnounced, Key: "gap-1", At: at, StopAt: at.Add(time.Minute), Text: "idle", Fields: map[string]any{"idle_seconds": 480}})
	n.Notify(Message{Kind: StopAnnounced, Key: "gap-1", Text: "again"})
	n.Notify(Message{Kind: Test, Key: "1", Text: "last"})
	eventually.Holds(t, "two messages", func() bool { return n.Counts().Sent == 2 })
	got := box.all()
	if len(got) != 2 {
		t.Fatalf("%d requests came", len(got))
	}
	for _, r := range got {
		mac := hmac.New(sha256.New, []byte(key))
		_, _ = io.WriteString(mac, r.body)
		if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); r.signature != want {
			t.Errorf("signature %q, want %q", r.signature, want)
		}
		if r.path != "/"+planted || r.kind != "application/json" || r.agent != "gpu-watchdog/test" {
			t.Errorf("received %+v", r)
		}
	}
	var d struct {
		Kind   string             `json:"kind"`
		Name   string             `json:"name"`
		SentAt time.Time          `json:"sent_at"`
		StopAt time.Time          `json:"stop_at"`
		Fields map[string]float64 `json:"fields"`
	}
	if err := json.Unmarshal([]byte(got[0].body), &d); err != nil {
		t.Fatal(err)
	}
	if d.Kind != "stop_announced" || d.Name != "pod-1" || d.SentAt.Before(at) || time.Since(d.SentAt) > time.Minute || !d.StopAt.Equal(at.Add(time.Minute)) || d.Fields["idle_seconds"] != 480 {
		t.Errorf("received %s", got[0].body)
	}
}

// as lets a client reach box under every name, which it proves by the certificate of the test server.
func (l *letterbox) as(t *testing.T) *http.Transport {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(l.Certificate())
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, l.Listener.Addr().String())
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// Slack and Discord get their forms, at their own addresses, without a signature.
func TestToSlackAndDiscord(t *testing.T) {
	for _, c := range []struct{ url, host, path, body, named string }{
		{"https://hooks.slack.com/services/T0/B0/" + planted, "hooks.slack.com", "/services/T0/B0/" + planted, `{"text":"pod-1: a &lt; b"}`, "Slack (hooks.slack.com)"},
		{"https://discord.com/api/webhooks/1/" + planted, "discord.com", "/api/v10/webhooks/1/" + planted, `{"content":"pod-1: a \\< b","allowed_mentions":{"parse":[]},"flags":4}`, "Discord (discord.com)"},
		{"https://discord.com/api/webhooks/1/" + planted + "/slack", "discord.com", "/api/webhooks/1/" + planted + "/slack", `{"text":"pod-1: a &lt; b"}`, "Slack (discord.com)"},
	} {
		t.Run(c.named, func(t *testing.T) {
			box := newBox(t, true)
			n, _ := running(t, Config{URL: secret.New(c.url), Transport: box.as(t)})
			if n.String() != c.named {
				t.Errorf("it is called %s", n)
			}
			n.Notify(Message{Kind: Alarm, Key: "a", Text: "a < b"})
			eventually.Holds(t, "the message", func() bool { return n.Counts().Sent == 1 })
			want := received{host: c.host, path: c.path, kind: "application/json", agent: "gpu-watchdog/test", body: c.body}
			if got := box.all(); len(got) != 1 || got[0] != want {
				t.Errorf("received %+v\nwant     %+v", got, want)
			}
		})
	}
}

// A host that is not there costs nobody anything but the message.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	n, logs := running(t, Config{URL: secret.New("http://me:" + planted + "@" + address + "/" + planted + "?" + planted)})
	n.Notify(Message{Kind: Alarm, Key: "a"})
	eventually.Holds(t, "a warning", func() bool { return len(n.Warnings()) == 1 })
	if got := n.Warnings()[0]; !strings.Contains(got, address) || !strings.Contains(got, "connection refused") || !strings.Contains(got, setting) {
		t.Errorf("it warns %q", got)
	}
	eventually.Holds(t, "a line", func() bool { return logs.FilterMessage("notification not delivered yet").Len() > 0 })
}

// Neither a redirect nor a host that cannot prove its name gets more than it asked for.
func TestWrongHosts(t *testing.T) {
	other := newBox(t, false)
	redirecting := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer redirecting.Close()
	n, logs := running(t, Config{URL: secret.New(redirecting.URL + "/" + planted)})
	n.Notify(Message{Kind: Alarm, Key: "a"})
	eventually.Holds(t, "the end of it", func() bool { return n.Counts().Failed == 1 })
	if len(other.all()) != 0 {
		t.Error("the redirect was followed")
	}
	failed := logs.FilterMessage("notification failed").All()
	if want := "HTTP 307: redirected, which is not followed: to " + other.URL; len(failed) != 1 || failed[0].ContextMap()["detail"] != want {
		t.Errorf("logged %v, want %q", failed, want)
	}

	unproven := newBox(t, true)
	n, _ = running(t, Config{URL: secret.New(unproven.URL + "/" + planted)})
	n.Notify(Message{Kind: Alarm, Key: "a"})
	eventually.Holds(t, "a warning", func() bool { return len(n.Warnings()) == 1 })
	if got := n.Warnings()[0]; !strings.Contains(got, "certificate") {
		t.Errorf("it warns %q", got)
	}
	if len(unproven.all()) != 0 {
		t.Error("a host that cannot prove its name was told")
	}
	if err := n.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), planted) {
		t.Errorf("reached with %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"": setting + " is empty",
		"http://hooks.slack.com/services/" + planted:                     setting + " would be sent in the clear to hooks.slack.com",
		"hooks.slack.com/" + planted:                                     setting + " cannot be read as a URL",
		"https://discord.com/api/webhooks/1/" + planted + "/github":      setting + " cannot be used: it ends in /github",
		"https://discord.com/api/webhooks/1/" + planted + "/#" + planted: setting + " has a fragment",
	} {
		if _, err := New(Config{URL: secret.New(raw)}); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), planted) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
