package runpod

import (
	"context"
	"errors"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const (
	// lockRemedies are the two ways out of the second lock.
	lockRemedies = "set WATCHDOG_STOP_ACTION=" + ActionStop + " to keep it, or " + ActionLoseData + " to give it up"
	// networkRemedy is for a stop that RunPod refuses. Until May 2026 it stopped no pod with a network volume; whether all
	// such pods can be stopped since then is not known, nor in which words it refuses.
	networkRemedy = "the pod has a network volume, and RunPod may only terminate such pods: WATCHDOG_STOP_ACTION=" + ActionTerminate +
		" deletes the pod and keeps that volume"
)

// lockedRung is a rung of ActionTerminate behind the second lock. Each rung looks for itself and right before it acts:
// what is deleted cannot be had back, and an attempt may begin with any rung.
type lockedRung struct {
	stopper.Rung
	c *Client
}

// Stop deletes the pod where nothing is lost with it.
func (l lockedRung) Stop(ctx context.Context) stopper.Answer {
	lost, err := l.c.WouldLose(ctx)
	switch {
	case err != nil:
		return l.c.lockedUnread(err)
	case lost != "":
		return stopper.Answer{Kind: stopper.Invalid, Detail: l.c.lossRefusal(lost)}
	}
	return l.Rung.Stop(ctx)
}

func (c *Client) lossRefusal(lost string) string {
	return c.clean("not terminated: " + lost + " would be lost; " + lockRemedies)
}

// foreseen is what the second lock would say now, where that is a refusal because of what is known; "" also where the pod
// cannot be read, which may be otherwise when the time has come.
func (c *Client) foreseen(ctx context.Context, pod reading) string {
	if c.action != ActionTerminate {
		return ""
	}
	found := pod.storage.Value
	if !pod.storage.Known {
		var err *ReadError
		if found, err = c.storageByGraphQL(ctx); err != nil {
			return ""
		}
	}
	if found.own == "" {
		return ""
	}
	return c.lossRefusal(found.own)
}

// lockedUnread refuses since it is unknown what would be lost: Denied where a key may not read, otherwise of the kind of the
// first way to read. The remedies come first, since what RunPod said may be cut.
func (c *Client) lockedUnread(err error) stopper.Answer {
	a := stopper.Answer{
		Detail:     c.clean("not terminated: whether a volume of the pod's own would be lost is unknown; " + lockRemedies + ": " + err.Error()),
		RetryAfter: ReadAgainAfter(err),
	}
	var first *ReadError
	if errors.As(err, &first) {
		a.Kind, a.Status = first.Answer.Kind, first.Answer.Status
	}
	if errors.Is(err, ErrReadRefused) {
		a.Kind = stopper.Denied
	}
	if a.Kind.Done() {
		a.Kind = stopper.Failed // a refusal, whatever a reader calls it
	}
	return a
}

// withRemedy adds to a stop that was refused over a network volume, by RunPod's own words, what can be done about it.
func (c *Client) withRemedy(a stopper.Answer) stopper.Answer {
	if !a.Kind.Done() && !c.terminates() && strings.Contains(strings.ToLower(a.Detail), "network volume") {
		return c.remedied(a)
	}
	return a
}

// remedied has the remedy first, since what RunPod said may be cut.
func (c *Client) remedied(a stopper.Answer) stopper.Answer {
	a.Detail = c.clean(networkRemedy + ": " + a.Detail)
	return a
}
