package loop

import (
	"fmt"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// herald tells people what they would want to know without reading the log, each thing once. It decides nothing, and does nothing
// where there is nobody to tell.
type herald struct {
	to            notifier
	name, startID string
	dry           bool
	// announced is the key of the stop that stands announced; empty where none does.
	announced string
	// told is what became of the stop that was told last: each retry of it is the same to people.
	told string
}

// key makes a message one of a kind: nothing else of this start happened at that moment.
func (h *herald) key(what string, at time.Time) string {
	return what + "@" + h.startID + "@" + at.UTC().Format(time.RFC3339)
}

func (h *herald) send(m notify.Message) {
	if h.dry {
		m.Text = "dry run: " + m.Text
	}
	h.to.Notify(m)
}

// decision announces a stop, and takes an announcement back. stands is the core's word that what was announced still is: it lapses
// under a rule that holds, but neither while nothing is known nor while the stop is being asked for.
func (h *herald) decision(d watchdog.Decision, stands bool) {
	if h.to == nil {
		return
	}
	because := ""
	if len(d.Reasons) > 0 {
		because = d.Reasons[0].Detail
	}
	fields := map[string]any{"reason": string(d.Reason()), "verdict": d.Verdict.String(), "activity": d.Activity.String(), "idle_seconds": d.Idle.Seconds()}
	if d.Verdict == watchdog.Warn || d.Activity == watchdog.Busy && !d.Capped {
		h.told = "" // another stop than the one before
	}
	switch {
	case d.Verdict == watchdog.Warn && h.announced == "":
		h.announced = h.key("stop", d.At)
		h.send(notify.Message{
			Kind: notify.StopAnnounced, Key: h.announced, At: d.At, StopAt: d.StopAt.Or(time.Time{}), Fields: fields,
			Text: fmt.Sprintf("this pod is about to be stopped (%s: %s); %s", d.Reason(), because, remedy(d.Reason())),
		})
	case d.Verdict == watchdog.Hold && h.announced != "" && !stands && !d.Capped:
		h.to.TakeBack(h.announced, fmt.Sprintf("the stop is off (%s: %s)", d.Reason(), because), fields)
		h.announced = ""
	}
}

// remedy is what keeps a pod whose stop is announced.
func remedy(r watchdog.Reason) string {
	if caps(r) {
		return "no hold keeps it off, only another cap"
	}
	return "gpu-watchdog hold 2h keeps it"
}

// stop tells what became of a stop that was asked for. That it was refused or is unproven an alarm tells; a person who asked for it
// is answered.
func (h *herald) stop(s memory.Stop) {
	if h.to == nil || s.Result == h.told && s.Reason != personStop {
		return
	}
	fields := map[string]any{"reason": s.Reason, "target": s.Target, "rung": s.Rung, "result": s.Result, "idle_seconds": s.IdleFor.Seconds()}
	m := notify.Message{Kind: notify.StopRequested, Key: h.key(s.Result, s.RequestedAt), Fields: fields}
	switch s.Result {
	case "accepted", "would_stop":
		m.Text = fmt.Sprintf("this pod is being stopped (%s): %s", s.Reason, s.Detail)
		h.announced = ""
	case "overtaken":
		m.Kind, m.Text = notify.StopUnproven, "work came after the stop was accepted; the stop may come nevertheless: "+s.Detail
	default:
		return
	}
	h.told = s.Result
	h.send(m)
}

// alarms tells what began and ended to ring with a decision.
func (h *herald) alarms(news rung, d watchdog.Decision) {
	if h.to == nil {
		return
	}
	for _, a := range news.raised {
		kind := notify.Alarm
		switch a.Code {
		case watchdog.AlarmUnproven:
			if d.Reason() == watchdog.Overtaken {
				continue // stop says it better
			}
			kind = notify.StopUnproven
		case watchdog.AlarmRefused:
			kind = notify.StopUnproven
		case watchdog.AlarmReverted:
			kind = notify.StopReverted
		}
		h.send(notify.Message{Kind: kind, Key: h.key(a.Code, a.since), At: a.since, Text: a.Text, Fields: map[string]any{"alarm": a.Code}})
	}
	for _, a := range news.over {
		h.send(notify.Message{Kind: notify.AlarmOver, Key: h.key(a.Code, a.since), Text: "over: " + a.Text, Fields: map[string]any{"alarm": a.Code}})
	}
}

// holdEnded tells that nobody holds the pod any more.
func (h *herald) holdEnded(last orders.Lease) {
	if h.to == nil {
		return
	}
	text := "the hold by " + last.By + " has ended"
	if last.Why != "" {
		text += " (" + last.Why + ")"
	}
	h.send(notify.Message{Kind: notify.HoldEnded, Key: h.key("hold", last.Until), At: last.Until, Text: text + "; this pod is stopped again when it idles"})
}
