package serving

import (
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
)

const (
	// Now and Day are the windows that a running watchdog keeps.
	Now = 5 * time.Minute
	Day = 24 * time.Hour
	// recentRows is how many rows the window Now can hold, in 0.8 MB: 26 requests a second. Under more it is shorter.
	recentRows = 8_000
)

// Live is how requests are served on a running pod. Its methods may be called from several goroutines.
type Live struct {
	sla SLA

	mu      sync.Mutex
	tracker *Tracker
	recent  *recent
	gather  gatherer
	totals  totals
}

// NewLive makes one that has seen nothing. Rows come in since began; what was before is unknown, not idle.
func NewLive(s SLA, began time.Time) *Live {
	return &Live{sla: s, tracker: NewTracker(Now, Day), recent: newRecent(recentRows, began), totals: newTotals(s)}
}

// Read takes a reading of a server, as Tracker.Read does.
func (l *Live) Read(server string, at time.Time, r *vllm.Serving) (discarded string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tracker.Read(server, at, r)
}

// Rows takes rows that are safe on disk; a row that comes again soon counts once.
func (l *Live) Rows(rows []ingest.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range rows {
		if l.recent.add(r) {
			l.totals.add(r, l.sla)
		}
	}
}

// Summary is how requests were served in the window Now that ends at a time.
func (l *Live) Summary(now time.Time) Summary {
	l.mu.Lock()
	window := l.tracker.Window(Now, now)
	rows := l.gather.ofRows(l.recent.all(), l.recent.since(Now, now), now, l.sla)
	l.mu.Unlock()
	return Better(rows.Summary(l.sla), window.Summary(l.sla))
}

// Window is what the histograms say of one of the windows, Now or Day, that ends at a time.
func (l *Live) Window(span time.Duration, now time.Time) Window {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tracker.Window(span, now)
}

// Totals is what was counted in rows so far.
func (l *Live) Totals() Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Totals{Graded: l.totals.graded, TTFT: l.totals.ttft.cumulative(), PerOutputToken: l.totals.perToken.cumulative()}
}
