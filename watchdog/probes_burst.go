package watchdog

import (
	"fmt"
	"strings"
	"time"
)

const (
	// burstSlack and burstToken bound the GPU's part in probes: once, and for each token that they put out. Two periods of sampling
	// come to it, by which a burst looks longer than it is.
	burstSlack = 2 * time.Second
	burstToken = 200 * time.Millisecond
	// mostBurstTokens keeps that far from overflow.
	mostBurstTokens = 10_000
	// burstTail is how long the samples of a window may still be of a probe in the window before it.
	burstTail = 2 * time.Second
)

// burst is what all servers together say about what the GPU may have been doing.
type burst struct {
	// sure: no server may have served unseen, and none served more than probes.
	sure bool
	// ended and pending: on some server probes came to their end, or are in flight.
	ended, pending bool
	// count sums them up.
	count ProbeCount
}

func (b burst) with(o outcomeOfAccount) burst {
	switch {
	case o.judgement == ProbesNone:
	case b.ended, b.pending:
		b.count = b.count.plus(o.count)
	default:
		b.count = o.count
	}
	b.sure = b.sure && !o.unsure
	b.ended = b.ended || o.judgement == ProbesAlone
	b.pending = b.pending || o.judgement == ProbesPending
	return b
}

// judge says whether the GPU's burst is the probes'. Somebody else's work on the GPU beside probes is longer than they are; where
// samples do not say how long it lasted, it passes once, if the GPU was quiet at the look before, and while all of the windows in
// which it lasts are together no longer than probes may be.
func (b burst) judge(g ProbeGPU, elapsed time.Duration, t ProbeTracker) ProbeJudgement {
	most := time.Duration(min(b.count.Output.Or(0), mostBurstTokens))*burstToken + burstSlack + 2*g.Period
	explained := t.GPUQuiet || t.GPUBusyFor+elapsed <= most
	if g.BusyFor.Known {
		explained = g.BusyFor.Value <= most
	}
	switch {
	case !g.Busy, !b.sure:
		return ProbesNone
	case b.pending && explained:
		return ProbesPending
	case b.ended && explained, !b.pending && !b.ended && t.Tail > 0 && g.Leading:
		return ProbesAlone
	}
	return ProbesNone
}

// detail words what does not count in a window.
func (b burst) detail(f ProbeFinding) string {
	var parts []string
	switch {
	case b.ended && b.count.Finished == 0:
		parts = append(parts, "the end of answers")
	case b.ended:
		parts = append(parts, fmt.Sprintf("%.0f requests of together %.0f prompt and %.0f output tokens", b.count.Finished, b.count.Prompt.Or(0), b.count.Output.Or(0)))
	}
	if f.Rows == ProbesAlone {
		parts = append(parts, "rows of requests")
	}
	if f.GPU == ProbesAlone {
		parts = append(parts, "the GPU's part in them")
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + ": no larger than PROBE_MAX_TOKENS"
}
