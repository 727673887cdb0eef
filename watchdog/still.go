package watchdog

import (
	"fmt"
	"time"
)

// weighed is what is left of the soft signs of work after those that have stood still for too long.
type weighed struct {
	soft, notes []Because
	// owed is the first connection on which a final look holds.
	owed string
	// stalled: there were signs that no longer count.
	stalled bool
	// waits: requests stand still, as far as can be said, among those signs that count.
	waits bool
}

// weigh sorts the soft signs by the server that they are about, and drops those of a server on which nothing has moved for
// BrokenLimit. Each server has a time of its own, so that one that hangs does not make another's first request look
// hung too. In the final look an owed connection holds; on a stalled server only a fresh one does, whose request may not
// have moved anything yet.
func (r *Rules) weigh(n State, s Snapshot, srv servers, t traffic, hard bool, g gpus, c processors) (State, weighed) {
	var out weighed
	for i := range n.Servers {
		port, soft, answered := s.Servers[i].Port, srv.findings[i].soft, false
		for _, sign := range t.soft {
			if sign.port == port {
				soft, answered = append(soft, sign.because), answered || sign.answered
			}
		}
		out.waits = out.waits || len(soft) > 0 && !answered
		state := &n.Servers[i]
		state.StillFor = r.still(*state, n, s, srv.findings[i], hard, len(soft) > 0, g, c)
		stalled := len(soft) > 0 && state.StillFor >= r.BrokenLimit
		if stalled {
			out.stalled = true
			out.notes = append(out.notes, Because{Code: ServerStalled, Detail: fmt.Sprintf("%s, but nothing has moved for %s, neither counters nor GPU nor CPU",
				soft[0].Detail, state.StillFor.Round(time.Second))})
		} else {
			out.soft = append(out.soft, soft...)
		}
		fresh := owedLimit
		if srv.findings[i].quiet {
			fresh = firstMove
		}
		for _, o := range t.owing {
			if o.port == port && (!stalled || o.age < fresh) {
				out.owed = first(out.owed, o.who)
			}
		}
		if stalled {
			out.owed = first(out.owed, srv.findings[i].arrived)
		}
	}
	for i := range n.Ports {
		n.Ports[i].StillFor = r.weighPort(n.Ports[i], n, s, t, hard, g, c, &out)
	}
	return n, out
}

// weighPort does so for a port of which only sockets are known. Bytes on it always count, and show that it does not stand still; what
// stops counting is a client that has been owed an answer for BrokenLimit, or seems to be: a page that is left open may have had the
// last word.
func (r *Rules) weighPort(p PortState, n State, s Snapshot, t traffic, hard bool, g gpus, c processors, out *weighed) time.Duration {
	var waiting, moving []Because
	answered := false
	for _, sign := range t.soft {
		switch {
		case sign.port != p.Port:
		case sign.moved:
			moving, answered = append(moving, sign.because), answered || sign.answered
		default:
			waiting = append(waiting, sign.because)
		}
	}
	out.waits = out.waits || len(waiting) > 0 && !answered
	still := r.still(ServerState{StillFor: p.StillFor}, n, s, finding{}, hard || len(moving) > 0, len(waiting) > 0, g, c)
	stalled := len(waiting) > 0 && still >= r.BrokenLimit
	out.soft = append(out.soft, moving...)
	if stalled {
		out.stalled = true
		out.notes = append(out.notes, Because{Code: ServerStalled, Detail: fmt.Sprintf("%s, but nothing has moved for %s, neither bytes nor GPU nor CPU", waiting[0].Detail, still.Round(time.Second))})
	} else {
		out.soft = append(out.soft, waiting...)
	}
	for _, o := range t.owing {
		if o.port == p.Port && (!stalled || o.age < firstMove) {
			out.owed = first(out.owed, o.who)
		}
	}
	return still
}

// still follows how long soft signs of work have stood still: no counter of the server moved, and GPU and CPU, where they
// can be read, were quiet. Where none of page, GPU and CPU can be read, nothing says that flowing bytes are no work.
//
// While a witness that works does not answer, nothing is said about progress; and while the server or the socket table does
// not answer, a window without any such sign says nothing either way: a hung server that is scraped now and then must not
// begin anew with each scrape.
func (r *Rules) still(state ServerState, n State, s Snapshot, f finding, hard, soft bool, g gpus, c processors) time.Duration {
	switch {
	case hard, c.computes():
		return 0
	case soft && (cpuFailed(s) || g.missing != "" && s.GPU.State != SourceAbsent && n.GPU.required(r)):
		return state.StillFor
	case soft && !f.quiet && !g.quiet && !c.load.Known:
		if f.skipped || f.failed && state.Track.required(r) {
			return state.StillFor
		}
		return 0
	case soft:
		return state.StillFor + s.Elapsed
	case f.failed, f.skipped, s.Sockets.State == SourceFailed:
		return state.StillFor
	}
	return 0
}
