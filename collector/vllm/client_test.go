package vllm

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestReadHealthy(t *testing.T) {
	f := newFake(t)
	c := newClient(t, f.URL+"/", nil)
	got := read(t, c, 2*time.Second)
	want := watchdog.Server{
		URL:          f.URL,
		Outcome:      watchdog.OutcomeAnswered,
		Health:       watchdog.HealthOK,
		Version:      "0.32.0",
		EngineSeries: true,
		HTTPSeries:   true,
		Engines: []watchdog.Engine{{
			ID:       "0",
			Counters: watchdog.Counters{watchdog.PromptTokens: known(100)},
			Running:  known(0),
			Waiting:  known(0),
		}},
		HTTPRequests: known(3),
		Load:         known(0),
		StartedAt:    1795500348,
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(watchdog.Server{}, "Took")); diff != "" {
		t.Error(diff)
	}
	if got.Took <= 0 {
		t.Errorf("took %s", got.Took)
	}
	if diff := cmp.Diff([]string{"GET /metrics", "GET /health", "GET /load", "GET /version"}, f.takeAsked()); diff != "" {
		t.Error(diff)
	}
	if ua := f.headers.Get("User-Agent"); ua != "gpu-watchdog/test" {
		t.Errorf("User-Agent %q", ua)
	}
	if enc := f.headers.Get("Accept-Encoding"); enc != "" {
		t.Errorf("asked for the encoding %q", enc)
	}
	if diff := cmp.Diff(watchdog.Server{URL: f.URL, Outcome: watchdog.OutcomeSkipped, Version: "0.32.0"}, c.Skipped()); diff != "" {
		t.Error(diff)
	}
}

func TestOneConnectionForManyReads(t *testing.T) {
	f := newFake(t)
	own := &ports{}
	c := newClient(t, f.URL, own)
	for i := range 50 {
		if s := read(t, c, 2*time.Second); s.Outcome != watchdog.OutcomeAnswered || s.Detail != "" {
			t.Fatalf("read %d: %+v", i, s)
		}
	}
	if n := f.connectionCount(); n != 1 {
		t.Errorf("%d connections for 50 reads", n)
	}
	opened, closed := own.seen()
	if len(opened) != 1 || len(closed) != 0 {
		t.Fatalf("opened %v, closed %v", opened, closed)
	}
	f.mu.Lock()
	for conn := range f.open {
		if conn.RemoteAddr().String() != opened[0].String() {
			t.Errorf("told %s, the server sees %s", opened[0], conn.RemoteAddr())
		}
	}
	f.mu.Unlock()
	c.Close()
	if _, closed := own.seen(); !cmp.Equal(opened, closed, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })) {
		t.Errorf("opened %v, closed %v", opened, closed)
	}
	if s := read(t, c, time.Second); s.Outcome != watchdog.OutcomeUnreadable {
		t.Errorf("a closed client read %+v", s)
	}
}

// Reads from several goroutines come one after the other: never two requests at once, never a second connection.
func TestOneRequestInFlight(t *testing.T) {
	f := newFake(t)
	c := newClient(t, f.URL, nil)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if s := c.Read(t.Context()); s.Outcome != watchdog.OutcomeAnswered {
					t.Errorf("%+v", s)
				}
				c.Skipped()
			}
		})
	}
	all.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mostAtOnce != 1 || f.connections != 1 {
		t.Errorf("%d requests at once, %d connections", f.mostAtOnce, f.connections)
	}
}

func TestReadWaitsForItsTurnOnly(t *testing.T) {
	f := newFake(t)
	release := make(chan struct{})
	f.on(metricsPath, func(http.ResponseWriter, *http.Request) { <-release })
	c := newClient(t, f.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() { c.Read(ctx) })
	eventually.Within(t, 2*time.Second, "the first read asks", func() bool { return len(f.takeAsked()) > 0 })
	s := read(t, c, 50*time.Millisecond)
	if s.Outcome != watchdog.OutcomeTimeout || !strings.Contains(s.Detail, "still under way") {
		t.Errorf("%+v", s)
	}
	if len(f.takeAsked()) != 0 {
		t.Error("the second read asked beside the first")
	}
	cancel()
	close(release)
	first.Wait()
}

// A server that closes kept connections after a while (uvicorn: 5 s) must not make a read fail.
func TestKeptConnectionClosedByServer(t *testing.T) {
	f := newFake(t)
	own := &ports{}
	c := newClient(t, f.URL, own)
	for i := range 20 {
		if s := read(t, c, 2*time.Second); s.Outcome != watchdog.OutcomeAnswered || s.Health != watchdog.HealthOK || !s.Load.Known {
			t.Fatalf("read %d: %+v", i, s)
		}
		f.dropConnections()
	}
	opened, closed := own.seen()
	if len(opened) < 20 || len(opened)-len(closed) > 1 {
		t.Errorf("%d opened, %d closed", len(opened), len(closed))
	}
	if versions := strings.Count(fmt.Sprint(f.takeAsked()), versionPath); versions != 1 {
		t.Errorf("/version was asked %d times in one epoch", versions)
	}
}

