package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// explain says in words, and in pod time, why a decision was taken. before is how long the pod had been idle at the look
// before it.
func (n *narrator) explain(v *loop.View, before time.Duration) string {
	d := v.Decision
	text := n.because(v)
	if d.Final {
		text = "final look: " + text
	}
	if d.Activity == watchdog.Busy && before > 0 && d.Reason() != watchdog.ServerLoading {
		text += fmt.Sprintf("; %s of idleness are over", span(before))
	}
	return text
}

func (n *narrator) because(v *loop.View) string {
	d, l := v.Decision, n.ledger
	detail := ""
	if len(d.Reasons) > 0 {
		detail = d.Reasons[0].Detail
	}
	switch d.Reason() {
	case watchdog.ServerLoading:
		return "vLLM is starting, which is work"
	case watchdog.MinRuntime:
		return fmt.Sprintf("idle, but ready for less than %s", span(n.scale.pod(n.minRuntime)))
	case watchdog.RequestsInFlight:
		if standsStill(d) && n.still >= stillLooks {
			return fmt.Sprintf("%s, but nothing moves any more: held for %s at most", running(d), span(n.scale.pod(n.brokenLimit)))
		}
		return running(d) + n.gpuToo(d)
	case watchdog.TokensMoved:
		if !n.read {
			return "since vLLM was last asked: " + detail
		}
		text := detail
		if d.Running.Known && d.Running.Value == 0 && d.Waiting.Or(0) == 0 {
			text += ", which no gauge showed"
		}
		return text + n.gpuToo(d)
	case watchdog.GPUActive:
		text := fmt.Sprintf("the GPU reached %.0f %%, work begins at %.0f %%", d.GPUPercentMax.Or(0), d.GPUThresholdPercent)
		if asked(v) {
			return text + "; vLLM's page shows no work"
		}
		return text + ": vLLM need not be asked"
	case watchdog.ConnectionActive:
		return "a client waits for its answer, or is being sent it: " + d.Peer
	case watchdog.BelowThreshold:
		return fmt.Sprintf("idle %s of %s%s", span(l.idle), span(l.threshold), n.stalled(d))
	case watchdog.Warning:
		return fmt.Sprintf("idle %s; the stop comes in %s unless work does", span(l.idle), span(n.scale.pod(d.StopIn().Or(0))))
	case watchdog.ThresholdReached:
		cost := watchdog.Maybe[float64]{Value: l.quote.SavingUSDPerHour.Value * l.idle.Hours(), Known: l.quote.SavingUSDPerHour.Known}
		return fmt.Sprintf("idle %s; idling has cost %s, a cold start costs %s", span(l.idle), usd(cost), usd(l.quote.ColdStartUSD))
	case watchdog.StopUnproven:
		if a := v.Attempt; a.Phase == watchdog.StopAccepted {
			return fmt.Sprintf("%s said yes by %s, which proves nothing yet: the proof is our own end", a.Target, a.Rung)
		}
	case watchdog.NoSaving:
		return fmt.Sprintf("idle, but a stopped hour saves %s", usd(l.quote.SavingUSDPerHour))
	case watchdog.NoBaseline:
		return "nothing to compare with yet"
	case watchdog.ClockStep:
		return "the looks come too late: this machine is busy"
	}
	return detail
}

func running(d watchdog.Decision) string {
	return fmt.Sprintf("%.0f running, %.0f waiting", d.Running.Or(0), d.Waiting.Or(0))
}

// gpuToo adds what the GPU says beside.
func (n *narrator) gpuToo(d watchdog.Decision) string {
	if !given(d, watchdog.GPUActive) {
		return ""
	}
	return fmt.Sprintf("; gpu_active too, %.0f %%", d.GPUPercentMax.Or(0))
}

// stalled names what was not taken for work any more.
func (n *narrator) stalled(d watchdog.Decision) string {
	if !given(d, watchdog.ServerStalled) {
		return ""
	}
	return fmt.Sprintf("; server_stalled: %s, but nothing has moved for %s", running(d), span(n.scale.pod(n.brokenLimit)))
}

func given(d watchdog.Decision, code watchdog.Reason) bool {
	return slices.ContainsFunc(d.Reasons, func(b watchdog.Because) bool { return b.Code == code })
}

// whyNot says why a day ended without a stop.
func (n *narrator) whyNot(v *loop.View) string {
	switch d := v.Decision; {
	case v.Verdict == "would_stop":
		return "it would have been stopped, but for WATCHDOG_DRY_RUN"
	case d.Activity == watchdog.Busy:
		return "the pod is at work"
	case d.Activity == watchdog.Quiet && d.Threshold.Known && d.Reason() != watchdog.NoSaving:
		return fmt.Sprintf("idle %s of %s", span(n.ledger.idle), span(n.ledger.threshold))
	default:
		return string(d.Reason())
	}
}
