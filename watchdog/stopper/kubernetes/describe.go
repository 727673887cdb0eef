package kubernetes

import (
	"context"
	"fmt"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// Permission says what is known of our right to stop.
type Permission string

// The permissions, as /status prints them.
const (
	// PermissionUnproven: the API server could not be asked.
	PermissionUnproven Permission = "unproven"
	// PermissionProven: the cluster's authorizers say that we may read and update the scale of our owner. An admission
	// rule may still refuse; Rehearse tells.
	PermissionProven Permission = "proven"
	// PermissionRefused: a right is missing, there is nothing that could be scaled, or it must not be as it is now.
	PermissionRefused Permission = "refused"
)

// Description is what a stop would do.
type Description struct {
	// Target is what would be scaled; zero where nothing was found.
	Target Object
	// Wanted and There are its replicas, by its spec and by its status.
	Wanted, There watchdog.Maybe[int32]
	Permission    Permission
	// Detail says in one line how it stands and, where a stop would be refused, why and what to do.
	Detail string
	// Notes are what a person should know and what does not hinder: who may undo a stop, what cannot be seen.
	Notes []string
	// Missing are the rights that the service account lacks.
	Missing []Rule
}

// Describe finds out what a stop would scale, whether it may, and how many replicas there are. It changes nothing. The
// error is an *Error and says that it could not be found out; Detail says so, too. What was found out is no error,
// even if it is a no.
func (c *Client) Describe(ctx context.Context) (Description, error) {
	d := Description{Permission: PermissionUnproven}
	_, target, failed := c.aim(ctx)
	if failed != nil {
		return d.ended(failed)
	}
	d.Target, d.Notes = target.Object, notes(target)

	get, update := target.resource.rule("get", target.Name, "scale"), target.resource.rule("update", target.Name, "scale")
	var undecided *Error
	for _, rule := range []Rule{get, update} {
		yes, failed := c.mayI(ctx, rule, target.Namespace)
		switch {
		case failed != nil:
			undecided = failed
		case !yes:
			d.Missing = append(d.Missing, rule)
		}
	}
	if len(d.Missing) > 0 {
		d.Permission = PermissionRefused
		lacking := d.Missing[0]
		d.Detail = errorf(stopper.Denied, "%s: the service account may not; its Role needs %s", lacking.doing(), lacking).Answer.Detail
		if lacking == get {
			return d, nil
		}
	}
	seen, failed := c.readScale(ctx, target)
	if failed != nil {
		return d.ended(failed)
	}
	d.Wanted, d.There = watchdog.Known(seen.wanted), seen.there
	if d.Permission == PermissionRefused {
		return d, nil
	}
	if no, refused := notOne(target, seen); refused {
		d.Detail = no.Detail
		if no.Kind != stopper.AlreadyStopped {
			d.Permission = PermissionRefused
			return d, nil
		}
	} else {
		d.Detail = fmt.Sprintf("%s has 1 replica%s", target.Object, setBy(target, seen))
	}
	if undecided != nil {
		d.Detail = shownWith(d.Detail, "whether it may be scaled is not known: "+undecided.Answer.Detail)
		return d, nil
	}
	d.Permission = PermissionProven
	d.Detail = shownWith(d.Detail, "the service account may scale it")
	if target.Namespace != "" {
		d.Notes, d.Missing = c.eventRight(ctx, target, d.Notes)
	}
	return d, nil
}

// ended is the description where something failed on the way: a no that was found out, or an error.
func (d Description) ended(failed *Error) (Description, error) {
	d.Detail = failed.Answer.Detail
	if failed.Missing != (Rule{}) {
		d.Missing = append(d.Missing, failed.Missing)
	}
	switch failed.Answer.Kind {
	case stopper.Denied, stopper.Invalid, stopper.Gone:
		d.Permission = PermissionRefused
		return d, nil
	}
	return d, failed
}

// eventRight adds to the notes that no Event can be written.
func (c *Client) eventRight(ctx context.Context, target link, notes []string) ([]string, []Rule) {
	rule := Rule{Verb: "create", Group: eventsGroup, Resource: "events"}
	if yes, failed := c.mayI(ctx, rule, target.Namespace); yes || failed != nil {
		return notes, nil
	}
	return append(notes, "no Event is written at a stop: its Role needs "+rule.String()), []Rule{rule}
}

// notes are what a person should know of the target beyond its permission.
func notes(target link) []string {
	if target.trouble != nil {
		return []string{stopper.CleanDetail(fmt.Sprintf("what owns %s and who sets its replicas cannot be seen: %s", target.Object, target.trouble.Answer.Detail))}
	}
	var found []string
	if above, owned := target.meta.controller(); owned {
		found = append(found, stopper.CleanDetail(fmt.Sprintf("%s belongs to %s/%s, which may set its replicas again", target.Object, above.Kind, above.Name)))
	}
	for _, s := range scalings(target.meta) {
		switch {
		case !s.undoes():
		case s.who() == "a HorizontalPodAutoscaler":
			found = append(found, stopper.CleanDetail(fmt.Sprintf("the replicas of %s are set by %s: it rests while they are 0 and does not start the pod again", target.Object, s)))
		default:
			found = append(found, stopper.CleanDetail(fmt.Sprintf("the replicas of %s are set by %s, which may undo a stop", target.Object, s)))
		}
	}
	return found
}
