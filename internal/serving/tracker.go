package serving

import (
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
)

const (
	// slotsPerWindow is into how many slots a rolling window is divided.
	slotsPerWindow = 24
	// maxServers bounds the servers that are followed.
	maxServers = 64
	// maxBoundsKept bounds the sets of bucket bounds that are kept to be shared.
	maxBoundsKept = 64
)

// Tracker makes rolling windows of the readings of any number of servers. It is not safe for concurrent use.
type Tracker struct {
	spans   []time.Duration
	servers map[string]*tracked
	origin  time.Time
	bounds  [][]float64
	differ  differ
	between sums
}

// tracked is one server.
type tracked struct {
	// last is the last good reading, next the memory for another.
	last, next *vllm.Serving
	lastAt     time.Time
	rings      []ring
	resets     int
}

// NewTracker makes a tracker with a rolling window of each span.
func NewTracker(spans ...time.Duration) *Tracker {
	return &Tracker{spans: spans, servers: map[string]*tracked{}}
}

// Read takes a reading of the server of that name, made at the time at; it keeps nothing of r. Only its monotonic part counts
// where at has one, but for the server's age. It returns why nothing was counted since the reading before: empty where something
// was, and at a first reading.
func (t *Tracker) Read(server string, at time.Time, r *vllm.Serving) (discarded string) {
	if !r.Good {
		if r.Gone {
			t.Lost(server)
		}
		return ""
	}
	s := t.server(server, at)
	if s == nil {
		return "there are too many servers"
	}
	t.keep(r, s.next)
	elapsed := at.Sub(s.lastAt)
	first := s.lastAt.IsZero()
	s.last, s.next, s.lastAt = s.next, s.last, at
	if first {
		return ""
	}
	if elapsed <= 0 {
		return "the clock was set back"
	}
	if why := otherStart(s.next, s.last); why != "" {
		s.resets++
		return why
	}
	t.differ.differ(s.next, s.last, elapsed, at, &t.between)
	for i := range s.rings {
		s.rings[i].add(at.Sub(t.origin), &t.between)
	}
	return ""
}

// Lost says that nobody listened at the server's address: what is read there next is another start, whatever it has counted.
func (t *Tracker) Lost(server string) {
	if s := t.servers[server]; s != nil {
		s.lastAt = time.Time{}
	}
}

func (t *Tracker) server(name string, at time.Time) *tracked {
	if s := t.servers[name]; s != nil {
		return s
	}
	if len(t.servers) == maxServers {
		return nil
	}
	if t.origin.IsZero() {
		t.origin = at
	}
	s := &tracked{last: &vllm.Serving{}, next: &vllm.Serving{}}
	for _, span := range t.spans {
		s.rings = append(s.rings, newRing(span, slotsPerWindow))
	}
	t.servers[name] = s
	return s
}

// keep copies a reading into memory of ours. Bounds are the same on every page, and are shared.
func (t *Tracker) keep(r, into *vllm.Serving) {
	engines := slices.Grow(into.Engines[:0], len(r.Engines))[:len(r.Engines)]
	*into = *r
	into.Engines = engines
	for i := range r.Engines {
		histograms := engines[i].Histograms
		engines[i] = r.Engines[i]
		for f := range histograms {
			from := &r.Engines[i].Histograms[f]
			histograms[f] = vllm.Histogram{State: from.State, Bounds: t.shared(from.Bounds), Counts: append(histograms[f].Counts[:0], from.Counts...), Sum: from.Sum}
		}
		engines[i].Histograms = histograms
	}
}

func (t *Tracker) shared(bounds []float64) []float64 {
	for _, known := range t.bounds {
		if slices.Equal(known, bounds) {
			return known
		}
	}
	if len(t.bounds) == maxBoundsKept {
		t.bounds = t.bounds[:0]
	}
	own := slices.Clone(bounds)
	t.bounds = append(t.bounds, own)
	return own
}

// Window is what the rolling window of that span holds at a time: one of the spans that NewTracker was given; any other is empty.
func (t *Tracker) Window(span time.Duration, now time.Time) Window {
	i := slices.Index(t.spans, span)
	var all, one sums
	resets := 0
	if i >= 0 {
		for _, s := range t.servers {
			s.rings[i].total(now.Sub(t.origin), &one)
			all.addBeside(&one)
			resets += s.resets
		}
	}
	return Window{sums: all, Resets: resets}
}
