package watchdog

import (
	"fmt"
	"slices"
	"time"
)

// unbackedLimit: a gauge that says "running" beside a tracked /load of 0 is late for a step at most.
const unbackedLimit = 15 * time.Second

// finding is what one source says about one window.
type finding struct {
	// hard signs of work are never doubted; soft ones (gauges, owed connections, bytes that nothing explains) stop
	// counting when nothing has moved with them for BrokenLimit.
	hard, soft []Because
	// loading: a server is starting, in time.
	loading string
	// quiet: it answered, and positively saw no work.
	quiet bool
	// notes are reasons that explain a quiet window (sleeping, stalled).
	notes []Because
	// missing says why it cannot call the window quiet although it is required; empty where it can, or need not.
	missing string
	// baseline says why the counters could not be compared; empty where they could.
	baseline string
	// skipped: it was not asked. failed: it was ready once, was asked, and did not answer so that it could be read.
	skipped, failed bool
	// arrived says that more requests are in flight than at the last good reading; empty where that is not so.
	arrived string
	tokens  Maybe[float64]
}

// server reads one server's reading against what is remembered of it.
func (r *Rules) server(p ServerState, s Server, elapsed time.Duration, based bool) (ServerState, finding) {
	n, f := p, finding{}
	n.URL = s.URL
	if s.Outcome == OutcomeSkipped {
		f.skipped = true
		return n, f
	}
	refused := s.Outcome == OutcomeRefused
	// vLLM listens only once it is ready, so a page beside "the engine is dead" is of a server that was.
	n.Ready = p.Ready || s.Outcome == OutcomeAnswered && s.Health == HealthDead
	n.Down = n.Ready && (refused || s.Health == HealthDead)
	switch {
	case s.Ready():
		n.Track = Track{Worked: true}
		return r.readable(p, n, s, elapsed, based)
	case n.Down:
		n.Track = Track{Worked: true} // a dead server is knowledge, not a failed source
		n.Mark = ServerMark{}         // whatever answers there next is another start of it
		n.UnbackedFor = 0
	case p.Ready:
		f.failed = true
		n.Track = p.Track.follow(SourceFailed, elapsed)
		if !n.Track.dropped(r.BrokenLimit) {
			f.missing = fmt.Sprintf("%s: %s", s.URL, s.Detail)
		}
	default:
		n.Waited += elapsed
		n.Spoke = s.Outcome == OutcomeUnreadable || (p.Spoke && !refused)
		if n.Waited < r.StartupTimeout {
			f.loading = s.URL
			if !refused { // which is how a vLLM loads; anything else may be a mistake
				f.loading = worded(s)
			}
		}
	}
	return n, f
}

// worded names a server with what is wrong with it.
func worded(s Server) string {
	if s.Detail == "" {
		return s.URL
	}
	return s.URL + " (" + s.Detail + ")"
}

// readable reads a page that came whole from a server that lives.
func (r *Rules) readable(p, n ServerState, s Server, elapsed time.Duration, based bool) (ServerState, finding) {
	var f finding
	n.Ready, n.Spoke = true, true
	n.Mark = markOf(s)
	d := compare(p.Mark, s)
	f.tokens = d.tokens
	if d.reset {
		n.LoadSeen, n.UnbackedFor = false, 0
	}
	switch {
	case !p.Ready && (based || p.Waited > 0), p.Ready && !p.Mark.Set, d.restarted, d.reset && !based:
		f.loading = s.URL // it came up within this window, or while the watchdog was away
	case d.reset && d.requests:
		f.hard = append(f.hard, Because{Code: TokensMoved, Detail: "requests were served since the counters were reset"})
	case d.reset:
		f.baseline = s.URL + ": its counters were reset"
	case d.moved:
		f.hard = append(f.hard, Because{Code: TokensMoved, Detail: d.detail})
	}

	if load := s.Load.Or(0); load > 0 {
		n.LoadSeen = true
		f.soft = append(f.soft, Because{Code: RequestsInFlight, Detail: fmt.Sprintf("/load says %.0f", load)})
	}
	running, waiting, known := gauges(s)
	n.Mark.InFlight = max(running+waiting, s.Load.Or(0))
	if p.Mark.Set && n.Mark.InFlight > p.Mark.InFlight {
		f.arrived = fmt.Sprintf("%s has %.0f requests in flight, and had %.0f", s.URL, n.Mark.InFlight, p.Mark.InFlight)
	}
	unbacked := running > 0 && waiting == 0 && n.LoadSeen && s.Load == Known(0.0) && s.StartedAt > 0 && !d.moved
	if unbacked {
		n.UnbackedFor += elapsed
	} else {
		n.UnbackedFor = 0
	}
	switch {
	case unbacked && n.UnbackedFor >= unbackedLimit:
		f.notes = append(f.notes, Because{Code: ServerStalled,
			Detail: fmt.Sprintf("%.0f running, but /load has said 0 for %s and nothing moved: the engine hangs", running, n.UnbackedFor.Round(time.Second))})
	case running+waiting > 0:
		f.soft = append(f.soft, Because{Code: RequestsInFlight, Detail: fmt.Sprintf("%.0f running, %.0f waiting", running, waiting)})
	}
	if asleep(s) {
		f.notes = append(f.notes, Because{Code: ServerSleeping, Detail: s.URL + " is in sleep mode"})
	}
	n.MuteFor = 0
	if s.Mute {
		n.MuteFor = p.MuteFor + elapsed
	}
	switch {
	case s.Mute && n.MuteFor < r.BrokenLimit:
		f.missing = fmt.Sprintf("%s: its page came, and then no more: %s", s.URL, s.Detail)
	case s.EngineSeries:
		f.quiet = known
		if !known {
			f.missing = s.URL + ": its page has no gauges of requests, though it has served some"
		}
	default:
		f.quiet = s.HTTPSeries
	}
	return n, f
}

