package watchdog

import (
	"strings"
	"time"
)

// evidence words each kind of source for the decision line.
func (r *Rules) evidence(n State, s Snapshot, srv servers) Evidence {
	e := Evidence{
		VLLM:    "absent",
		GPU:     n.GPU.word(s.GPU.State, r),
		Sockets: n.Sockets.word(s.Sockets.State, r),
		Host:    Track{}.word(s.Host.State, r),
	}
	if r.CPUBusy > 0 {
		e.Host = n.Host.word(cpuState(s), r)
	}
	for i, state := range n.Servers {
		word := "failed"
		switch reading := s.Servers[i]; {
		case reading.Ready() && !reading.EngineSeries && !reading.HTTPSeries:
			word = "absent"
		case state.Track.dropped(r.BrokenLimit):
			word = "dropped"
		case state.Ready && state.Track.FailedFor == 0:
			word = "ok"
		case state.foreign(r):
			word = "absent"
		}
		e.VLLM = worse(e.VLLM, word)
	}
	return e
}

// worse orders the words of several servers: a failure shows before a drop, a drop before good news.
func worse(a, b string) string {
	const order = "absent ok dropped failed"
	if strings.Index(order, b) > strings.Index(order, a) {
		return b
	}
	return a
}

// oneSource follows how long a single source has carried the evidence alone.
func (r *Rules) oneSource(p, n State, s Snapshot, srv servers, w window) time.Duration {
	count := 0
	for _, ok := range []bool{srv.alive+srv.skipped > 0, n.GPU.Worked, n.Sockets.Worked, r.CPUBusy > 0 && n.Host.Worked} {
		if ok {
			count++
		}
	}
	if count != 1 || w.loading {
		return 0
	}
	return p.OneSourceFor + s.Elapsed
}
