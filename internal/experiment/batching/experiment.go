package batching

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

// Config is the whole experiment. Asker, Model, Workload and Scenarios are needed.
type Config struct {
	Asker     Asker
	Model     string
	Workload  []Prompt
	Scenarios []Scenario
	// Repeats is how often each scenario is played (1); they take turns, so that what changes over time hits all of them.
	Repeats int
	// WarmUp is how many requests are made before and not counted; at least one, which also tries out what the server takes.
	WarmUp int
	// Tolerated is how many failed requests do not end a run, and the experiment with it.
	Tolerated int
	// StopAtEOS lets the model end its answers; otherwise each is as long as its prompt says.
	StopAtEOS bool
	// KeepCache leaves the prompts as they are, so that the server may find them in its prefix cache. Otherwise each begins
	// with a text of its own, in every run another, and carries a cache_salt where the server takes one.
	KeepCache  bool
	Objectives Objectives
	// Seed is of the moments of paced scenarios.
	Seed uint64
	// Server, GPU and Pages are looked at meanwhile; nil where there is none. Every is how often (250 ms).
	Server Server
	GPU    GPU
	Pages  Pages
	Every  time.Duration
	// Progress is told how far it is; calls do not overlap.
	Progress func(Progress)
}

// Progress is how far the experiment is.
type Progress struct {
	// Scenario is nil while the server is being warmed up.
	Scenario        *Scenario
	Repeat, Repeats int
	// Done of Of requests of this run have ended, Failed of them badly.
	Done, Of, Failed int
	// Since is when the run began.
	Since time.Time
}

// Result is what the experiment found, complete or not.
type Result struct {
	// Outcomes are in the order of the scenarios; those that never began have no Runs.
	Outcomes []Outcome
	// CacheSalt: the server took the field.
	CacheSalt bool
	// BusyBefore is how many requests ran on the server before the experiment began, 0 where unknown.
	BusyBefore float64
}

// Outcome is one scenario and its runs.
type Outcome struct {
	Scenario Scenario
	Runs     []Run
}

// experiment is the state of a Config while it runs.
type experiment struct {
	Config
	result Result
	nonce  string
	// salted counts the prompts, so that no two are the same.
	mu     sync.Mutex
	salted int
}

// Play plays the experiment. Where it ends early, its error says why, and the result holds what there is.
func Play(ctx context.Context, cfg Config) (Result, error) {
	e := experiment{Config: cfg}
	if err := e.check(); err != nil {
		return Result{}, err
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never errs
	e.nonce = hex.EncodeToString(random[:])
	e.result.BusyBefore = count(ctx, e.Pages).running.Value
	if err := e.warmUp(ctx); err != nil {
		return e.result, fmt.Errorf("warm up: %w", err)
	}
	for _, s := range e.Scenarios {
		e.result.Outcomes = append(e.result.Outcomes, Outcome{Scenario: s})
	}
	for repeat := 1; repeat <= e.Repeats; repeat++ {
		for i := range e.Scenarios {
			run, err := e.run(ctx, e.Scenarios[i], repeat)
			if len(run.Asked) > 0 {
				e.result.Outcomes[i].Runs = append(e.result.Outcomes[i].Runs, run)
			}
			if err != nil {
				return e.result, fmt.Errorf("%s, repeat %d: %w", run.Scenario.Name(), repeat, err)
			}
		}
	}
	return e.result, nil
}

func (e *experiment) check() error {
	e.Repeats, e.WarmUp = max(1, e.Repeats), max(1, e.WarmUp)
	if e.Every <= 0 {
		e.Every = 250 * time.Millisecond
	}
	if e.Progress == nil {
		e.Progress = func(Progress) {}
	}
	switch {
	case len(e.Workload) == 0:
		return errors.New("there is no prompt to send")
	case len(e.Scenarios) == 0:
		return errors.New("there is no scenario to play")
	}
	for _, s := range e.Scenarios {
		if s.limit() < 0 || s.limit() == 0 && !(s.Rate > 0) {
			return fmt.Errorf("scenario %q lets no request through", s.Name())
		}
	}
	return nil
}

// request is the i-th prompt as it is sent now.
func (e *experiment) request(i int) load.Request {
	p := e.Workload[i]
	q := load.Request{Model: e.Model, Prompt: p.Text, MaxTokens: p.OutputTokens, IgnoreEOS: !e.StopAtEOS}
	if e.KeepCache {
		return q
	}
	e.mu.Lock()
	e.salted++
	salt := fmt.Sprintf("%s%06x", e.nonce, e.salted)
	e.mu.Unlock()
	// The cache compares from the beginning, block by block, so a beginning of its own is enough.
	q.Prompt = salt + " " + q.Prompt
	if e.result.CacheSalt {
		q.CacheSalt = salt
	}
	return q
}

// warmUp makes the first requests: one that finds out whether the server takes a cache_salt, and the others together, so that
// it has seen a batch.
func (e *experiment) warmUp(ctx context.Context) error {
	since := time.Now()
	told := func(done, failed int) {
		e.Progress(Progress{Repeats: e.Repeats, Done: done, Of: e.WarmUp, Failed: failed, Since: since})
	}
	told(0, 0)
	e.result.CacheSalt = !e.KeepCache
	first := e.Asker.Complete(ctx, e.request(0))
	var said *load.StatusError
	if e.result.CacheSalt && errors.As(first.Err, &said) && (said.Status == http.StatusBadRequest || said.Status == http.StatusUnprocessableEntity) {
		e.result.CacheSalt = false
		first = e.Asker.Complete(ctx, e.request(0))
	}
	if first.Err != nil {
		return first.Err
	}
	told(1, 0)
	more := min(e.WarmUp-1, len(e.Workload))
	if more == 0 {
		return nil
	}
	limit := 1
	for _, s := range e.Scenarios {
		limit = max(limit, s.limit())
	}
	r := runner{
		asker: e.Asker, request: e.request, n: more, tolerated: e.Tolerated,
		scenario: Scenario{Kind: Continuous, Concurrency: limit}, ended: func(done, failed int) { told(1+done, failed) },
	}
	_, err := r.play(ctx)
	return err
}

// run plays one scenario once and looks on.
func (e *experiment) run(ctx context.Context, s Scenario, repeat int) (Run, error) {
	before := count(ctx, e.Pages)
	p := Progress{Scenario: &s, Repeat: repeat, Repeats: e.Repeats, Of: len(e.Workload), Since: time.Now()}
	e.Progress(p)
	r := runner{
		asker: e.Asker, request: e.request, scenario: s, n: len(e.Workload), tolerated: e.Tolerated, seed: e.Seed + uint64(repeat),
		ended: func(done, failed int) {
			p.Done, p.Failed = done, failed
			e.Progress(p)
		},
	}
	stop := watching(ctx, e.Server, e.GPU, e.Every)
	run, err := r.play(ctx)
	run.Repeat, run.Seen = repeat, stop()
	run.Seen.counted(before, count(ctx, e.Pages), len(run.Asked)-run.Failed)
	return run, err
}
