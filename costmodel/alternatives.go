package costmodel

import (
	"math"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Never is the threshold of a pod that is never stopped.
const Never = time.Duration(math.MaxInt64)

// Gap is one idle time of a pod, from the end of work to the moment at which somebody wanted the pod again.
type Gap struct {
	Idle time.Duration
	// Wanted is how many people then wanted it at once: each of them waits for a cold start where the pod was stopped.
	Wanted int
}

// Alternative is what one threshold would have cost over a list of gaps.
type Alternative struct {
	Threshold time.Duration
	Stops     int
	// Waited is how many people would have waited for a cold start.
	Waited int
	// Idle is the idle time that would have been paid for.
	Idle time.Duration
	// IdleUSD is Idle at the saving of a stopped hour, ColdStartUSD what the cold starts cost with the wait of people in
	// it, USD both together; unknown without a price.
	IdleUSD, ColdStartUSD, USD watchdog.Maybe[float64]
}

// Alternatives plays fixed thresholds over gaps that are known: a gap of at most the threshold is idled through, a longer
// one costs the threshold and a cold start (the ski rental of this package's policies, where T = B never pays more than
// twice what knowing the future would). It answers in the order of the thresholds. Gaps that are not positive are none; a
// threshold below zero counts as zero. q is the quote that held for all of it.
func Alternatives(gaps []Gap, q watchdog.Quote, thresholds []time.Duration) []Alternative {
	out := make([]Alternative, 0, len(thresholds))
	for _, t := range thresholds {
		a := Alternative{Threshold: max(t, 0)}
		for _, g := range gaps {
			a.Idle += min(max(g.Idle, 0), a.Threshold)
			if g.Idle > a.Threshold {
				a.Stops++
				a.Waited += g.Wanted
			}
		}
		if s := q.SavingUSDPerHour; s.Known {
			a.IdleUSD = watchdog.Known(s.Value * a.Idle.Hours())
		}
		if k := q.ColdStartUSD; k.Known {
			a.ColdStartUSD = watchdog.Known(k.Value * float64(a.Stops))
		}
		if a.IdleUSD.Known && a.ColdStartUSD.Known {
			a.USD = watchdog.Known(a.IdleUSD.Value + a.ColdStartUSD.Value)
		}
		out = append(out, a)
	}
	return out
}
