package coldstart

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
)

const (
	// spansFlag is vLLM's flag for an endpoint of its spans.
	spansFlag = "--otlp-traces-endpoint"
	// rootSpan is the outermost span of a start, which ends last.
	rootSpan = "Overall Loading"
	// rootMost is how long the root may be on its way: spans are sent every half second here, and vLLM may be busy. Where none at
	// all has come, it is waited for firstMost only: this server sends none.
	rootMost, firstMost = 6 * time.Second, 1500 * time.Millisecond
	// listenMost is how long our own port may take.
	listenMost = 2 * time.Second
)

// spanSigns are the loading spans by which vLLM (0.19 and later) tells milestones.
var spanSigns = map[string][]struct {
	means startup.Milestone
	// begin: the span's begin counts, the first one; else its end, the last one.
	begin bool
}{
	"Load model":           {{startup.Loading, true}, {startup.Weights, false}},
	"Loading (CPU)":        {{startup.Loading, true}},
	"Loading (GPU)":        {{startup.Loading, true}},
	"Compile graph":        {{startup.Compiled, false}},
	"Inductor compilation": {{startup.Compiled, false}},
	"Warmup (CPU)":         {{startup.Compiled, false}},
	"Capture model":        {{startup.Captured, false}},
	"Prepare model":        {{startup.Engine, false}},
}

// Span is one of vLLM's own spans of its start.
type Span struct {
	Name string `json:"name"`
	// Process is engine_core, worker, or empty for the API server.
	Process string `json:"process,omitempty"`
	// Began is in seconds after exec.
	Began   float64 `json:"began_seconds"`
	Seconds float64 `json:"seconds"`
}

// spansOf orders the spans by their begin, and says which milestones they tell. exec is when the server was started.
func spansOf(phases []ingest.Phase, exec time.Time) (all []Span, found startup.Marks) {
	for _, p := range phases {
		began := p.Began.Sub(exec)
		took := time.Duration(p.Seconds * float64(time.Second))
		all = append(all, Span{Name: p.Name, Process: p.Process, Began: began.Seconds(), Seconds: p.Seconds})
		for _, s := range spanSigns[p.Name] {
			at := began + took
			if s.begin {
				at = began
			}
			switch {
			case at < 0: // of another start
			case s.begin && (!found[s.means].Seen || at < found[s.means].At):
				found[s.means] = startup.Mark{At: at, Source: startup.BySpan, Seen: true}
			case !s.begin:
				found.Last(s.means, at, startup.BySpan)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Compare(a.Began, b.Began) })
	return all, found
}

// receiver takes the spans of one start.
type receiver struct {
	server *ingest.Server
	stop   context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	phases map[string]ingest.Phase
	whole  chan struct{} // closed with the root span
	once   sync.Once
}

// receive begins to take spans on a free port of loopback. The caller must close it.
func receive(ctx context.Context) (*receiver, error) {
	r := &receiver{phases: map[string]ingest.Phase{}, whole: make(chan struct{}), ended: make(chan struct{})}
	r.server = ingest.New(ingest.Config{Listen: "127.0.0.1:0", Sink: r})
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(r.ended)
		_ = r.server.Run(ctx) // it is nil
	}()
	wait, cancel := context.WithTimeout(ctx, listenMost)
	defer cancel()
	if !poll(wait, func() bool { return r.server.Address() != "" }) {
		r.close()
		return nil, errors.New("take spans: no port of 127.0.0.1 could be had")
	}
	return r, nil
}

// endpoint is what vLLM is given.
func (r *receiver) endpoint() string { return "http://" + r.server.Address() }

// Add keeps loading spans; requests are those that we send ourselves.
func (r *receiver) Add(_ context.Context, b ingest.Batch) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range b.Phases {
		r.phases[p.Key] = p
		if p.Name == rootSpan {
			r.once.Do(func() { close(r.whole) })
		}
	}
	return nil
}

// await waits for the root span, for a while, and returns what has come.
func (r *receiver) await(ctx context.Context) []ingest.Phase {
	most := rootMost
	r.mu.Lock()
	if len(r.phases) == 0 {
		most = firstMost
	}
	r.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-r.whole:
	case <-timer.C:
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]ingest.Phase, 0, len(r.phases))
	for _, p := range r.phases {
		out = append(out, p)
	}
	return out
}

func (r *receiver) close() {
	r.stop()
	<-r.ended
}

// pollEvery is how often a condition is looked at.
const pollEvery = 50 * time.Millisecond

// poll waits until a condition holds; false where ctx ends first.
func poll(ctx context.Context, holds func() bool) bool {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		if holds() {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
	}
}
