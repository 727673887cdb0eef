package loop

import (
	"context"
	"fmt"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// personStop is the reason of a stop that a person asked for. No rule gives it.
const personStop = "asked_for"

// Stop stops the pod because a person asks, without waiting for its threshold: after two looks which find nobody at work. With
// Rehearse it does all but that.
func (l *Loop) Stop(ctx context.Context, o orders.Stop) (orders.Answer, error) {
	if o.Rehearse {
		return l.rehearse(ctx)
	}
	var reports <-chan watchdog.StopReport
	answer, err := l.ask(ctx, func(watch context.Context, _ time.Time) (orders.Answer, error) {
		asked, err := l.stopFor(watch, ctx, o.By)
		reports = asked
		return orders.Answer{}, err
	})
	if err != nil {
		return orders.Answer{}, err
	}
	select {
	case report := <-reports:
		answer.Text = fmt.Sprintf("%s: %s", report.Target, report.Detail)
		if report.Phase == watchdog.StopRefused {
			return orders.Answer{}, orders.Refused("%s", answer.Text)
		}
		if report.Phase == watchdog.StopAccepted {
			answer.Text += "; its proof is the end of this pod"
		}
		return answer, nil
	case <-ctx.Done():
		return orders.Answer{}, context.Cause(ctx)
	}
}

// stopFor asks for the stop if two looks find the pod free, once it has been out of its service for long enough. It runs in the
// goroutine that ticks. Its looks and its stop are ours, and end with ctx; whoever asked can be gone before, and then it ends, too.
func (l *Loop) stopFor(ctx, asker context.Context, by string) (<-chan watchdog.StopReport, error) {
	if l.acting || l.stopping.running() {
		return nil, orders.Refused("a stop is being asked for already")
	}
	l.acting = true
	defer func() { l.acting = false }()
	let := func(d watchdog.Decision) error {
		if err := context.Cause(asker); err != nil {
			return err
		}
		return l.free(d)
	}
	reports, err := (<-chan watchdog.StopReport)(nil), l.leaveService(ctx, let)
	if err == nil {
		reports, err = l.finalLook(ctx, personStop, by, let)
	}
	if err != nil {
		l.stayInService()
	}
	return reports, err
}

// free says why a person's stop must not be carried out; nil where it may.
func (l *Loop) free(d watchdog.Decision) error {
	if last, ok := l.kept.Leases.Last(); ok {
		return orders.Refused("%s: held by %s until %s; gpu-watchdog release ends that", watchdog.HoldLease, last.By, last.Until.Format(time.RFC3339))
	}
	if until := l.kept.Leases.PostponedUntil; until.After(d.At) {
		return orders.Refused("%s: put off until %s; gpu-watchdog release ends that", watchdog.HoldLease, until.Format(time.RFC3339))
	}
	if d.Owed != "" {
		return orders.Refused("%s: %s", watchdog.ConnectionActive, d.Owed) // whatever rule leads
	}
	because := watchdog.Because{Code: d.Reason()}
	if len(d.Reasons) > 0 {
		because = d.Reasons[0]
	}
	switch because.Code {
	case watchdog.NotArmed, watchdog.TargetRefused:
		return orders.Refused("%s: %s", because.Code, because.Detail)
	}
	if d.Activity == watchdog.Busy || d.Activity == watchdog.Unknown {
		return orders.Refused("the pod is %s (%s: %s): it is stopped only while it is known to be idle; the provider's console asks nobody", d.Activity, because.Code, because.Detail)
	}
	return nil
}

// rehearse asks the target whether it would stop this pod, and changes nothing.
func (l *Loop) rehearse(ctx context.Context) (orders.Answer, error) {
	answer, err := l.Standing(ctx)
	if err != nil {
		return orders.Answer{}, err
	}
	if l.Rehearse == nil {
		why := l.Identity.Unarmed
		if why == "" {
			why = "nothing is armed"
		}
		return orders.Answer{}, orders.Refused("%s: %s", watchdog.NotArmed, why)
	}
	text, err := l.Rehearse(ctx)
	if err != nil {
		return orders.Answer{}, orders.Refused("%s", err.Error())
	}
	answer.Text = text + "\nnow: " + answer.Text
	return answer, nil
}