// The server closes at the very moment at which the next request is sent.
func TestKeptConnectionClosedUnderTheRequest(t *testing.T) {
	f := newFake(t)
	good := f.handlers[metricsPath]
	var drop bool
	f.on(metricsPath, func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		now := drop
		drop = false
		f.mu.Unlock()
		if now {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conn.Close()
			return
		}
		good(w, r)
	})
	c := newClient(t, f.URL, nil)
	read(t, c, 2*time.Second)
	f.mu.Lock()
	drop = true
	f.mu.Unlock()
	if s := read(t, c, 2*time.Second); s.Outcome != watchdog.OutcomeAnswered {
		t.Errorf("%+v", s)
	}
	if n := f.connectionCount(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// Dead engine: vLLM serves the last page for seconds, or for ever, and says 503 beside it.
func TestDeadBesideFrozenGauges(t *testing.T) {
	f := newFake(t)
	f.say(metricsPath, http.StatusOK, textType, "vllm:num_requests_running{engine=\"0\"} 2\nvllm:prompt_tokens_total{engine=\"0\"} 9\n")
	f.say(healthPath, http.StatusServiceUnavailable, "", "")
	s := read(t, newClient(t, f.URL, nil), 2*time.Second)
	if s.Health != watchdog.HealthDead || s.Outcome != watchdog.OutcomeAnswered || s.Engines[0].Running != known(2) || s.Ready() {
		t.Errorf("%+v", s)
	}
}

func TestHealth(t *testing.T) {
	tests := []struct {
		name   string
		set    func(*fakeServer)
		health watchdog.Health
		detail string
	}{
		{"dead beside an unreadable page", func(f *fakeServer) {
			f.say(metricsPath, http.StatusInternalServerError, "", "")
			f.say(healthPath, http.StatusServiceUnavailable, "", "")
		}, watchdog.HealthDead, "/metrics answers 500 Internal Server Error"},
		{"well beside an unreadable page", func(f *fakeServer) {
			f.say(metricsPath, http.StatusOK, "text/html", "<html>")
		}, watchdog.HealthOK, "/metrics is an HTML page"},
		{"dead beside a page that hangs", func(f *fakeServer) {
			f.on(metricsPath, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
			f.say(healthPath, http.StatusServiceUnavailable, "", "")
		}, watchdog.HealthDead, "/metrics no whole answer within"},
		{"no health check", func(f *fakeServer) { f.on(healthPath, nil) }, watchdog.HealthUnknown, "/health answers 404"},
		{"a redirect", func(f *fakeServer) {
			f.on(healthPath, func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "/login?token=secret", http.StatusFound)
			})
		}, watchdog.HealthUnknown, "/health answers with a redirect to /login,"},
		{"health hangs", func(f *fakeServer) {
			f.on(healthPath, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, watchdog.HealthUnknown, "/health no whole answer within"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			tt.set(f)
			s := read(t, newClient(t, f.URL, nil), 400*time.Millisecond)
			if s.Health != tt.health {
				t.Errorf("health %d, want %d: %+v", s.Health, tt.health, s)
			}
			if !strings.Contains(s.Detail, tt.detail) || strings.Contains(s.Detail, "secret") {
				t.Errorf("detail %q, want %q", s.Detail, tt.detail)
			}
		})
	}
}

func TestHealthHangsWhileMetricsAnswers(t *testing.T) {
	f := newFake(t)
	f.on(healthPath, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := newClient(t, f.URL, nil)
	for range 3 {
		s := read(t, c, 150*time.Millisecond)
		if s.Outcome != watchdog.OutcomeAnswered || s.Health != watchdog.HealthUnknown || s.Load.Known {
			t.Errorf("%+v", s)
		}
	}
}

func TestLoad(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   watchdog.Maybe[float64]
	}{
		{"tracked", 200, `{"server_load":3}`, known(3)},
		{"a count that drifted", 200, `{"server_load":-1}`, watchdog.Maybe[float64]{}},
		{"another form", 200, `{"load":3}`, watchdog.Maybe[float64]{}},
		{"null", 200, `{"server_load":null}`, watchdog.Maybe[float64]{}},
		{"a string", 200, `{"server_load":"3"}`, watchdog.Maybe[float64]{}},
		{"no JSON", 200, `3`, watchdog.Maybe[float64]{}},
		{"an error", 500, `{"server_load":3}`, watchdog.Maybe[float64]{}},
		{"too large", 200, `{"server_load":3,"x":"` + strings.Repeat("x", answerLimit) + `"}`, watchdog.Maybe[float64]{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.say(loadPath, tt.status, "application/json", tt.body)
			s := read(t, newClient(t, f.URL, nil), 2*time.Second)
			if s.Outcome != watchdog.OutcomeAnswered || s.Load != tt.want {
				t.Errorf("load %+v, want %+v (%+v)", s.Load, tt.want, s)
			}
		})
	}
}

// What is asked once in an epoch is asked again in the next.
func TestEpochs(t *testing.T) {
	f := newFake(t)
	f.on(loadPath, nil)
	c := newClient(t, f.URL, nil)
	steps := []struct {
		name string
		page string
		want string
	}{
		{"first", goodPage, "/metrics /health /load /version"},
		{"the same", goodPage, "/metrics /health"},
		{"work", strings.Replace(goodPage, "} 100", "} 200", 1), "/metrics /health"},
		{"another start", strings.Replace(goodPage, "1795500348", "1795500349", 1), "/metrics /health /load /version"},
		{"the same", strings.Replace(goodPage, "1795500348", "1795500349", 1), "/metrics /health"},
		{"a counter fell", strings.Replace(strings.Replace(goodPage, "1795500348", "1795500349", 1), "} 100", "} 1", 1), "/metrics /health /load /version"},
	}
	for i, step := range steps {
		f.say(metricsPath, http.StatusOK, textType, step.page)
		f.say(versionPath, http.StatusOK, "application/json", fmt.Sprintf(`{"version":"0.%d"}`, i))
		s := read(t, c, 2*time.Second)
		if got := strings.ReplaceAll(strings.Join(f.takeAsked(), " "), "GET ", ""); got != step.want {
			t.Errorf("%d %s: asked %s, want %s", i, step.name, got, step.want)
		}
		if asked := strings.Contains(step.want, versionPath); asked != (s.Version == fmt.Sprintf("0.%d", i)) {
			t.Errorf("%d %s: version %q", i, step.name, s.Version)
		}
	}
}

func TestVersionIsForgottenWithTheServer(t *testing.T) {
	f := newFake(t)
	c := newClient(t, f.URL, nil)
	if s := read(t, c, 2*time.Second); s.Version != "0.32.0" {
		t.Fatalf("%+v", s)
	}
	f.Close()
	s := read(t, c, 2*time.Second)
	if s.Outcome != watchdog.OutcomeRefused || s.Version != "" || !strings.Contains(s.Detail, "refused") {
		t.Errorf("%+v", s)
	}
}

func TestNoEvidenceIsSaid(t *testing.T) {
	for page, want := range map[string]string{
		"http_requests_total{handler=\"/v1/x\",method=\"POST\",status=\"2xx\"} 1\n": "--disable-log-stats",
		"up 1\n": "is this vLLM?",
	} {
		f := newFake(t)
		f.say(metricsPath, http.StatusOK, textType, page)
		s := read(t, newClient(t, f.URL, nil), 2*time.Second)
		if s.Outcome != watchdog.OutcomeAnswered || !strings.Contains(s.Detail, want) {
			t.Errorf("%q: %+v", page, s)
		}
	}
}

func TestNewRefusesWhatIsNoServer(t *testing.T) {
	for url, want := range map[string]string{
		"127.0.0.1:8000":                         "",
		"localhost:8000":                         "scheme",
		"ftp://host":                             "scheme",
		"http://":                                "no host",
		"http://host:8000/metrics":               "names a page",
		"http://host:8000?token=hunter2":         "query",
		"http://user:hunter2@host:80/%zz":        "cannot be read",
		"http://user:hunter2@host:8000/metrics/": "names a page",
	} {
		_, err := New(Config{URL: url})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestUserAndPrefixAreSentAndNotShown(t *testing.T) {
	f := newFake(t)
	f.on("/pod/a/metrics", f.handlers[metricsPath])
	f.on("/pod/a/health", f.handlers[healthPath])
	c := newClient(t, strings.Replace(f.URL, "http://", "http://watch:hunter2@", 1)+"/pod/a/", nil)
	s := read(t, c, 2*time.Second)
	if s.Outcome != watchdog.OutcomeAnswered || s.URL != f.URL+"/pod/a" || strings.Contains(fmt.Sprintf("%+v", s), "hunter2") {
		t.Errorf("%+v", s)
	}
	if user, password, _ := (&http.Request{Header: f.headers}).BasicAuth(); user != "watch" || password != "hunter2" {
		t.Errorf("sent %q, %q", user, password)
	}
}
