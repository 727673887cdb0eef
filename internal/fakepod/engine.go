package fakepod

import (
	"context"
	"errors"
	"sync"
	"time"
)

// errDied is what a request gets whose engine died under it.
var errDied = errors.New("EngineCore encountered an issue")

// work is one request as the engine sees it.
type work struct {
	promptTokens, maxTokens int
	// emit hands out one token; an error means that the client is gone.
	emit func(n int) error
}

// engine plays vLLM's EngineCore: it keeps the counters that the page shows, and takes its time for each token. Its
// gauges are those of its last step, as in the real one: a request of one token never shows in them, and after the last
// request was aborted no step comes that would correct them if stick was called.
type engine struct {
	prefill, perToken time.Duration
	// onLoad is told how many requests run, in order, onBurst that one came and went between two steps. Neither may call
	// back.
	onLoad  func(running int)
	onBurst func()

	seats chan struct{}
	died  chan struct{}

	mu               sync.Mutex
	running, waiting int
	stuck            bool
	dead             bool
	// resumed is closed while the engine works, and replaced by an open channel while it hangs.
	resumed chan struct{}
	stats   stats
}

func newEngine(maxRunning int, prefill, perToken time.Duration) *engine {
	resumed := make(chan struct{})
	close(resumed)
	return &engine{
		prefill: prefill, perToken: perToken,
		onLoad: func(int) {}, onBurst: func() {},
		seats: make(chan struct{}, maxRunning), died: make(chan struct{}), resumed: resumed, stats: newStats(),
	}
}

// do runs one request to its end, and returns how many tokens were emitted. An error means that it was cut short: by the
// client, which is counted nowhere, or by the engine's death.
func (e *engine) do(ctx context.Context, w work) (tokens int, err error) {
	began := time.Now()
	if w.maxTokens <= 1 {
		return e.burst(ctx, w, began)
	}
	if err := e.admit(ctx); err != nil {
		return 0, err
	}
	defer e.leave()
	queued := time.Since(began)
	if err := e.pass(ctx, e.prefill); err != nil {
		return 0, err
	}
	first := time.Now()
	last := first
	for n := range w.maxTokens {
		if n > 0 {
			if err := e.pass(ctx, e.perToken); err != nil {
				return n, err
			}
		}
		now := time.Now()
		e.step(func(s *stats) {
			if n == 0 {
				s.begin(w.promptTokens, now.Sub(began))
			} else {
				s.token(now.Sub(last))
			}
		})
		last = now
		if err := w.emit(n); err != nil {
			return n + 1, err
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.finish(w.promptTokens, w.maxTokens, queued, first.Sub(began)-queued, last.Sub(first))
	return w.maxTokens, nil
}

// burst is a request of one token: it is over within one step, so no gauge ever shows it.
func (e *engine) burst(ctx context.Context, w work, began time.Time) (int, error) {
	if err := e.pass(ctx, 0); err != nil {
		return 0, err
	}
	e.onBurst()
	e.mu.Lock()
	e.stats.begin(w.promptTokens, time.Since(began))
	e.stats.finish(w.promptTokens, 1, 0, time.Since(began), 0)
	e.mu.Unlock()
	return 1, w.emit(0)
}

// admit waits for a seat among the running requests.
func (e *engine) admit(ctx context.Context) error {
	e.count(0, 1)
	select {
	case e.seats <- struct{}{}:
		e.count(1, -1)
		return nil
	case <-ctx.Done():
		e.count(0, -1)
		return ctx.Err()
	case <-e.died:
		e.count(0, -1)
		return errDied
	}
}

func (e *engine) leave() {
	<-e.seats
	e.count(-1, 0)
	e.step(func(*stats) {})
}

func (e *engine) count(running, waiting int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running += running
	e.waiting += waiting
	if running > 0 {
		e.stuck = false // a new request's steps set the gauges right
	}
	if running != 0 {
		e.onLoad(e.running) // under the lock, so that the last one told is the last one true
	}
}

// step lets the gauges follow, unless they stick or the engine is gone.
func (e *engine) step(note func(*stats)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	note(&e.stats)
	if !e.stuck && !e.dead {
		e.stats.running, e.stats.waiting = e.running, e.waiting
	}
}

// pass lets time pass for a request, longer while the engine hangs.
func (e *engine) pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	case <-e.died:
		return errDied
	}
	e.mu.Lock()
	resumed := e.resumed
	e.mu.Unlock()
	select {
	case <-resumed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.died:
		return errDied
	}
}

// stick freezes the gauges until the next request begins.
func (e *engine) stick() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stuck = true
}

// hang stops every request where it stands, or lets them go on.
func (e *engine) hang(on bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.resumed:
		if on {
			e.resumed = make(chan struct{})
		}
	default:
		if !on {
			close(e.resumed)
		}
	}
}

// die ends the engine for good; its gauges stay as they were.
func (e *engine) die() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.dead {
		e.dead = true
		close(e.died)
	}
}

func (e *engine) isDead() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.dead
}
