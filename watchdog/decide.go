package watchdog

import (
	"slices"
	"time"
)

// Decide takes the state before a window and the snapshot that ends it, and returns the state after it and what was
// decided. It is pure: the same arguments give the same results, and neither argument is changed.
func (r *Rules) Decide(p State, s Snapshot) (State, Decision) {
	p.StartID = s.StartID
	if !p.Based || s.Elapsed < 0 {
		s.Elapsed = 0 // nothing is known of the time before a first look
	}
	n, w := r.observe(p, s)
	n = r.advance(n, s, w)
	n = r.capped(n, s)
	n, overtaken := r.attempt(n, s, w.activity)
	n.Based = true

	j := judged{State: n, snapshot: s, window: w}
	var rule ruling
	for _, o := range order {
		if out := o.rule(r, j); out != nil {
			rule = *out
			break
		}
	}
	n = n.announce(rule)
	n.Acted = rule.act

	d := Decision{
		Tick: s.Tick, At: s.At, Final: s.Final,
		Verdict: rule.verdict, Act: rule.act, Capped: n.CapDue, Tail: w.tail,
		Activity: n.Activity, ActivitySince: n.ActivitySince,
		Reasons: slices.Concat(overtaken, rule.because, w.because, w.notes),
		Idle:    n.Idle, UnknownFor: n.UnknownFor, Quote: s.Quote,
		Running: w.running, Waiting: w.waiting, TokensDelta: w.tokens,
		ConnectionBytes: w.traffic.bytes, Peer: w.traffic.peer, Owed: w.owed,
		GPUPercentMax: w.gpus.max, GPUThresholdPercent: w.gpus.threshold,
		CPUCores: s.Host.CPUCores, Evidence: w.evidence,
		Alarms: append(w.alarms, n.Attempt.alarms()...),
	}
	date(d.Reasons, p.Since, s.At)
	n.Since = d.Reasons
	if n.Threshold > 0 {
		d.Threshold = Known(n.Threshold)
	}
	if rule.until.Known {
		d.Until = Known(s.At.Add(rule.until.Value))
	}
	if rule.stopIn.Known {
		d.StopAt = Known(s.At.Add(rule.stopIn.Value))
	}
	return n, d
}

// date gives each reason the instant since which it has held without a break.
func date(reasons, before []Because, at time.Time) {
	for i := range reasons {
		reasons[i].Since = at
		for _, b := range before {
			if b.Code == reasons[i].Code {
				reasons[i].Since = b.Since
				break
			}
		}
	}
}

// announce keeps the warning: it begins when its rule is first reached and lapses under every rule that holds but does
// not keep it, so that a hold which ends in a long idle time leads to a new warning, never to a stop at once.
func (n State) announce(rule ruling) State {
	switch {
	case rule.verdict == Warn:
		n.Warned = true
	case !rule.keeps:
		return n.lapse()
	}
	return n
}

// alarms of the attempt: a pod that was to be stopped and still costs money.
func (a Attempt) alarms() []Alarm {
	var out []Alarm
	if a.Unproven {
		out = append(out, Alarm{AlarmUnproven, "a stop of this pod was accepted, and it still runs and costs money: look at the provider's console"})
	}
	if a.Refused {
		out = append(out, Alarm{AlarmRefused, "this pod should be stopped, and " + a.Target + " refuses: " + a.Detail})
	}
	return out
}
