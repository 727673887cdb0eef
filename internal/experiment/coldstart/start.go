package coldstart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Kind says how a start was prepared.
type Kind string

// The kinds. What really was cold is in the PageCache of each.
const (
	Cold Kind = "cold"
	Warm Kind = "warm"
)

// Start is one measured start. Times are in seconds.
type Start struct {
	Kind Kind `json:"kind"`
	// Number counts the starts of a kind from 1.
	Number  int       `json:"number"`
	BeganAt time.Time `json:"began_at"`
	// Ready is the time from exec to the first 200 of /health.
	Ready watchdog.Maybe[float64] `json:"ready_seconds"`
	// FirstToken and UsualFirstToken are the times to the first token of the first request and of those after it; Extra is by
	// how much the first was longer. Unknown where the server has no completions to ask for.
	FirstToken      watchdog.Maybe[float64] `json:"first_token_seconds"`
	UsualFirstToken watchdog.Maybe[float64] `json:"usual_first_token_seconds"`
	Extra           watchdog.Maybe[float64] `json:"first_token_extra_seconds"`
	// Measured is Ready and Extra together: the part of a cold start that was seen here.
	Measured watchdog.Maybe[float64] `json:"measured_seconds"`
	Phases   []startup.Phase         `json:"phases"`
	*Money
	PageCache PageCache `json:"page_cache"`
	Spans     []Span    `json:"spans,omitempty"`
	// StopSeconds is how long the server took to end; Killed that it had to be killed.
	StopSeconds float64 `json:"stop_seconds"`
	Killed      bool    `json:"killed"`
	// Log is the file with all that the server wrote.
	Log string `json:"log"`
	// Note says what is missing and why; Error that the start failed, and is no sample.
	Note  string `json:"note,omitempty"`
	Error string `json:"error,omitempty"`
}

// one starts the server once, measures, and ends it.
func (e *experiment) one(ctx context.Context, kind Kind, number int) (s Start) {
	s = Start{Kind: kind, Number: number, Phases: startup.Marks{}.Phases(), Log: filepath.Join(e.LogDir, fmt.Sprintf("%s-%d.log", kind, number))}
	fail := func(err error) Start {
		s.Error = err.Error()
		return s
	}
	env := slices.Concat(e.Env, e.caches(kind))
	argv := e.Argv
	var spans *receiver
	if e.Spans {
		var err error
		if spans, err = receive(ctx); err != nil {
			return fail(err)
		}
		defer spans.close()
		argv = slices.Concat(argv, []string{spansFlag, spans.endpoint()})
		// gRPC is vLLM's default, unless its environment says otherwise. Spans come each half second, and all of them.
		env = append(env, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc", "OTEL_TRACES_SAMPLER=always_on", "OTEL_BSP_SCHEDULE_DELAY=500")
	}
	file, err := os.OpenFile(s.Log, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(fmt.Errorf("the server's log: %w", err))
	}
	defer file.Close()
	s.PageCache = prepare(ctx, e.Files, kind == Cold)
	client, err := load.New(load.Config{URL: e.URL, APIKey: e.APIKey, UserAgent: e.UserAgent, Deadline: e.Timeout})
	if err != nil {
		return fail(err)
	}

	out := &output{to: file}
	c, err := startChild(ctx, argv, env, out)
	if err != nil {
		return fail(err)
	}
	s.BeganAt = c.exec
	m, err := e.measure(ctx, c, client, &s)
	if err == nil && spans != nil {
		var told startup.Marks
		s.Spans, told = spansOf(spans.await(ctx), c.exec)
		m = m.Over(told)
		if len(s.Spans) == 0 {
			s.Note = "the server sent no span of its start (vLLM does from 0.19 on, where OpenTelemetry is installed): phases are from its log"
		}
	}
	client.Close()
	took, killed := c.stop(e.Grace)
	s.StopSeconds, s.Killed = took.Seconds(), killed
	s.Phases = m.Phases()
	for i, p := range s.Phases {
		if p.Seconds.Known {
			s.Phases[i].USD = e.Pricing.bill(seconds(p.Seconds.Value))
		}
	}
	if err != nil {
		if words := out.lastWords(e.APIKey.Reveal()); words != "" && c.failed {
			err = fmt.Errorf("%w; its last words, more in %s:\n%s", err, s.Log, words)
		}
		return fail(err)
	}
	money := e.Pricing.of(seconds(s.Measured.Value))
	s.Money = &money
	return s
}

// measure waits for the milestones that are asked for. Its error means that the server did not become ready.
func (e *experiment) measure(ctx context.Context, c *child, client *load.Client, s *Start) (startup.Marks, error) {
	if err := newHealth(e.URL+e.Health).awaitReady(ctx, c); err != nil {
		c.failed = ctx.Err() == nil || errors.Is(context.Cause(ctx), context.DeadlineExceeded)
		return c.out.seen(), err
	}
	readyAt := time.Since(c.exec)
	m := c.out.seen()
	m.First(startup.Ready, readyAt, startup.ByHTTP)
	s.Ready = watchdog.Known(readyAt.Seconds())
	e.askVersion(ctx, client)
	measured := readyAt
	ttfts, err := firstTokens(ctx, client)
	if err != nil {
		s.Note = fmt.Sprintf("the first token is not in it: %v", err)
	}
	if len(ttfts) > 0 {
		m.First(startup.FirstToken, readyAt+ttfts[0], startup.ByHTTP)
		s.FirstToken = watchdog.Known(ttfts[0].Seconds())
	}
	if extra, usual, known := beyondUsual(ttfts); known {
		s.UsualFirstToken, s.Extra = watchdog.Known(usual.Seconds()), watchdog.Known(extra.Seconds())
		measured += extra
	}
	s.Measured = watchdog.Known(measured.Seconds())
	return m, nil
}

// seconds turns a number of seconds into a duration.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
