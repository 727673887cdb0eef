package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// scaleAPIVersion is the form in which every kind serves its scale.
const scaleAPIVersion = "autoscaling/v1"

// scaleRung sets the replicas of our owner to 0.
type scaleRung struct{ c *Client }

// Name is the rung's word in logs.
func (scaleRung) Name() string { return "scale" }

// Stop finds the owner anew, looks whether there is exactly one replica, and asks once.
func (s scaleRung) Stop(ctx context.Context) stopper.Answer { return s.c.toZero(ctx, false) }

// Rehearse asks for the stop as a dry run: the API server goes through rights and admission as if it were meant, and
// changes nothing. Accepted says that a stop would be accepted now.
func (c *Client) Rehearse(ctx context.Context) stopper.Answer {
	a := c.toZero(ctx, true)
	a.Rung = scaleRung{}.Name()
	return a
}

func (c *Client) toZero(ctx context.Context, dry bool) stopper.Answer {
	pod, target, failed := c.aim(ctx)
	if failed != nil {
		return failed.Answer
	}
	if pod.meta.Deleted != "" {
		return errorf(stopper.Invalid, "our pod %s is being deleted already, and its successor is not ours to stop: %s is left as it is", pod.Name, target.Object).Answer
	}
	seen, failed := c.readScale(ctx, target)
	if failed != nil {
		return failed.Answer
	}
	if no, refused := notOne(target, seen); refused {
		return no
	}
	answer := c.putScale(ctx, target, seen, dry)
	switch {
	case answer.Status == http.StatusConflict:
		return c.conflict(ctx, target, seen, answer)
	case answer.Kind == stopper.Accepted && !dry:
		answer.Detail = shownWith(answer.Detail, c.announce(ctx, target, pod))
	}
	return answer
}

// notOne is the answer where there is anything but exactly one replica, wanted and there.
func notOne(target link, s scale) (stopper.Answer, bool) {
	switch {
	case s.wanted == 0:
		return errorf(stopper.AlreadyStopped, "%s is scaled to 0 already%s", target.Object, setBy(target, s)).Answer, true
	case s.wanted != 1:
		return errorf(stopper.Invalid, "%s has %d replicas%s, and a stop would end all of them: only a single one is scaled to 0", target.Object, s.wanted, setBy(target, s)).Answer, true
	case !s.there.Known:
		return errorf(stopper.Invalid, "%s does not tell how many replicas there are: only from exactly one it is scaled to 0", target.Object).Answer, true
	case s.there.Value != 1:
		return errorf(stopper.Invalid, "%s wants 1 replica and has %d (a rollout, or its controller is late): only from exactly one it is scaled to 0", target.Object, s.there.Value).Answer, true
	}
	return stopper.Answer{}, false
}

// setBy names who set the number of replicas, where that could be seen. Metadata of another version than the scale are of
// before or after a change, and would name the wrong one.
func setBy(target link, s scale) string {
	all := scalings(target.meta)
	if len(all) == 0 || target.meta.ResourceVersion != s.resourceVersion {
		return ""
	}
	return ", set by " + all[0].String()
}

// readScale reads the scale of an owner, and sees that it is still the same object.
func (c *Client) readScale(ctx context.Context, target link) (scale, *Error) {
	rule := target.resource.rule("get", target.Name, "scale")
	r, failed := c.ask(ctx, question{
		method: http.MethodGet, path: target.resource.path(target.Namespace, target.Name, "scale"), accept: acceptJSON, rule: rule,
	})
	if failed != nil {
		return scale{}, failed
	}
	found, err := readScale(r.body, target.Name)
	if err != nil {
		return scale{}, errorf(stopper.Failed, "%s: %s", rule.doing(), shown(err.Error(), r.token))
	}
	if found.uid != target.UID {
		return scale{}, errorf(stopper.Invalid, "%s was made anew: its uid is %s, and our pod belongs to %s", target.Object, found.uid, target.UID)
	}
	return found, nil
}

