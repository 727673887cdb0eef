package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const (
	planted = "PLANTED0123456789"
	key     = "signing-key"
)

var _ stopper.Rung = (*Hook)(nil)

// made makes a hook at a secret path of address.
func made(t *testing.T, address string, change ...func(*Config)) *Hook {
	t.Helper()
	c := Config{URL: secret.New(address + "/" + planted), Key: secret.New(key), Name: "pod-1", StartID: "s1", Pod: "abc123", Timeout: 5 * time.Second}
	for _, f := range change {
		f(&c)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// stop asks once, and holds the answer to what is promised of every answer.
func stop(t *testing.T, h *Hook) stopper.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a := h.Stop(ctx)
	if strings.Contains(a.Detail, planted) || strings.Contains(a.Detail, key) || strings.Contains(a.Detail, "\n") || len(a.Detail) > stopper.MaxDetail {
		t.Errorf("shown: %q", a.Detail)
	}
	return a
}

func TestStop(t *testing.T) {
	at := time.Date(2026, 11, 24, 21, 0, 0, 0, time.FixedZone("KST", 9*3600))
	unpriced := func() watchdog.Decision {
		return watchdog.Decision{Idle: 90 * time.Second, Quote: watchdog.Quote{BreakEven: time.Minute, NoSaving: true}}
	}
	for _, c := range []struct {
		name     string
		action   string
		decision func() watchdog.Decision
		want     string
	}{
		{"all known", "terminate", func() watchdog.Decision {
			return watchdog.Decision{
				At: at, Idle: 600 * time.Second, Threshold: watchdog.Known(580 * time.Second),
				Reasons: []watchdog.Because{{Code: watchdog.ThresholdReached, Detail: "idle for 10m0s"}, {Code: watchdog.BelowThreshold}},
				Quote:   watchdog.Quote{BreakEven: 570 * time.Second, PriceUSDPerHour: watchdog.Known(1.5)},
			}
		}, `{"schema":1,"action":"terminate","name":"pod-1","start_id":"s1","pod":"abc123","reason":"threshold_reached","detail":"idle for 10m0s",` +
			`"idle_seconds":600,"threshold_seconds":580,"break_even_seconds":570,"price_usd_per_hour":1.5,"requested_at":"2026-11-24T12:00:00Z"}`},
		{"little known", "", unpriced, `{"schema":1,"action":"stop","name":"pod-1","start_id":"s1","pod":"abc123","reason":"","detail":"",` +
			`"idle_seconds":90,"threshold_seconds":null,"break_even_seconds":null,"price_usd_per_hour":null,"requested_at":"NOW"}`},
		{"nothing known", "", nil, `{"schema":1,"action":"stop","name":"pod-1","start_id":"s1","pod":"abc123","reason":"","detail":"",` +
			`"idle_seconds":null,"threshold_seconds":null,"break_even_seconds":null,"price_usd_per_hour":null,"requested_at":"NOW"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var bodies []map[string]any
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mac := hmac.New(sha256.New, []byte(key))
				mac.Write(body)
				if got, want := r.Header.Get("X-Gpu-Watchdog-Signature"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want || r.Method != http.MethodPost || r.URL.Path != "/"+planted {
					t.Errorf("%s %s signed %s, want %s", r.Method, r.URL, got, want)
				}
				var fields map[string]any
				if err := json.Unmarshal(body, &fields); err != nil {
					t.Error(err)
				}
				bodies = append(bodies, fields)
				w.WriteHeader(http.StatusAccepted)
				_, _ = io.WriteString(w, `{"message": "shutting down"}`)
			}))
			defer server.Close()
			h := made(t, server.URL, func(cfg *Config) { cfg.Action, cfg.Decision = c.action, c.decision })
			before := time.Now()
			for range 2 {
				want := stopper.Answer{Kind: stopper.Accepted, Status: 202, Detail: "shutting down"}
				if got := stop(t, h); got != want {
					t.Errorf("answer %+v, want %+v", got, want)
				}
			}
			if len(bodies) != 2 || bodies[0]["id"] == bodies[1]["id"] || bodies[0]["id"] == "" {
				t.Fatalf("received %v", bodies)
			}
			var want map[string]any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"sent_at", "requested_at"} {
				if instant, err := time.Parse(time.RFC3339, fmt.Sprint(bodies[0][name])); name == "sent_at" || want[name] == "NOW" {
					if err != nil || instant.Before(before.Add(-time.Second)) || time.Since(instant) > time.Minute {
						t.Errorf("%s is %v", name, bodies[0][name])
					}
					delete(bodies[0], name)
					delete(want, name)
				}
			}
			delete(bodies[0], "id")
			if diff := cmp.Diff(want, bodies[0]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		status int
		after  string
		body   string
		want   stopper.Kind
		detail string
		wait   time.Duration
	}{
		{200, "", "", stopper.Accepted, "OK", 0},
		{201, "", "ok", stopper.Accepted, "ok", 0},
		{204, "", "", stopper.Accepted, "No Content", 0},
		{200, "5", `{"ok":true}`, stopper.Accepted, "OK", 0},
		{200, "", `{"ok":false,"error":"no such pod"}`, stopper.Failed, "a yes that carries an error: no such pod", 0},
		{200, "", `{"success":false}`, stopper.Failed, "a yes that carries an error: it says itself that it is none", 0},
		{200, "", "<!doctype html><title>Sign in</title>", stopper.Failed, `not the program that was meant: a page for people ("Sign in")`, 0},
		{301, "", "", stopper.Failed, "redirected, which is not followed: to http://127.0.0.1:1", 0},
		{307, "", "", stopper.Failed, "redirected, which is not followed: to http://127.0.0.1:1", 0},
		{400, "", `{"message":"unknown action"}`, stopper.Invalid, "unknown action", 0},
		{401, "", "", stopper.Denied, "Unauthorized", 0},
		{403, "", "bad signature", stopper.Denied, "bad signature", 0},
		{404, "", "no /" + planted + " here", stopper.Gone, "nobody is there to stop anything; is WATCHDOG_STOP_URL right? no [secret] here", 0},
		{410, "", "", stopper.Gone, "nobody is there to stop anything; is WATCHDOG_STOP_URL right? Gone", 0},
		{408, "7", "", stopper.Failed, "Request Timeout", 7 * time.Second},
		{409, "", "", stopper.Invalid, "Conflict", 0},
		{422, "", "", stopper.Invalid, "Unprocessable Entity", 0},
		{429, "12", "", stopper.RetryAfter, "Too Many Requests", 12 * time.Second},
		{429, "", "", stopper.RetryAfter, "Too Many Requests", 0},
		{500, "", "", stopper.Failed, "Internal Server Error", 0},
		{502, "3", "<html>", stopper.Failed, "a page for people", 3 * time.Second},
		{503, "30", "", stopper.RetryAfter, "Service Unavailable", 30 * time.Second},
		{503, "", "", stopper.Failed, "Service Unavailable", 0},
		{503, "86400", "", stopper.RetryAfter, "Service Unavailable", 10 * time.Minute},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.body), func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.Header().Set("Location", "http://127.0.0.1:1/"+planted)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			want := stopper.Answer{Kind: c.want, Status: c.status, Detail: c.detail, RetryAfter: c.wait}
			if got := stop(t, made(t, server.URL)); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// Without an answer nobody knows; that is no yes.
func TestNoAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	if a := stop(t, made(t, "http://me:"+planted+"@"+nobody)); a.Kind != stopper.Failed || !strings.Contains(a.Detail, "connection refused") {
		t.Errorf("nobody there: %+v", a)
	}

	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	a := stop(t, made(t, hanging.URL, func(c *Config) { c.Timeout = 50 * time.Millisecond }))
	if a.Kind != stopper.Failed || a.Detail != "no answer in time: context deadline exceeded" {
		t.Errorf("no answer: %+v", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := made(t, hanging.URL).Stop(ctx); a.Kind != stopper.Failed || a.Detail != "given up: context canceled" {
		t.Errorf("given up: %+v", a)
	}

	dropping := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer dropping.Close()
	if a := stop(t, made(t, dropping.URL)); a.Kind != stopper.Failed || a.Detail != "EOF" {
		t.Errorf("dropped: %+v", a)
	}
}

// Nothing is sent to a server that cannot prove its name.
func TestABadCertificate(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	server.StartTLS()
	defer server.Close()
	h := made(t, server.URL)
	if a := stop(t, h); a.Kind != stopper.Failed || !strings.Contains(a.Detail, "certificate") {
		t.Errorf("answer %+v", a)
	}
	if err := h.Reach(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), planted) {
		t.Errorf("reached with %v", err)
	}
	if served.Load() != 0 {
		t.Error("a request was served")
	}
}

// A ladder with the hook alone comes to a stop, and to a refusal that says why.
func TestOnTheLadder(t *testing.T) {
	var status atomic.Int64
	status.Store(403)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer server.Close()
	h := made(t, server.URL, func(c *Config) { c.Action = "terminate" })
	host := strings.TrimPrefix(server.URL, "http://")
	if got, want := h.Target(), (stopper.Target{Kind: "webhook", ID: host, Action: "terminate"}); got != want {
		t.Errorf("target %+v, want %+v", got, want)
	}
	ladder := stopper.NewLadder(nil, stopper.Flight{Target: h.Target(), Rungs: []stopper.Rung{h}, Each: 10 * time.Second})
	if got := ladder.Stop(t.Context()); got.Phase != watchdog.StopRefused || got.Detail != "webhook: denied (HTTP 403): Forbidden" {
		t.Errorf("report %+v", got)
	}
	status.Store(200)
	if got := ladder.Stop(t.Context()); got.Phase != watchdog.StopAccepted || got.Rung != "webhook" || got.Target != "webhook" {
		t.Errorf("report %+v", got)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	c := Config{URL: secret.New("https://h.example/" + planted), Key: secret.New(key)}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{c, &c, h, []stopper.Rung{h}} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, planted) || strings.Contains(got, key) {
				t.Errorf("%s of %T: %s", format, v, got)
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                 setting + " is empty",
		"http://reaper.example/" + planted: setting + " would be sent in the clear to reaper.example",
		"https://h.example/%zz" + planted:  setting + " cannot be read as a URL",
	} {
		if _, err := New(Config{URL: secret.New(raw)}); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), planted) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
