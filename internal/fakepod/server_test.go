package fakepod_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// bound is the time in which everything in these tests must have happened.
const bound = 10 * time.Second

// people asks the server what the collector does not.
var people = &http.Client{Timeout: 2 * bound}

// pod is a server and the real collector that reads it.
type pod struct {
	*fakepod.Server
	t      *testing.T
	reader *vllm.Client
}

func newPod(t *testing.T, cfg fakepod.ServerConfig) pod {
	t.Helper()
	s, err := fakepod.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	reader, err := vllm.New(vllm.Config{URL: s.URL(), UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	return pod{s, t, reader}
}

func (p pod) read() watchdog.Server {
	ctx, cancel := context.WithTimeout(p.t.Context(), bound)
	defer cancel()
	return p.reader.Read(ctx)
}

// until reads until what was read is as wanted.
func (p pod) until(what string, wanted func(watchdog.Server) bool) watchdog.Server {
	p.t.Helper()
	deadline := time.After(bound)
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		s := p.read()
		if wanted(s) {
			return s
		}
		select {
		case <-deadline:
			p.t.Fatalf("%s has not come to pass within %s; last read: %+v", what, bound, s)
		case <-look.C:
		}
	}
}

// ask sends a request and returns its status and its answer, as far as that came.
func (p pod) ask(ctx context.Context, body string) (status int, answer string) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL()+"/v1/completions", strings.NewReader(body))
	if err != nil {
		p.t.Error(err)
		return 0, ""
	}
	got, err := people.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer got.Body.Close()
	var text bytes.Buffer
	_, _ = io.Copy(&text, got.Body)
	return got.StatusCode, text.String()
}

// streaming starts a stream of many tokens and returns once it runs; end gives its answer.
func (p pod) streaming(n int) (hangUp context.CancelFunc, end func() string) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*bound)
	answers := make(chan string, n)
	for range n {
		go func() {
			_, answer := p.ask(ctx, `{"prompt": "a b c d", "max_tokens": 90000, "stream": true}`)
			answers <- answer
		}()
	}
	p.t.Cleanup(func() { cancel() })
	p.until(fmt.Sprintf("%d running", n), func(s watchdog.Server) bool { return ready(s) && running(s) == n })
	return cancel, func() string {
		var all []string
		for range n {
			all = append(all, <-answers)
		}
		return strings.Join(all, "\n")
	}
}

func ready(s watchdog.Server) bool { return s.Outcome == watchdog.OutcomeAnswered }

func running(s watchdog.Server) int { return int(s.Engines[0].Running.Or(-1)) }

func counter(s watchdog.Server, c watchdog.Counter) float64 { return s.Engines[0].Counters[c].Or(-1) }

func TestARequestIsRefusedWhileTheModelLoads(t *testing.T) {
	p := newPod(t, fakepod.ServerConfig{})
	if s := p.read(); s.Outcome != watchdog.OutcomeRefused {
		t.Fatalf("before Ready the outcome is %d (%s), want refused", s.Outcome, s.Detail)
	}
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	s := p.read()
	if !ready(s) || s.Health != watchdog.HealthOK || s.Version != fakepod.Version || !s.EngineSeries || !s.HTTPSeries {
		t.Errorf("after Ready: %+v, want a whole page of vLLM %s", s, fakepod.Version)
	}
	for c := range watchdog.NumCounters {
		if counter(s, c) != 0 {
			t.Errorf("counter %d is %v before the first request, want a known 0", c, s.Engines[0].Counters[c])
		}
	}
	if s.StartedAt == 0 || s.HTTPRequests != watchdog.Known(0.0) || running(s) != 0 {
		t.Errorf("started at %v, HTTP requests %v, running %d: all of them are on the page", s.StartedAt, s.HTTPRequests, running(s))
	}
	p.Close()
	if s := p.read(); s.Outcome != watchdog.OutcomeRefused {
		t.Errorf("after Close the outcome is %d (%s), want refused", s.Outcome, s.Detail)
	}
}

func TestAStreamIsCountedAsItRunsAndWhenItEnds(t *testing.T) {
	p := newPod(t, fakepod.ServerConfig{Prefill: time.Millisecond, PerToken: time.Millisecond, TrackLoad: true})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	status, answer := p.ask(t.Context(), `{"prompt": "a b c d e f g", "max_tokens": 20, "stream": true}`)
	if n := strings.Count(answer, `" word"`); status != http.StatusOK || n != 20 || !strings.HasSuffix(answer, "data: [DONE]\n\n") {
		t.Fatalf("status %d with %d tokens of 20: %q", status, n, answer)
	}
	s := p.read()
	want := map[watchdog.Counter]float64{
		watchdog.PromptTokens: 4, watchdog.GenerationTokens: 20, watchdog.FinishedRequests: 1, watchdog.FirstTokens: 1,
		watchdog.InterTokens: 19, watchdog.EngineSteps: 20, watchdog.Preemptions: 0, watchdog.PrefixQueries: 4,
	}
	for c, v := range want {
		if counter(s, c) != v {
			t.Errorf("counter %d is %v, want %v", c, counter(s, c), v)
		}
	}
	if s.HTTPRequests != watchdog.Known(1.0) || running(s) != 0 || s.Load != watchdog.Known(0.0) {
		t.Errorf("HTTP requests %v, running %d, load %v; want 1, 0, 0", s.HTTPRequests, running(s), s.Load)
	}

	hangUp, end := p.streaming(2)
	if s := p.read(); s.Load != watchdog.Known(2.0) {
		t.Errorf("/load is %v while two run", s.Load)
	}
	hangUp()
	end()
	s = p.until("the end of both", func(s watchdog.Server) bool { return running(s) == 0 && s.HTTPRequests == watchdog.Known(3.0) })
	if counter(s, watchdog.FinishedRequests) != 1 {
		t.Errorf("aborted requests are counted as finished: %v", counter(s, watchdog.FinishedRequests))
	}
}