// gauges sums running and waiting over the engines. known is false where an engine shows no gauge, unless its counters
// are there and all at 0: then it has had no request yet, and a missing gauge means 0.
func gauges(s Server) (running, waiting float64, known bool) {
	known = true
	for _, e := range s.Engines {
		running += e.Running.Or(0)
		waiting += e.Waiting.Or(0)
		known = known && (e.Running.Known && e.Waiting.Known || untouched(e.Counters))
	}
	return running, waiting, known
}

func untouched(c Counters) bool {
	counted := false
	for _, v := range c {
		if v.Or(0) > 0 {
			return false
		}
		counted = counted || v.Known
	}
	return counted
}

func asleep(s Server) bool {
	for _, e := range s.Engines {
		if e.Awake.Or(true) {
			return false
		}
	}
	return len(s.Engines) > 0
}

func markOf(s Server) ServerMark {
	m := ServerMark{Set: true, StartedAt: s.StartedAt, HTTPRequests: s.HTTPRequests}
	for _, e := range s.Engines {
		m.Engines = append(m.Engines, EngineMark{ID: e.ID, Counters: e.Counters})
	}
	return m
}

// difference is what two good readings of one server say about the time between them.
type difference struct {
	moved, reset bool
	// restarted: another process answers, so the server was loaded in between.
	restarted bool
	// requests: after a reset, some counter is above 0.
	requests bool
	tokens   Maybe[float64]
	detail   string
}

// compare reads the counters against the last good reading. Any counter that fell, an engine that vanished, or another
// start stamp is a reset: then no difference means anything.
func compare(m ServerMark, s Server) difference {
	var d difference
	if !m.Set {
		return d
	}
	d.restarted = m.StartedAt > 0 && s.StartedAt > 0 && m.StartedAt != s.StartedAt
	d.reset = d.restarted || fell(m.HTTPRequests, s.HTTPRequests) || vanished(m.Engines, s.Engines)
	tokens, requests := 0.0, 0.0
	for _, e := range s.Engines {
		was := engineMark(m.Engines, e.ID)
		for c, now := range e.Counters {
			d.requests = d.requests || now.Or(0) > 0
			d.reset = d.reset || fell(was[c], now)
			delta := now.Or(0) - was[c].Or(0)
			if delta <= 0 {
				continue
			}
			d.moved = true
			switch Counter(c) {
			case PromptTokens, GenerationTokens:
				tokens += delta
			case FinishedRequests:
				requests += delta
			}
		}
	}
	http := s.HTTPRequests.Or(0) - m.HTTPRequests.Or(0)
	d.requests = d.requests || s.HTTPRequests.Or(0) > 0
	d.moved = (d.moved || http > 0) && !d.reset
	if !d.reset && len(s.Engines) > 0 {
		d.tokens = Known(tokens)
	}
	d.detail = fmt.Sprintf("%.0f tokens, %.0f finished requests, %.0f HTTP requests", tokens, requests, max(0, http))
	return d
}

func fell(was, now Maybe[float64]) bool { return was.Known && now.Known && now.Value < was.Value }

// vanished: an engine that was there is no longer on the page.
func vanished(marks []EngineMark, now []Engine) bool {
	return slices.ContainsFunc(marks, func(m EngineMark) bool {
		return !slices.ContainsFunc(now, func(e Engine) bool { return e.ID == m.ID })
	})
}

func engineMark(marks []EngineMark, id string) Counters {
	for _, m := range marks {
		if m.ID == id {
			return m.Counters
		}
	}
	return Counters{}
}
