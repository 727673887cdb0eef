package kubernetes

import (
	"context"
	"net/http"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// maxOwners is the longest chain of owners that is followed. The longest known is four: a worker's StatefulSet, its
// leader, the leader's StatefulSet, the LeaderWorkerSet.
const maxOwners = 8

// Object names one object of the cluster.
type Object struct {
	// Group is empty for the core; Namespace is empty for what lies in none.
	Group, Version, Kind, Namespace, Name, UID string
}

func (o Object) String() string { return o.Kind + "/" + o.Name }

// link is one object in the chain from our pod to its highest owner.
type link struct {
	Object
	resource resource
	// meta is its metadata; zero where trouble says why it could not be read.
	meta    metadata
	trouble *Error
}

// aim reads the chain of owners and chooses the one to scale. pod is our own.
func (c *Client) aim(ctx context.Context) (pod, target link, err *Error) {
	chain, err := c.chain(ctx)
	if err != nil {
		return link{}, link{}, err
	}
	target, err = choose(chain, c.target)
	return chain[0], target, err
}

// chain follows the controllers from our pod up to the highest, or to the one that KUBERNETES_TARGET names. Each is read
// from the server and must have the uid by which the one below refers to it.
func (c *Client) chain(ctx context.Context) ([]link, *Error) {
	pod, err := c.readPod(ctx)
	if err != nil {
		return nil, err
	}
	chain := []link{pod}
	for {
		last := chain[len(chain)-1]
		ref, owned := last.meta.controller()
		if !owned || len(chain) > 1 && c.target.names(last) {
			return chain, nil
		}
		if len(chain) > maxOwners {
			return nil, errorf(stopper.Invalid, "more than %d owners above our pod %s", maxOwners, pod.Name)
		}
		next, err := c.follow(ctx, last, ref)
		if err != nil {
			return nil, err
		}
		chain = append(chain, next)
	}
}

// readPod reads our own pod.
func (c *Client) readPod(ctx context.Context) (link, *Error) {
	pods := builtin[0]
	pod := link{
		Object:   Object{Version: pods.version, Kind: pods.kind, Namespace: c.pod.namespace, Name: c.pod.name, UID: c.pod.uid},
		resource: pods,
	}
	var err *Error
	pod.meta, err = c.readMeta(ctx, pod)
	if err != nil {
		return link{}, err
	}
	if pod.meta.UID != c.pod.uid {
		return link{}, errorf(stopper.Invalid, "the pod %s has the uid %s, and ours is %s: it is another one", pod.Name, pod.meta.UID, c.pod.uid)
	}
	return pod, nil
}

// follow reads the owner that below refers to. One that cannot be scaled may be hidden from us, or be gone with its whole
// kind; it comes back with its trouble and ends the chain. One that can be scaled may only be hidden.
func (c *Client) follow(ctx context.Context, below link, ref ownerRef) (link, *Error) {
	group, version := splitAPIVersion(ref.APIVersion)
	if !isKind(ref.Kind) || !isName(ref.Name) || !isUID(ref.UID) || !isName(version) || group != "" && !isName(group) {
		return link{}, errorf(stopper.Failed, "%s has an owner reference that cannot be read", below.Object)
	}
	owner := link{Object: Object{Group: group, Version: version, Kind: ref.Kind, Namespace: c.pod.namespace, Name: ref.Name, UID: ref.UID}}
	var err *Error
	if owner.resource, err = c.resourceOf(ctx, group, version, ref.Kind); err != nil {
		if err.Answer.Status != http.StatusNotFound {
			return link{}, err
		}
		owner.trouble = err
		return owner, nil
	}
	owner.Version = owner.resource.version
	if !owner.resource.namespaced {
		owner.Namespace = ""
	}
	if owner.meta, err = c.readMeta(ctx, owner); err != nil {
		gone := err.Answer.Status == http.StatusNotFound && !owner.resource.scalable
		if !hidden(err) && !gone {
			return link{}, err
		}
		owner.trouble = err
		return owner, nil
	}
	if owner.meta.UID != ref.UID {
		return link{}, errorf(stopper.Invalid, "%s was made anew: its uid is %s, and %s belongs to %s", owner.Object, owner.meta.UID, below.Object, ref.UID)
	}
	return owner, nil
}

// hidden says that an object is there, or may be, and that we may not read it.
func hidden(trouble *Error) bool {
	return trouble != nil && trouble.Answer.Status == http.StatusForbidden
}

// readMeta reads the metadata of an object.
func (c *Client) readMeta(ctx context.Context, l link) (metadata, *Error) {
	rule := l.resource.rule("get", l.Name)
	r, failed := c.ask(ctx, question{method: http.MethodGet, path: l.resource.path(l.Namespace, l.Name), accept: acceptMetadata, rule: rule})
	if failed != nil {
		return metadata{}, failed
	}
	meta, err := readMetadata(r.body, l.Kind, l.Name)
	if err != nil {
		return metadata{}, errorf(stopper.Failed, "%s: %s", rule.doing(), shown(err.Error(), r.token))
	}
	return meta, nil
}
