package batching

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

// Asker asks for one completion; load.Client is one.
type Asker interface {
	Complete(ctx context.Context, q load.Request) load.Record
}

// Run is one scenario played once.
type Run struct {
	Scenario Scenario
	// Repeat counts from 1.
	Repeat int
	// Began is when the run began, Wall how long it took to the end of the last request.
	Began time.Time
	Wall  time.Duration
	// Asked are the requests that came to an end, in the order of the workload; those that were cut when the run ended early, or
	// never began, are Missing.
	Asked   []Asked
	Missing int
	// Failed of Asked did not go well.
	Failed int
	// Seen is what the server's page and the GPU showed meanwhile.
	Seen Seen
}

// errEnough ends a run.
var errEnough = errors.New("too many requests failed")

// runner plays one run.
type runner struct {
	asker    Asker
	request  func(i int) load.Request
	scenario Scenario
	n        int
	// tolerated failures do not end the run.
	tolerated int
	seed      uint64
	// ended is told how many requests have ended and failed; calls do not overlap.
	ended func(done, failed int)

	began time.Time
	mu    sync.Mutex
	asked []Asked // by index; a zero Arrived marks one that never began
	done  int
	fail  int
	first error
	stop  context.CancelCauseFunc
}

// play plays the run to its end. Its error says why it ended early: too many failures, or ctx; the run holds what there is then too.
func (r *runner) play(parent context.Context) (Run, error) {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	r.stop = cancel
	r.asked = make([]Asked, r.n)
	r.began = time.Now()
	switch {
	case r.scenario.Kind == Static:
		for from := 0; from < r.n && ctx.Err() == nil; from += r.scenario.Batch {
			to := min(r.n, from+r.scenario.Batch)
			r.together(ctx, from, to, to-from)
		}
	case r.scenario.Rate > 0:
		r.paced(ctx)
	default:
		r.together(ctx, 0, r.n, r.scenario.limit())
	}
	run := Run{Scenario: r.scenario, Began: r.began, Wall: time.Since(r.began), Failed: r.fail}
	for i := range r.asked {
		a := &r.asked[i]
		if a.Arrived.IsZero() || a.Err != nil && ctx.Err() != nil && errors.Is(a.Err, context.Canceled) {
			run.Missing++
			continue
		}
		run.Asked = append(run.Asked, *a)
	}
	switch {
	case parent.Err() != nil:
		return run, fmt.Errorf("interrupted: %w", context.Cause(parent))
	case errors.Is(context.Cause(ctx), errEnough):
		return run, fmt.Errorf("%d of %d requests failed, the first one with: %w", r.fail, r.done, r.first)
	}
	return run, nil
}

// together asks for the prompts from..to, limit of them at a time, all of them there from now on.
func (r *runner) together(ctx context.Context, from, to, limit int) {
	arrived := time.Now()
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(limit, to-from) {
		workers.Go(func() {
			for i := range next {
				r.ask(ctx, i, arrived)
			}
		})
	}
hand:
	for i := from; i < to; i++ {
		select {
		case next <- i:
		case <-ctx.Done():
			break hand
		}
	}
	close(next)
	workers.Wait()
}

// paced asks for each prompt at its moment, however many are under way.
func (r *runner) paced(ctx context.Context) {
	var askers sync.WaitGroup
	defer askers.Wait()
	for i, at := range arrivals(r.n, r.scenario.Rate, r.seed) {
		timer := time.NewTimer(time.Until(r.began.Add(at)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		arrived := time.Now()
		askers.Go(func() { r.ask(ctx, i, arrived) })
	}
}

func (r *runner) ask(ctx context.Context, i int, arrived time.Time) {
	if ctx.Err() != nil {
		return
	}
	record := r.asker.Complete(ctx, r.request(i))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[i] = Asked{record, arrived}
	if record.Err != nil && ctx.Err() != nil && errors.Is(record.Err, context.Canceled) {
		return
	}
	r.done++
	if record.Err != nil {
		if r.fail++; r.first == nil {
			r.first = record.Err
		}
		if r.fail > r.tolerated {
			r.stop(errEnough)
		}
	}
	r.ended(r.done, r.fail)
}
