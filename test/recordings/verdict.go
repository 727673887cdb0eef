package main

import (
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// history is what the readings of one server have shown so far.
type history struct {
	last *watchdog.Server
	// loadTracked: /load was above 0 once, so that its 0 means something.
	loadTracked bool
	// frontends is the number of API servers; /load is one server's own count.
	frontends int

	state watchdog.State
	tick  uint64
}

// judge puts one reading into a word and lets the core decide on it; the two must not contradict each other.
func (h *history) judge(row *row, s watchdog.Server) {
	row.verdict = h.verdict(s)
	d := h.decide(s)
	row.decided = d.Activity.String() + " " + string(d.Reason())
	if !slices.Contains(agrees(row.verdict, h.tick == 1), d.Activity) {
		row.mismatch("the core decides %s (%s)", row.decided, d.Reasons[0].Detail)
	}
}

// agrees lists the activities that fit a verdict. The first look has no baseline and is never quiet, and a server that
// has never been ready is loading.
func agrees(verdict string, first bool) []watchdog.Activity {
	switch {
	case strings.HasSuffix(verdict, "busy"):
		return []watchdog.Activity{watchdog.Busy}
	case first, verdict == "reset":
		return []watchdog.Activity{watchdog.Unknown, watchdog.Busy}
	case verdict == "dead", verdict == "refused":
		return []watchdog.Activity{watchdog.Broken}
	case verdict == "hung?":
		return []watchdog.Activity{watchdog.Busy, watchdog.Quiet} // busy for BROKEN_LIMIT, then server_stalled
	}
	return []watchdog.Activity{watchdog.Quiet}
}

// decide takes the reading as a tick of 5 s, with no other source beside it.
func (h *history) decide(s watchdog.Server) watchdog.Decision {
	const interval = 5 * time.Second
	rules := watchdog.Rules{
		CheckInterval: interval, StartupTimeout: 30 * time.Minute, BrokenLimit: 30 * time.Minute, Armed: true,
		Threshold: func(watchdog.Quote) time.Duration { return time.Hour },
	}
	h.tick++
	snapshot := watchdog.Snapshot{
		Tick: h.tick, At: time.Unix(0, 0).Add(time.Duration(h.tick) * interval), Elapsed: interval, StartID: "recording",
		Servers: []watchdog.Server{s},
		GPU:     watchdog.GPU{State: watchdog.SourceAbsent}, Sockets: watchdog.Sockets{State: watchdog.SourceAbsent}, Host: watchdog.Host{State: watchdog.SourceAbsent},
	}
	var d watchdog.Decision
	h.state, d = rules.Decide(h.state, snapshot)
	return d
}

// verdict puts one reading into a word, with the reading before it to compare with. It is a reader's aid for this script;
// decisions are made in package watchdog.
func (h *history) verdict(s watchdog.Server) string {
	defer func() {
		h.loadTracked = h.loadTracked || s.Load.Or(0) > 0
		if s.Outcome == watchdog.OutcomeAnswered {
			h.last = &s
		}
	}()
	switch {
	case s.Outcome == watchdog.OutcomeRefused:
		return "refused"
	case s.Outcome == watchdog.OutcomeTimeout:
		return "timed out"
	case s.Health == watchdog.HealthDead:
		return "dead"
	case s.Outcome != watchdog.OutcomeAnswered:
		return "unreadable"
	case h.last != nil && fell(*h.last, s):
		return "reset"
	}
	moved := h.last != nil && moved(*h.last, s)
	open := gauges(s) > 0
	if open && !moved && h.last != nil && h.loadTracked && h.frontends == 1 && s.Load.Known && s.Load.Value == 0 {
		return "hung?"
	}
	busy := open || moved || s.Load.Or(0) > 0
	switch {
	case !s.EngineSeries && !s.HTTPSeries:
		return "no evidence"
	case !s.EngineSeries && busy:
		return "no vllm series, busy"
	case !s.EngineSeries:
		return "no vllm series, idle"
	case busy:
		return "busy"
	case asleep(s):
		return "asleep"
	case untouched(s):
		return "no request yet"
	}
	return "idle"
}

func gauges(s watchdog.Server) float64 {
	total := 0.0
	for _, e := range s.Engines {
		total += e.Running.Or(0) + e.Waiting.Or(0)
	}
	return total
}

func asleep(s watchdog.Server) bool {
	for _, e := range s.Engines {
		if e.Awake.Or(true) {
			return false
		}
	}
	return len(s.Engines) > 0
}

// untouched: no engine has counted anything.
func untouched(s watchdog.Server) bool {
	for _, e := range s.Engines {
		for _, c := range e.Counters {
			if c.Or(0) > 0 {
				return false
			}
		}
	}
	return true
}

// counters lists a reading's counters under stable names.
func counters(s watchdog.Server) map[string]float64 {
	all := map[string]float64{"http": s.HTTPRequests.Or(0)}
	for _, e := range s.Engines {
		for i, c := range e.Counters {
			all[e.ID+"/"+counterNames[i]] = c.Or(0)
		}
	}
	return all
}

var counterNames = [watchdog.NumCounters]string{
	"prompt_tokens", "generation_tokens", "finished_requests", "first_tokens", "inter_tokens", "engine_steps", "preemptions",
	"prefix_queries",
}

// moved says that a counter rose. One that was not there before counts from 0: the V0 engine shows a series when it is
// first touched.
func moved(before, after watchdog.Server) bool {
	old := counters(before)
	for name, v := range counters(after) {
		if v > old[name] {
			return true
		}
	}
	return false
}

func fell(before, after watchdog.Server) bool {
	now := counters(after)
	for name, v := range counters(before) {
		if now[name] < v {
			return true
		}
	}
	return before.StartedAt != after.StartedAt
}
