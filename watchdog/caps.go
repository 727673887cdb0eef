package watchdog

import (
	"fmt"
	"time"
)

// limit is a cap, and how much of it is left.
type limit struct {
	code   Reason
	left   time.Duration
	detail string
}

// nearest is the cap that is reached first; none where none is set, or nothing is known of what it bounds.
func (r *Rules) nearest(s Snapshot) Maybe[limit] {
	var out Maybe[limit]
	consider := func(l limit) {
		if !out.Known || l.left < out.Value.left {
			out = Known(l)
		}
	}
	if r.MaxRuntime > 0 && s.RunFor.Known {
		consider(limit{MaxRuntime, r.MaxRuntime - s.RunFor.Value, fmt.Sprintf("this start has lasted %s of %s", s.RunFor.Value.Round(time.Second), r.MaxRuntime)})
	}
	if price := s.Quote.PriceUSDPerHour; r.MaxSpendPerDay > 0 && s.SpentTodayUSD.Known && price.Or(0) > 0 {
		hours := (r.MaxSpendPerDay - s.SpentTodayUSD.Value) / price.Value
		const most = 48 * time.Hour // a day is over before
		left := most
		if hours < most.Hours() {
			left = time.Duration(hours * float64(time.Hour))
		}
		consider(limit{MaxSpend, left, fmt.Sprintf("it has cost %.2f $ of %.2f $ today (UTC)", s.SpentTodayUSD.Value, r.MaxSpendPerDay)})
	}
	return out
}

// capped lets one window pass over the caps: a cap is announced for WARN_BEFORE, then what is in flight gets drainMost to end.
func (r *Rules) capped(n State, s Snapshot) State {
	l := r.nearest(s)
	if !l.Known || l.Value.left > r.WarnBefore {
		n.CapNear, n.CapDue, n.CapFor, n.DrainFor = false, false, 0, 0
		return n
	}
	if n.CapNear {
		n.CapFor += s.Elapsed
	}
	n.CapNear = true
	reached := l.Value.left <= 0 && n.CapFor >= r.WarnBefore
	switch {
	case !reached:
		n.DrainFor = 0
	case n.Activity == Busy, n.Activity == Unknown:
		n.DrainFor += s.Elapsed
	}
	// Once it is due it stays so: work that comes then is not what the cap was to spare.
	ended := n.Activity == Quiet || n.Activity == Broken
	n.CapDue = n.CapDue || reached && (ended || n.DrainFor >= drainMost)
	return n
}

// caps stops a pod that has run for as long, or cost as much, as it may, whatever it does.
func (r *Rules) caps(j judged) *ruling {
	if !j.CapNear {
		return nil
	}
	l := r.nearest(j.snapshot).Value
	out := &ruling{because: []Because{{Code: l.code, Detail: l.detail}}, keeps: true}
	if j.CapDue {
		out.verdict, out.act, out.stopIn = Stop, j.Attempt.Phase != StopWouldHave, Known(time.Duration(0))
		return out
	}
	left := max(l.left, r.WarnBefore-j.CapFor)
	if left <= 0 {
		left = drainMost - j.DrainFor
		out.because[0].Detail += fmt.Sprintf("; what is in flight has %s to end", max(0, left).Round(time.Second))
	}
	out.verdict, out.until, out.stopIn = Warn, Known(max(0, left)), Known(max(0, left))
	return out
}
