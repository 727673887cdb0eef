package watchdog

import "time"

// advance lets one window pass over the idle clock. The clock is the sum of quiet windows and nothing else: busy sets it
// to zero, unknown and broken freeze it.
func (r *Rules) advance(n State, s Snapshot, w window) State {
	was := n.Activity
	if n.Activity != w.activity || n.ActivitySince.IsZero() {
		n.ActivitySince = s.At
	}
	n.Activity = w.activity
	if w.activity != Unknown {
		n.UnknownFor = 0
	}
	if w.activity != Broken {
		n.BrokenFor = 0
	}
	switch w.activity {
	case Busy:
		n.Idle, n.QuietRun, n.LastActive = 0, 0, s.At
		n.Threshold = 0
		n = n.lapse()
	case Quiet:
		n.Idle += s.Elapsed
		n.QuietRun = min(n.QuietRun+1, 2)
		n = r.choose(n, s.Quote)
		if was == Broken {
			n = n.lapse()
		}
		n = n.warnedOn(s.Elapsed)
	case Broken:
		if w.still {
			n.BrokenFor += s.Elapsed
		}
		n.QuietRun = 0
		if was != Broken {
			n = n.lapse()
		}
		n = n.warnedOn(s.Elapsed)
	case Unknown:
		n.UnknownFor += s.Elapsed
		if r.BlindLimit > 0 && n.UnknownFor > r.BlindLimit-r.lead(r.BlindLimit) {
			n = n.warnedOn(s.Elapsed)
		}
	}
	return n
}

// choose settles T at the first quiet window of a gap, and again when the break-even has moved by 5 % or a price came.
func (r *Rules) choose(n State, q Quote) State {
	moved := max(n.ChosenB-q.BreakEven, q.BreakEven-n.ChosenB)
	shifted := moved > 0 && float64(moved) >= float64(breakEvenShift*float64(n.ChosenB))
	if n.Threshold != 0 && !shifted && n.ChosenPriced == q.PriceUSDPerHour.Known {
		return n
	}
	n.Threshold = max(r.Threshold(q), 3*r.CheckInterval)
	n.ChosenB, n.ChosenPriced = q.BreakEven, q.PriceUSDPerHour.Known
	return n
}

// warnedOn lets an announced stop stand for longer.
func (n State) warnedOn(elapsed time.Duration) State {
	if n.Warned {
		n.WarnedFor += elapsed
	}
	return n
}

// lapse takes an announced stop back.
func (n State) lapse() State {
	n.Warned, n.WarnedFor = false, 0
	return n
}
