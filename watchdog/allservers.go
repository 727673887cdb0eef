package watchdog

import (
	"time"
)

// servers is what all the servers say together.
type servers struct {
	hard, soft, notes []Because
	// findings has one entry for each server.
	findings []finding
	loading  string
	// baseline, missing and down name the first server whose counters could not be compared, whose answer is missing, and
	// that is down.
	baseline, missing, down string
	// alive servers answered quiet; skipped ones were not asked; unread ones may hide requests.
	alive, skipped, unread int
	// gone ones have nobody who listens, or are dead.
	gone int
	// downFor is how long ago the first of those that are down may have gone.
	downFor                  time.Duration
	running, waiting, tokens Maybe[float64]
	ports                    map[uint16]portKind
	// overdue servers never came; foreign ones answer, but not with a page of vLLM; garbled ones do so while they might
	// still be loading.
	overdue, foreign, garbled []string
}

// servers reads every server. One that lives makes the others' silence bearable: a server that refuses has no request in
// flight, so it is named in an alarm and does not keep the pod.
func (r *Rules) servers(p []ServerState, readings []Server, elapsed time.Duration, based bool) ([]ServerState, servers) {
	var out servers
	out.ports = make(map[uint16]portKind, len(readings))
	next := make([]ServerState, 0, len(readings))
	for _, s := range readings {
		was := serverState(p, s.URL)
		n, f := r.server(was, s, elapsed, based)
		n.ReadyFor = n.readyFor(was, s, elapsed)
		n.DownFor = 0
		if n.Down {
			n.DownFor = was.DownFor + elapsed
			if !based {
				n.DownFor = max(n.DownFor, r.StartupTimeout) // since when, nobody has seen
			}
			out.downFor = max(out.downFor, n.DownFor)
		}
		next = append(next, n)
		out.hard = append(out.hard, f.hard...)
		out.soft = append(out.soft, f.soft...)
		out.notes = append(out.notes, f.notes...)
		out.findings = append(out.findings, f)
		out.loading = first(out.loading, f.loading)
		out.missing = first(out.missing, f.missing)
		out.baseline = first(out.baseline, f.baseline)
		switch {
		case s.Outcome == OutcomeSkipped:
			out.skipped++
		case f.quiet:
			out.alive++
		case !n.Down && s.Outcome != OutcomeRefused:
			out.unread++
		}
		if s.Outcome == OutcomeRefused || s.Outcome == OutcomeAnswered && s.Health == HealthDead {
			out.gone++
		}
		if n.Down && s.Outcome != OutcomeSkipped {
			out.down = first(out.down, s.URL+": "+s.Detail)
		}
		switch {
		case n.foreign(r), s.Ready() && !s.EngineSeries && !s.HTTPSeries:
			out.foreign = append(out.foreign, worded(s))
		case !n.Ready && n.Waited >= r.StartupTimeout:
			out.overdue = append(out.overdue, worded(s))
		case !n.Ready && was.Spoke && n.Spoke:
			out.garbled = append(out.garbled, worded(s))
		}
		switch {
		case s.Port == 0:
		case n.Down && s.Outcome != OutcomeSkipped:
			out.ports[s.Port] = portDead
		case f.quiet, s.Outcome == OutcomeSkipped:
			out.ports[s.Port] = portReadable
		default:
			out.ports[s.Port] = portUnreadable
		}
		if s.Ready() {
			running, waiting, known := gauges(s)
			if known && s.EngineSeries {
				out.running = Known(out.running.Or(0) + running)
				out.waiting = Known(out.waiting.Or(0) + waiting)
			}
			if f.tokens.Known {
				out.tokens = Known(out.tokens.Or(0) + f.tokens.Value)
			}
		}
	}
	return next, out
}

func serverState(p []ServerState, url string) ServerState {
	for _, s := range p {
		if s.URL == url {
			return s
		}
	}
	return ServerState{URL: url}
}
