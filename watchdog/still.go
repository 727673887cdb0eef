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
}

// weigh sorts the soft signs by the server that they are about, and drops those of a server on which nothing has moved for
// BrokenLimit. Each server has a time of its own, so that one that hangs does not make another's first request look
// hung too. In the final look an owed connection holds; on a stalled server only a fresh one does, whose request may not
// have moved anything yet.
func (r *Rules) weigh(n State, s Snapshot, srv servers, t traffic, hard bool, g gpus) ([]ServerState, weighed) {
	var out weighed
	served := make(map[uint16]bool, len(s.Servers))
	for i := range n.Servers {
		port, soft := s.Servers[i].Port, srv.findings[i].soft
		served[port] = true
		for _, sign := range t.soft {
			if sign.port == port {
				soft = append(soft, sign.because)
			}
		}
		state := &n.Servers[i]
		state.StillFor = r.still(*state, n, s, srv.findings[i], hard, len(soft) > 0, g)
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
	for _, sign := range t.soft {
		if !served[sign.port] {
			out.soft = append(out.soft, sign.because)
		}
	}
	for _, o := range t.owing {
		if !served[o.port] {
			out.owed = first(out.owed, o.who)
		}
	}
	return n.Servers, out
}

// still follows how long soft signs of work have stood still: no counter of the server moved, and GPU and CPU, where they
// can be read, were quiet. Where none of page, GPU and CPU can be read, nothing says that flowing bytes are no work.
//
// While a witness that works does not answer, nothing is said about progress; and while the server or the socket table does
// not answer, a window without any such sign says nothing either way: a hung server that is scraped now and then must not
// begin anew with each scrape.
func (r *Rules) still(state ServerState, n State, s Snapshot, f finding, hard, soft bool, g gpus) time.Duration {
	cpu := s.Host.CPUCores
	switch {
	case hard, cpu.Known && cpu.Value >= quietCPU:
		return 0
	case soft && (cpuFailed(s) || g.missing != "" && s.GPU.State != SourceAbsent && n.GPU.required(r)):
		return state.StillFor
	case soft && !f.quiet && !g.quiet && !cpu.Known:
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

// cpuFailed: the CPU should have been read in this window, and was not.
func cpuFailed(s Snapshot) bool { return !s.Host.CPUCores.Known && s.Host.State != SourceAbsent }
