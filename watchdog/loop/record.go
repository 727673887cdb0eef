package loop

import (
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// remember hands to the memory what must outlive this process: at once where something changed, and in quiet at least
// every two seconds, so that a kill costs the idle clock no more than that.
func (l *Loop) remember(before watchdog.State, d watchdog.Decision, report watchdog.StopReport) {
	after, at := l.state, d.At
	changed := before.Activity != after.Activity || before.Threshold != after.Threshold ||
		before.Attempt.Phase != after.Attempt.Phase || before.EverReady != after.EverReady
	l.followStop(d, report)
	// The next look may come half an interval late, so this is the last in time where its age is near the bound.
	if changed || at.Sub(l.lastSave) >= saveEvery-l.Rules.CheckInterval*3/2 {
		l.keep(changed && before.Activity != after.Activity)
		l.lastSave = at
	}
}

// keep saves the whole memory; sync also waits (in the memory's own goroutine) for the disk.
func (l *Loop) keep(sync bool) {
	l.kept.Version, l.kept.Name = l.Identity.Version, l.Identity.Name
	l.kept.State = l.state
	l.kept.Spent = l.meter.keep()
	if l.kept.Began.StartID != "" {
		l.kept.Began.At = time.Now().Add(-l.age()).Round(0) // by the clock as it is set now
	}
	c := l.kept
	if l.kept.Stop != nil {
		stop := *l.kept.Stop
		c.Stop = &stop
	}
	l.Memory.Save(c, sync)
}

// followStop writes what became of a stop into its record. The core knows only of stops that it asked for itself, and forgets one that
// work has ended: of the others the report tells. The record of a stop that is about to be asked for is not touched: what the core says
// until then is about the try before.
func (l *Loop) followStop(d watchdog.Decision, report watchdog.StopReport) {
	stop := l.kept.Stop
	if stop == nil || stop.StartID != l.Identity.StartID || l.acting {
		return
	}
	a := l.state.Attempt
	result, detail, rung := stop.Result, stop.Detail, a.Rung
	switch {
	case d.Reason() == watchdog.Overtaken:
		result, detail = "overtaken", d.Reasons[0].Detail
	case a.Phase == watchdog.StopAccepted, a.Phase == watchdog.StopUnprovenWait:
		result, detail = "accepted", a.Detail
	case a.Phase == watchdog.StopRefused:
		result, detail = "refused", a.Detail
	case a.Phase == watchdog.StopWouldHave:
		result, detail = "would_stop", a.Detail
	case stop.Result != "asked":
	case report.Phase == watchdog.StopRefused:
		result, detail, rung = "refused", report.Detail, report.Rung
	case report.Phase == watchdog.StopWouldHave:
		result, detail, rung = "would_stop", report.Detail, report.Rung
	}
	l.endStop(result, detail, rung)
}

// endStop writes down and tells what became of the stop that is in the memory, where that is new.
func (l *Loop) endStop(result, detail, rung string) {
	stop := l.kept.Stop
	if stop == nil || result == stop.Result && detail == stop.Detail {
		return
	}
	next := *stop
	next.Result, next.Detail, next.Rung = result, detail, rung
	l.herald.stop(next)
	l.kept.Stop = &next
	l.Log.Info("stop attempt", zap.String("result", result), zap.String("target", next.Target), zap.String("rung", next.Rung),
		zap.String("detail", detail), zap.Float64("seconds_since_request", time.Since(next.RequestedAt).Seconds()))
	l.keep(true)
}

// proveLastStop: a stop that another start of this pod asked for is proven by our being here under a new identity.
func (l *Loop) proveLastStop() {
	stop := l.kept.Stop
	if stop == nil || stop.StartID == l.Identity.StartID || l.Identity.StartID == "" || stop.ProvenAt.Known {
		return
	}
	if stop.Result != "asked" && stop.Result != "accepted" {
		return
	}
	next := *stop
	next.ProvenAt = watchdog.Known(time.Now())
	l.kept.Stop = &next
	l.undone(next)
	l.Log.Info("the last stop is proven: this is a new start of the pod",
		zap.Time("requested_at", stop.RequestedAt), zap.String("target", stop.Target), zap.String("rung", stop.Rung),
		zap.String("reason", stop.Reason), zap.Float64("idle_seconds", stop.IdleFor.Seconds()),
		zap.Float64("break_even_seconds", stop.BreakEven.Seconds()), zap.Float64p("cold_start_cost_usd", stop.ColdStartUSD.Ptr()))
}

// lastStop words the record for the view.
func (l *Loop) lastStop() *LastStop {
	stop := l.kept.Stop
	if stop == nil {
		return nil
	}
	out := &LastStop{RequestedAt: stop.RequestedAt, Target: stop.Target, Result: stop.Result, Detail: stop.Detail}
	switch {
	case stop.ProvenAt.Known:
		out.Proof = "proven"
	case stop.Result == "accepted" && l.state.Attempt.Phase == watchdog.StopAccepted:
		out.Proof = "awaited"
	case stop.Result == "accepted", stop.Result == "overtaken":
		out.Proof = "unproven"
	}
	return out
}

var _ keeper = (*memory.Memory)(nil)
