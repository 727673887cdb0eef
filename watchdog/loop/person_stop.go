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
	answer, err := l.ask(ctx, func(time.Time) (orders.Answer, error) {
		asked, err := l.stopFor(ctx, o.By)
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

// stopFor asks for the stop if two looks find the pod free. It runs in the goroutine that ticks.
func (l *Loop) stopFor(ctx context.Context, by string) (<-chan watchdog.StopReport, error) {
	if l.stopping.running() {
		return nil, orders.Refused("a stop is being asked for already")
	}
	return l.finalLook(ctx, personStop, by, free)
}

// free says why a person's stop must not be carried out; nil where it may.
func free(d watchdog.Decision) error {
	because := watchdog.Because{Code: d.Reason()}
	if len(d.Reasons) > 0 {
		because = d.Reasons[0]
	}
	switch because.Code {
	case watchdog.NotArmed, watchdog.TargetRefused, watchdog.HoldLease, watchdog.ConnectionActive:
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
