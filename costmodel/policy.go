package costmodel

import (
	"fmt"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// The policies by the names that POLICY takes.
const (
	BreakEven = "breakeven"
	Seed      = "seed"
	Fixed     = "fixed"
)

// Policy says how long idleness must last before a stop pays.
type Policy struct {
	// Name is one of BreakEven, Seed, Fixed.
	Name string
	// IdleLimit is the explicit limit: always used by Fixed, and by Seed where it is above 0.
	IdleLimit time.Duration
	// IdleMin and IdleMax clamp computed thresholds; IdleMax 0 means no upper bound.
	IdleMin, IdleMax time.Duration
	// IdleMinSet says that IdleMin was asked for. The default of IdleMin does not bend Seed, whose threshold is a count
	// of checks by its own definition.
	IdleMinSet bool
	// CheckInterval is the distance of two looks; no threshold is below three of them.
	CheckInterval time.Duration
}

// Threshold is T, the idle time at which this policy stops.
//
// BreakEven plays T = B: it never pays more than twice what knowing the future would (Karlin et al. 1988). Seed counts
// checks: ⌈B ÷ CHECK_INTERVAL⌉ of them, for the bill alone (p = 0). Fixed plays IdleLimit.
func (p Policy) Threshold(q watchdog.Quote) time.Duration {
	t := p.IdleLimit
	switch p.Name {
	case BreakEven:
		t = p.clamp(q.BreakEven, p.IdleMin)
	case Seed:
		if p.IdleLimit == 0 {
			lower := time.Duration(0)
			if p.IdleMinSet {
				lower = p.IdleMin
			}
			t = p.clamp(time.Duration(p.SeedChecks(q))*p.CheckInterval, lower)
		}
	}
	return max(t, 3*p.CheckInterval)
}

// SeedChecks is the number of idle checks after which policy Seed stops: ⌈B ÷ CHECK_INTERVAL⌉ for the bill alone.
func (p Policy) SeedChecks(q watchdog.Quote) int64 {
	if p.CheckInterval <= 0 {
		return 0
	}
	return int64((q.BillBreakEven + p.CheckInterval - 1) / p.CheckInterval)
}

// Describe says in words what the policy does at this quote, for the start banner.
func (p Policy) Describe(q watchdog.Quote) string {
	t := p.Threshold(q)
	switch {
	case p.Name == Fixed, p.Name == Seed && p.IdleLimit > 0:
		return fmt.Sprintf("%s: stop after %s idle", p.Name, t)
	case p.Name == Seed:
		return fmt.Sprintf("seed: stop after %d idle checks of %s (%s)", p.SeedChecks(q), p.CheckInterval, t)
	default:
		return fmt.Sprintf("breakeven: stop after %s idle, when idling has cost what a cold start costs", t.Round(time.Second))
	}
}

func (p Policy) clamp(t, lower time.Duration) time.Duration {
	t = max(t, lower)
	if p.IdleMax > 0 {
		t = min(t, p.IdleMax)
	}
	return t
}
