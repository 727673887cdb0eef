package watchdog

import (
	"fmt"
	"time"
)

// ruling is what one rule says when it applies.
type ruling struct {
	verdict Verdict
	because []Because
	// until is when the rule ends by itself, counted from now; unknown where it does not.
	until Maybe[time.Duration]
	act   bool
	// keeps: an announced stop stays announced under this rule.
	keeps bool
	// stopIn is when a stop is due at the earliest; unknown where none is in sight.
	stopIn Maybe[time.Duration]
}

// judged is all that the rules look at: the state after this window, and what the window was.
type judged struct {
	State
	snapshot Snapshot
	window   window
}

// order is the order of the rules: the first that applies wins. Each returns nil where it does not apply.
var order = []struct {
	name string
	rule func(*Rules, judged) *ruling
}{
	{"cannot act", (*Rules).cannotAct},
	{"caps", (*Rules).caps},
	{"hold", (*Rules).hold},
	{"work", (*Rules).work},
	{"keep hours", (*Rules).keepHours},
	{"minimum runtime", (*Rules).minRuntime},
	{"terminal", (*Rules).terminal},
	{"broken", (*Rules).broken},
	{"unknown", (*Rules).unknown},
	{"no saving", (*Rules).noSaving},
	{"final look", (*Rules).finalLook},
	{"idle below the warning", (*Rules).belowWarning},
	{"warning", (*Rules).warning},
	{"threshold reached", (*Rules).reached},
}

// RuleOrder names the rules in their order, for the README and its test.
func RuleOrder() []string {
	names := make([]string, 0, len(order))
	for _, o := range order {
		names = append(names, o.name)
	}
	return names
}

// cannotAct holds whatever the pod does, because nothing could come of a stop now.
func (r *Rules) cannotAct(j judged) *ruling {
	hold := func(code Reason, detail string) *ruling {
		return &ruling{because: []Because{{Code: code, Detail: detail}}}
	}
	// An attempt was announced, so its next try needs no second warning.
	wait := func(code Reason, detail string, until Maybe[time.Duration]) *ruling {
		return &ruling{because: []Because{{Code: code, Detail: detail}}, until: until, keeps: true}
	}
	switch a := j.Attempt; {
	case j.snapshot.StartID == "":
		return hold(NotArmed, "the identity of this start is unknown")
	case j.snapshot.Pod.Locked.Or(false):
		return hold(TargetRefused, "the provider says that this pod is locked")
	case j.snapshot.Pod.Refused != "":
		return hold(TargetRefused, j.snapshot.Pod.Refused)
	case r.Refused != "":
		return hold(TargetRefused, r.Refused)
	case !r.Armed:
		return hold(NotArmed, r.Unarmed)
	case j.snapshot.RevertedUntil.After(j.snapshot.At):
		return &ruling{because: []Because{{Code: StopReverted, Detail: j.snapshot.Reverted}}, until: Known(j.snapshot.RevertedUntil.Sub(j.snapshot.At))}
	case a.Phase == StopAsked:
		return wait(StopUnproven, "the stop is being asked for", Maybe[time.Duration]{})
	case a.Phase == StopAccepted:
		return wait(StopUnproven, fmt.Sprintf("%s accepted the stop %s ago; its proof is our own end", a.Target, a.For.Round(time.Second)), Known(proofWait-a.For))
	case a.Phase == StopUnprovenWait && a.RetryIn > 0:
		return wait(StopUnproven, fmt.Sprintf("%s accepted the stop, and yet this pod runs; next try in %s", a.Target, a.RetryIn.Round(time.Second)), Known(a.RetryIn))
	case a.Phase == StopRefused && a.RetryIn > 0:
		return wait(StopBackoff, fmt.Sprintf("%s refused the stop (%s); next try in %s", a.Target, a.Detail, a.RetryIn.Round(time.Second)), Known(a.RetryIn))
	}
	return nil
}

// work holds while work was seen or a server is loading.
func (r *Rules) work(j judged) *ruling {
	if j.Activity != Busy {
		return nil
	}
	return &ruling{}
}