// scaleChange is the Scale that is sent. uid and resourceVersion are conditions: the server changes nothing where either
// is another by then.
type scaleChange struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name            string `json:"name"`
		Namespace       string `json:"namespace,omitempty"`
		UID             string `json:"uid"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Spec struct {
		Replicas int32 `json:"replicas"`
	} `json:"spec"`
}

// putScale asks once for 0 replicas of what was seen.
func (c *Client) putScale(ctx context.Context, target link, seen scale, dry bool) stopper.Answer {
	change := scaleChange{APIVersion: scaleAPIVersion, Kind: "Scale"}
	change.Metadata.Name, change.Metadata.Namespace = target.Name, target.Namespace
	change.Metadata.UID, change.Metadata.ResourceVersion = seen.uid, seen.resourceVersion

	query := url.Values{"fieldManager": {fieldManager}}
	if dry {
		query.Set("dryRun", "All")
	}
	r, failed := c.ask(ctx, question{
		method: http.MethodPut, path: target.resource.path(target.Namespace, target.Name, "scale"), query: query,
		accept: acceptJSON, payload: change, rule: target.resource.rule("update", target.Name, "scale"),
	})
	if failed != nil {
		return failed.Answer
	}
	return accepted(r, target, dry)
}

// accepted sorts an answer from 200 to 299 to a change of the scale. A body that broke off is no objection: we may be
// losing our network to the very stop.
func accepted(r response, target link, dry bool) stopper.Answer {
	a := stopper.Answer{Kind: stopper.Failed, Status: r.status}
	say := func(format string, args ...any) { a.Detail = shown(fmt.Sprintf(format, args...), r.token) }
	got, err := readScale(r.body, target.Name)
	switch {
	case r.status != http.StatusOK && r.status != http.StatusCreated:
		say("update of the scale of %s: unexpected status %d", target.Object, r.status)
	case err != nil && r.partial:
		a.Kind = stopper.Accepted
		say("%s from 1 replica to 0, by an answer that broke off", target.Object)
	case err != nil:
		say("update of the scale of %s: %v", target.Object, err)
	case got.uid != target.UID:
		a.Kind = stopper.Invalid
		say("update of the scale of %s: the answer is about the uid %s, not %s", target.Object, got.uid, target.UID)
	case got.wanted != 0:
		a.Kind = stopper.Invalid
		say("%s was to have 0 replicas and got %d: something in the cluster changes what is asked (a mutating webhook)", target.Object, got.wanted)
	case dry:
		a.Kind = stopper.Accepted
		say("dry run: %s would go from 1 replica to 0, nothing was changed", target.Object)
	default:
		a.Kind = stopper.Accepted
		say("%s from 1 replica to 0", target.Object)
	}
	return a
}

// conflict looks at what happened while we asked: somebody who scaled wins, and we hold.
func (c *Client) conflict(ctx context.Context, target link, seen scale, refused stopper.Answer) stopper.Answer {
	now, failed := c.readScale(ctx, target)
	if failed != nil {
		if failed.Answer.Kind == stopper.Invalid {
			refused.Detail = failed.Answer.Detail
			return refused
		}
		refused.Detail = shownWith(refused.Detail, "and how it stands now cannot be seen: "+failed.Answer.Detail)
		return refused
	}
	if fresh, failed := c.readMeta(ctx, target); failed == nil {
		target.meta = fresh
	}
	if no, is := notOne(target, now); is {
		no.Status = refused.Status
		if no.Kind != stopper.AlreadyStopped {
			no.Detail = shownWith("somebody scaled at the same time, so we hold", no.Detail)
		}
		return no
	}
	refused.Detail = errorf(refused.Kind, "%s changed while it was looked at (resourceVersion %s, then %s), so we hold; it is read again for the next attempt",
		target.Object, seen.resourceVersion, now.resourceVersion).Answer.Detail
	return refused
}

// shownWith joins two texts that are fit to be shown; the second may be empty.
func shownWith(text, more string) string {
	if more == "" {
		return text
	}
	return stopper.CleanDetail(text + "; " + more)
}
