package watchdog

import (
	"fmt"
	"time"
)

// attempt lets one window pass over the stop that was asked for, and takes in what the shell reports of it. It returns
// the reason overtaken when work came after the provider had accepted.
func (r *Rules) attempt(n State, s Snapshot, activity Activity) (State, []Because) {
	a := n.Attempt
	a.For += s.Elapsed
	a.RetryIn = max(0, a.RetryIn-s.Elapsed)
	phase := s.Stop.Phase
	if !n.Acted && a.Phase == StopNone && phase != StopAccepted {
		// The answer to an attempt that work has ended. Only a yes still matters: it may end this pod.
		phase = StopNone
	}
	switch phase {
	case StopAsked:
		a = a.counted()
		a.Phase, a.For, a.RetryIn = StopAsked, 0, 0
	case StopAccepted:
		a = a.counted()
		a.Phase, a.For, a.RetryIn, a.Refused = StopAccepted, 0, 0, false
		a.Target, a.Rung, a.Detail = s.Stop.Target, s.Stop.Rung, s.Stop.Detail
	case StopRefused:
		a = a.counted()
		a.Phase, a.For, a.Refused = StopRefused, 0, true
		a.RetryIn = max(retryDelay(a.Tries), s.Stop.RetryAfter)
		a.Target, a.Rung, a.Detail = s.Stop.Target, s.Stop.Rung, s.Stop.Detail
	case StopWouldHave:
		a = a.counted()
		a.Phase, a.For = StopWouldHave, 0
		a.Target, a.Detail = s.Stop.Target, s.Stop.Detail
	}
	if a.Phase == StopAccepted && a.For >= proofWait {
		// The provider said yes and we live on under the same identity: that stop failed.
		a.Unproven = true
		a.RetryIn = retryDelay(a.Tries)
		a.Phase = StopUnprovenWait
	}
	var because []Because
	if activity == Busy && !n.CapDue {
		if a.Phase == StopAccepted || a.Phase == StopUnprovenWait {
			because = append(because, Because{Code: Overtaken, Detail: fmt.Sprintf("work came after %s had accepted the stop", a.Target), Since: s.At})
			a.Unproven = true
		}
		// The gap is over, and with it the attempt; only the alarm stays until a stop is proven.
		a = Attempt{Unproven: a.Unproven}
	}
	n.Attempt = a
	return n, because
}

// counted counts a try once, when it is first heard of: its asking may be answered within the same window, and so never be
// reported by itself.
func (a Attempt) counted() Attempt {
	if a.Phase != StopAsked {
		a.Tries++
	}
	return a
}

// retryDelay is the wait after the given number of tries: 5 s, doubling, at most 5 min.
func retryDelay(tries int) time.Duration {
	d := retryFirst
	for range max(0, tries-1) {
		if d *= 2; d >= retryMost {
			return retryMost
		}
	}
	return d
}