// broken stops a pod that serves nobody and will not by itself, once it has stood still for its limit.
func (r *Rules) broken(j judged) *ruling {
	if j.Activity != Broken {
		return nil
	}
	if !j.window.still {
		return &ruling{} // somebody does something about it
	}
	return r.timed(j, j.BrokenFor, r.brokenLimit(j.window.because[0].Code))
}

// unknown holds while it cannot be said whether the pod works, for BLIND_LIMIT where there is one.
func (r *Rules) unknown(j judged) *ruling {
	switch {
	case j.Activity != Unknown:
		return nil
	case r.BlindLimit <= 0:
		return &ruling{keeps: true}
	}
	out := r.timed(j, j.UnknownFor, r.BlindLimit)
	if out.verdict != Hold {
		out.because = []Because{{Code: BlindLimit, Detail: fmt.Sprintf("for %s of %s it could not be said whether this pod works", j.UnknownFor.Round(time.Second), r.BlindLimit)}}
	}
	out.keeps = true
	return out
}

// timed is a rule that stops when a time of its own is over: it holds, then it warns, then it stops. A warning that something took
// back must stand for its time again.
func (r *Rules) timed(j judged, passed, limit time.Duration) *ruling {
	lead := r.lead(limit)
	if left := limit - passed; left > lead {
		return &ruling{until: Known(left - lead), stopIn: Known(left)}
	}
	if left := max(limit-passed, lead-j.WarnedFor); left > 0 {
		return &ruling{verdict: Warn, until: Known(left), stopIn: Known(left)}
	}
	return &ruling{verdict: Stop, act: j.Attempt.Phase != StopWouldHave, stopIn: Known(time.Duration(0)), keeps: true}
}

// noSaving holds where a stopped hour is not cheaper than a running one.
func (r *Rules) noSaving(j judged) *ruling {
	q := j.snapshot.Quote
	if !q.NoSaving {
		return nil
	}
	return &ruling{because: []Because{{Code: NoSaving, Detail: fmt.Sprintf("a stopped hour saves %.4f $", q.SavingUSDPerHour.Or(0))}}}
}

// finalLook holds a final look back while anybody waits for an answer, however briefly.
func (r *Rules) finalLook(j judged) *ruling {
	if !j.snapshot.Final || j.window.owed == "" {
		return nil
	}
	return &ruling{because: []Because{{Code: ConnectionActive, Detail: j.window.owed}}, keeps: true}
}

// lead is how long before the threshold a stop is announced.
func (r *Rules) lead(threshold time.Duration) time.Duration { return min(r.WarnBefore, threshold/2) }

// belowWarning holds while idleness is shorter than the threshold less the time of the warning.
func (r *Rules) belowWarning(j judged) *ruling {
	at := j.Threshold - r.lead(j.Threshold)
	if j.Idle >= at {
		return nil
	}
	return &ruling{
		because: []Because{{Code: BelowThreshold, Detail: fmt.Sprintf("idle for %s of %s", j.Idle.Round(time.Second), j.Threshold.Round(time.Second))}},
		until:   Known(at - j.Idle),
		stopIn:  Known(j.Threshold - j.Idle),
	}
}

// warning announces the stop until the warning has stood for its time.
func (r *Rules) warning(j judged) *ruling {
	lead := r.lead(j.Threshold)
	left := max(j.Threshold-j.Idle, lead-j.WarnedFor)
	if left <= 0 {
		return nil
	}
	return &ruling{
		verdict: Warn,
		because: []Because{{Code: Warning, Detail: fmt.Sprintf("idle for %s; the stop comes in %s unless work does", j.Idle.Round(time.Second), left.Round(time.Second))}},
		until:   Known(left),
		stopIn:  Known(left),
	}
}

// reached stops.
func (r *Rules) reached(j judged) *ruling {
	out := &ruling{
		verdict: Stop,
		because: []Because{{Code: ThresholdReached, Detail: fmt.Sprintf("idle for %s, and %s pays", j.Idle.Round(time.Second), j.Threshold.Round(time.Second))}},
		act:     j.Attempt.Phase != StopWouldHave,
		stopIn:  Known(time.Duration(0)),
		keeps:   true,
	}
	if j.QuietRun < 2 {
		out.verdict, out.act = Hold, false
		out.because = []Because{{Code: BelowThreshold, Detail: "the last two known windows must be quiet"}}
	}
	return out
}
