package runpod

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// The words of RunPod that mean that a pod no longer costs GPU time.
const (
	statusExited     = "EXITED"
	statusTerminated = "TERMINATED"
	statusRunning    = "RUNNING"
)

// v2Action is POST {APIURL}/pods/{id}/action. Its terminate is the same as DELETE {APIURL}/pods/{id} by RunPod's document,
// and the one of the two that keys of pods were seen to be allowed.
type v2Action struct{ c *Client }

type actionRequest struct {
	Action string `json:"action"`
}

// Name is the rung's word in logs.
func (v2Action) Name() string { return "v2_action" }

// Stop asks once. A conflict is looked into: a pod that has already stopped conflicts too.
func (v v2Action) Stop(ctx context.Context) stopper.Answer {
	c := v.c
	action := "stop"
	if c.terminates() {
		action = "terminate"
	}
	r, err := c.send(ctx, http.MethodPost, c.podURL()+"/action", actionRequest{Action: action})
	switch {
	case err != nil:
		return stopper.Answer{Kind: stopper.Failed, Detail: err.Error()}
	case r.status >= 200 && r.status <= 299:
		return c.accepted(r)
	case r.status == http.StatusConflict:
		return c.conflict(ctx, c.refusal(r))
	case r.status == http.StatusBadRequest && !c.terminates():
		return c.badRequest(ctx, c.refusal(r))
	default:
		return c.withRemedy(c.refusal(r))
	}
}

func (c *Client) conflict(ctx context.Context, refused stopper.Answer) stopper.Answer {
	pod, err := c.describe(ctx)
	switch {
	case err != nil:
		refused.Detail = c.clean(fmt.Sprintf("%s; the pod's status cannot be read: %v", refused.Detail, err))
	case pod.Status == statusTerminated, pod.Status == statusExited && !c.terminates():
		refused.Kind, refused.Detail = stopper.AlreadyStopped, "pod status "+pod.Status
	case pod.Locked.Or(false) && c.terminates():
		refused.Detail = c.clean(fmt.Sprintf("%s; the pod is locked (status %s): unlock it to let it be terminated", refused.Detail, pod.Status))
	case pod.Locked.Or(false):
		refused.Detail = c.clean(fmt.Sprintf("%s; the pod is locked (status %s): unlock it to let it be stopped", refused.Detail, pod.Status))
	case c.terminates():
		refused.Detail = c.clean(fmt.Sprintf("%s; pod status %s, perhaps locked or part of a cluster", refused.Detail, pod.Status))
	case pod.storage.Value.network:
		return c.remedied(refused)
	default:
		refused.Detail = c.clean(fmt.Sprintf("%s; pod status %s, perhaps locked", refused.Detail, pod.Status))
	}
	return c.withRemedy(refused)
}

// badRequest looks whether the pod is of a kind that RunPod did not stop.
func (c *Client) badRequest(ctx context.Context, refused stopper.Answer) stopper.Answer {
	if pod, err := c.readV2(ctx); err == nil && pod.storage.Value.network {
		return c.remedied(refused)
	}
	return c.withRemedy(refused)
}

func (c *Client) podURL() string { return c.apiURL + "/pods/" + url.PathEscape(c.podID) }
