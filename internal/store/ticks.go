package store

import (
	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// ticks turns ticks into rows. Looks that decide alike are one row, which is written when it begins, when it ends, and each
// minute in between; so a kill loses a minute of sameness at most, and never a change.
type ticks struct {
	stretch stretch
	minute  minute
	meter   meter
	attempt watchdog.Attempt
}

// Record takes one published tick. It never waits for a disk.
func (s *Store) Record(v *loop.View) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || v == nil {
		return
	}
	s.ticks.pass(s, v)
}

// ColdStart keeps a measured start; the same start may be told again when its first token is known.
func (s *Store) ColdStart(start costmodel.Start) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	at := start.At.UnixMicro()
	s.put(event{
		key:       eventKey{"starts " + string(start.Kind), at, 0},
		statement: "INSERT INTO starts (ready_at, kind, ready_ns, first_token_ns) VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET ready_ns = excluded.ready_ns, first_token_ns = excluded.first_token_ns",
		args:      []any{at, string(start.Kind), int64(start.Ready), int64(start.FirstToken)},
	})
}

func (t *ticks) pass(s *Store, v *loop.View) {
	now := v.Decision.At.Unix() / 60
	changed := t.stretch.ticks == 0 || keyOf(v) != t.stretch.key
	if t.minute.ticks > 0 && (changed || now != t.minute.minute) {
		t.flush(s)
	}
	if changed {
		t.stretch = newStretch(v)
	}
	if t.minute.ticks == 0 || now != t.minute.minute {
		t.minute = minute{minute: now, firstTick: v.Decision.Tick}
	}
	t.stretch.add(v)
	t.minute.add(v, t.meter.pass(v))
	if changed {
		s.put(t.stretch.event(s.run))
	}
	if a := v.Attempt; step(a) != step(t.attempt) {
		s.put(attemptEvent(s.run, v))
		t.attempt = a
	}
}

// flush hands the present stretch and minute on as they are now. The caller holds the store's mutex.
func (t *ticks) flush(s *Store) {
	if t.minute.ticks == 0 {
		return
	}
	s.put(t.stretch.event(s.run))
	s.put(t.minute.event(s.run))
}

// attemptStep is what makes a step of an attempt: its clocks do not.
type attemptStep struct {
	phase                watchdog.StopPhase
	tries                int
	unproven             bool
	target, rung, detail string
}

func step(a watchdog.Attempt) attemptStep {
	return attemptStep{a.Phase, a.Tries, a.Unproven, a.Target, a.Rung, a.Detail}
}

var phaseNames = map[watchdog.StopPhase]string{
	watchdog.StopNone: "none", watchdog.StopAsked: "asked", watchdog.StopAccepted: "accepted", watchdog.StopUnprovenWait: "unproven",
	watchdog.StopRefused: "refused", watchdog.StopWouldHave: "would_have",
}

func attemptEvent(run int64, v *loop.View) event {
	a := v.Attempt
	return event{
		key: eventKey{"attempts", run, int64(v.Decision.Tick)},
		statement: `INSERT INTO attempts (run, tick, at, phase, tries, target, rung, detail, retry_in_ns, unproven) VALUES (?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT DO NOTHING`,
		args: []any{
			run, int64(v.Decision.Tick), v.Decision.At.UnixMicro(), phaseNames[a.Phase], a.Tries, a.Target, a.Rung, a.Detail,
			int64(a.RetryIn), a.Unproven,
		},
	}
}
