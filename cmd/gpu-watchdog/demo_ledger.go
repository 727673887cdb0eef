package main

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// ledger keeps what the watchdog saw of the day, in pod time.
type ledger struct {
	scale scale
	// gaps are the idle times that ended with work; idle is the present one.
	gaps []costmodel.Gap
	idle time.Duration
	// threshold is T as it was last chosen, and quote what it was chosen by.
	threshold time.Duration
	quote     watchdog.Quote
	// stopAt is the time of day of the first stop verdict, 0 for none.
	stopAt time.Duration
}

// take adds one view. came is how many people have just come, if somebody has.
func (l *ledger) take(v *loop.View, at time.Duration, came int) {
	d := v.Decision
	if d.Activity == watchdog.Busy && l.idle > 0 {
		l.gaps = append(l.gaps, costmodel.Gap{Idle: l.idle, Wanted: came})
	}
	l.idle = l.scale.pod(d.Idle)
	l.quote = l.scale.quote(d.Quote)
	if d.Threshold.Known {
		l.threshold = l.scale.pod(d.Threshold.Value).Round(time.Second) // it went to real time and back
	}
	if d.Verdict == watchdog.Stop && l.stopAt == 0 {
		l.stopAt = at
	}
}
