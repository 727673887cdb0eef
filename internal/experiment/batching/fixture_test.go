package batching

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

// server is an Asker whose requests take as long as took says, in the test's own time.
type server struct {
	// took is how long the n-th request takes (from 0); bad is its error, nil for none.
	took func(n int, q load.Request) time.Duration
	bad  func(n int, q load.Request) error

	mu    sync.Mutex
	asked []load.Request
	spans []span
	under int
	most  int
}

// span is one request's time.
type span struct{ from, to time.Time }

var errAsked = errors.New("the server does not want to")

func (s *server) Complete(ctx context.Context, q load.Request) load.Record {
	s.mu.Lock()
	n := len(s.asked)
	s.asked = append(s.asked, q)
	s.spans = append(s.spans, span{from: time.Now()})
	s.under++
	s.most = max(s.most, s.under)
	s.mu.Unlock()
	r := load.Record{Start: time.Now()}
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.under--
		s.spans[n].to = time.Now()
	}()
	timer := time.NewTimer(s.took(n, q))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		r.Err = ctx.Err()
		return r
	}
	r.Elapsed = time.Since(r.Start)
	if s.bad != nil {
		if r.Err = s.bad(n, q); r.Err != nil {
			return r
		}
	}
	r.Latency, r.TTFT = r.Elapsed, r.Elapsed/4
	r.PromptTokens, r.OutputTokens = 10, q.MaxTokens
	for range q.MaxTokens - 1 {
		r.ITLs = append(r.ITLs, (r.Latency-r.TTFT)/time.Duration(q.MaxTokens-1))
	}
	return r
}

// prompts are n prompts of that many tokens each.
func prompts(n, tokens int) (all []Prompt) {
	for range n {
		all = append(all, Prompt{"a prompt", tokens})
	}
	return all
}

func always(d time.Duration) func(int, load.Request) time.Duration {
	return func(int, load.Request) time.Duration { return d }
}