func TestRequestsOfOneTokenNeverRun(t *testing.T) {
	bursts, loads := 0, 0
	p := newPod(t, fakepod.ServerConfig{OnBurst: func() { bursts++ }, OnLoad: func(int) { loads++ }})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if status, _ := p.ask(t.Context(), `{"prompt": "a", "max_tokens": 1}`); status != http.StatusOK {
			t.Fatalf("status %d", status)
		}
	}
	s := p.read()
	if counter(s, watchdog.GenerationTokens) != 3 || s.HTTPRequests != watchdog.Known(3.0) {
		t.Errorf("%v tokens, %v HTTP requests; want 3 of each", counter(s, watchdog.GenerationTokens), s.HTTPRequests)
	}
	p.Close() // the handlers are over: what they noted may be read
	if bursts != 3 || loads != 0 {
		t.Errorf("%d bursts and %d changes of load, want 3 and none", bursts, loads)
	}
}

func TestMoreThanRunWait(t *testing.T) {
	p := newPod(t, fakepod.ServerConfig{MaxRunning: 1})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	_, end := p.streaming(1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.ask(ctx, `{"prompt": "a", "max_tokens": 5, "stream": true}`) }()
	p.until("one waiting", func(s watchdog.Server) bool { return running(s) == 1 && s.Engines[0].Waiting == watchdog.Known(1.0) })
	cancel()
	<-done
	p.until("none waiting", func(s watchdog.Server) bool { return s.Engines[0].Waiting == watchdog.Known(0.0) })
	p.Die()
	end()
}

func TestGaugesStickAfterAMassAbort(t *testing.T) {
	p := newPod(t, fakepod.ServerConfig{})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	hangUp, end := p.streaming(3)
	p.StickGauges()
	hangUp()
	end()
	s := p.until("three ended", func(s watchdog.Server) bool { return s.HTTPRequests == watchdog.Known(3.0) })
	if running(s) != 3 {
		t.Fatalf("running is %d after all clients hung up, want the 3 that stick", running(s))
	}
	if status, _ := p.ask(t.Context(), `{"prompt": "a", "max_tokens": 3}`); status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	if s := p.read(); running(s) != 0 {
		t.Errorf("running is %d after the next request, whose steps set it right", running(s))
	}
}

func TestAHungEngineStandsStillAndGoesOn(t *testing.T) {
	p := newPod(t, fakepod.ServerConfig{PerToken: time.Millisecond})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	p.Hang(true)
	p.Hang(true)
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan int, 1)
	go func() { status, _ := p.ask(ctx, `{"prompt": "a", "max_tokens": 2}`); answered <- status }()
	// It reaches the engine, which does nothing about it, while HTTP goes on.
	for range 20 {
		if s := p.read(); !ready(s) || s.Health != watchdog.HealthOK || counter(s, watchdog.FirstTokens) != 0 {
			t.Fatalf("while the engine hangs: %+v", s)
		}
	}
	select {
	case status := <-answered:
		t.Fatalf("a hung engine answered %d", status)
	default:
	}
	p.Hang(false)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("status %d after it went on", status)
	}
	cancel()
}

func TestADeadEngineSays503BesideFrozenGauges(t *testing.T) {
	p := newPod(t, fakepod.ServerConfig{})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	_, end := p.streaming(2)
	p.Die()
	p.Die()
	if answer := end(); strings.Count(answer, "EngineCore") != 2 || strings.Count(answer, "[DONE]") != 2 {
		t.Errorf("streams of a dead engine end with %q", answer)
	}
	s := p.until("the end of both", func(s watchdog.Server) bool { return s.HTTPRequests == watchdog.Known(2.0) })
	if s.Health != watchdog.HealthDead || running(s) != 2 {
		t.Errorf("health %d, running %d; want dead beside the frozen 2", s.Health, running(s))
	}
	if status, _ := p.ask(t.Context(), `{"prompt": "a", "max_tokens": 2}`); status != http.StatusInternalServerError {
		t.Errorf("a dead engine answers %d", status)
	}
}

func TestWrongRequestsAreNoWork(t *testing.T) {
	p := newPod(t, fakepod.ServerConfig{})
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{`{`, `{"max_tokens": -1}`, `{"max_tokens": 1000000}`, `[]`} {
		status, answer := p.ask(t.Context(), body)
		if !json.Valid([]byte(answer)) || status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	for _, path := range []string{"/v1/models", "/nowhere"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := people.Do(r); err != nil {
			t.Error(err)
		} else {
			answer.Body.Close()
		}
	}
	if s := p.read(); s.HTTPRequests != watchdog.Known(0.0) {
		t.Errorf("%v HTTP requests count as work, want none", s.HTTPRequests)
	}
}
