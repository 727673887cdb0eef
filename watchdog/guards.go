package watchdog

import (
	"fmt"
	"time"
)

// hold holds while somebody has asked for it, or has put the stop off.
func (r *Rules) hold(j judged) *ruling {
	people, at := j.snapshot.People, j.snapshot.At
	until, detail := people.PostponedUntil, "the stop was put off until "+people.PostponedUntil.UTC().Format(time.RFC3339)
	if people.HoldUntil.After(at) && !people.HoldUntil.Before(until) {
		until, detail = people.HoldUntil, "held by "+people.HoldBy
		if people.HoldWhy != "" {
			detail += ": " + people.HoldWhy
		}
	}
	if !until.After(at) {
		return nil
	}
	return r.guard(j, HoldLease, detail, until.Sub(at))
}

// keepHours holds within KEEP_HOURS.
func (r *Rules) keepHours(j judged) *ruling {
	if r.Keep == nil {
		return nil
	}
	until, keep := r.Keep(j.snapshot.At)
	if !keep {
		return nil
	}
	if until.IsZero() {
		return &ruling{because: []Because{{Code: InKeepHours, Detail: "no end within eight days"}}}
	}
	return r.guard(j, InKeepHours, "until "+until.Format("Mon 15:04 MST"), until.Sub(j.snapshot.At))
}

// terminal holds while somebody uses a terminal in the pod.
func (r *Rules) terminal(j judged) *ruling {
	people := j.snapshot.People
	used := people.TerminalUsed
	if !used.Known || used.Value >= r.TerminalGuard {
		return nil
	}
	return r.guard(j, TerminalActive, fmt.Sprintf("%s was used %s ago", people.Terminal, used.Value.Round(time.Second)), r.TerminalGuard-used.Value)
}

// minRuntime holds until the server has been ready for MIN_RUNTIME.
func (r *Rules) minRuntime(j judged) *ruling {
	if j.ReadyFor >= r.MinRuntime {
		return nil
	}
	return r.guard(j, MinRuntime, fmt.Sprintf("ready for %s of %s", j.ReadyFor.Round(time.Second), r.MinRuntime), r.MinRuntime-j.ReadyFor)
}

// guard holds for a time that is known.
func (r *Rules) guard(j judged, code Reason, detail string, left time.Duration) *ruling {
	return &ruling{because: []Because{{Code: code, Detail: detail}}, until: Known(left), stopIn: r.remaining(j, left)}
}

// remaining is the earliest stop where idleness counts on beside a guard that ends in left: after that guard a warning
// must still stand for its time.
func (r *Rules) remaining(j judged, left time.Duration) Maybe[time.Duration] {
	if j.Activity != Quiet || j.Threshold == 0 {
		return Maybe[time.Duration]{}
	}
	return Known(max(left+r.lead(j.Threshold), j.Threshold-j.Idle))
}
