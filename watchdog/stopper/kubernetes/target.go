package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// wanted is KUBERNETES_TARGET; zero where it is not set.
type wanted struct {
	// kind is in lower case: a kind, a plural, or kubectl's short word.
	kind string
	// group is empty where it was not given.
	group, name string
}

// shortWords are those of kubectl for kinds that can own a pod.
var shortWords = map[string]string{"deploy": "deployment", "sts": "statefulset", "rs": "replicaset", "rc": "replicationcontroller", "lws": "leaderworkerset"}

// parseTarget reads kind/name, the kind as kubectl takes it: "deployment/llama", "deploy/llama", "deployments.apps/llama".
func parseTarget(text string) (wanted, error) {
	if text == "" {
		return wanted{}, nil
	}
	kindAndGroup, name, found := strings.Cut(text, "/")
	kind, group, _ := strings.Cut(strings.ToLower(kindAndGroup), ".")
	if !found || !isKind(kind) || !isName(name) || group != "" && !isName(group) {
		return wanted{}, fmt.Errorf("WATCHDOG_KUBERNETES_TARGET %q is not of the form kind/name, as in deployment/llama", stopper.CleanDetail(text))
	}
	if long, ok := shortWords[kind]; ok {
		kind = long
	}
	return wanted{kind: kind, group: group, name: name}, nil
}

func (w wanted) String() string {
	if w.group != "" {
		return w.kind + "." + w.group + "/" + w.name
	}
	return w.kind + "/" + w.name
}

// names says that w means this object.
func (w wanted) names(l link) bool {
	return w.name != "" && w.name == l.Name && (w.group == "" || w.group == l.Group) &&
		slices.Contains([]string{strings.ToLower(l.Kind), strings.ToLower(l.resource.plural)}, w.kind)
}

// choose takes from a chain of owners, our pod first, the one to scale.
func choose(chain []link, target wanted) (link, *Error) {
	if len(chain) == 0 {
		return link{}, errorf(stopper.Failed, "our pod could not be read")
	}
	pod, owners := chain[0], chain[1:]
	for _, o := range owners {
		if o.Kind == "Pod" && o.Group == "" {
			// A worker of a LeaderWorkerSet sees none of the requests, which come to its leader.
			return link{}, errorf(stopper.Invalid, "our pod %s is a worker of the pod %s, and requests come to that one: run the watchdog there", pod.Name, o.Name)
		}
	}
	if target.name != "" {
		for _, o := range owners {
			switch {
			case !target.names(o):
			case !o.resource.scalable:
				return link{}, errorf(stopper.Invalid, "WATCHDOG_KUBERNETES_TARGET %s: %s", target, instead(o.Kind))
			default:
				return o, nil
			}
		}
		if n := len(owners); n > 0 && hidden(owners[n-1].trouble) {
			return link{}, owners[n-1].trouble // it may be above what we may see
		}
		return link{}, errorf(stopper.Invalid, "WATCHDOG_KUBERNETES_TARGET %s does not own our pod %s; %s", target, pod.Name, whatOwns(owners))
	}
	for _, o := range slices.Backward(owners) {
		if !o.resource.scalable {
			continue
		}
		if o.trouble != nil {
			// What owns this one decides whether it is the right one to scale, and that could not be seen.
			return link{}, o.trouble
		}
		return o, nil
	}
	if len(owners) == 0 {
		return link{}, errorf(stopper.Invalid, "our pod %s: %s", pod.Name, instead("Pod"))
	}
	return link{}, errorf(stopper.Invalid, "our pod %s belongs to %s: %s", pod.Name, owners[0].Object, instead(owners[0].Kind))
}

func whatOwns(owners []link) string {
	if len(owners) == 0 {
		return "nothing owns it"
	}
	words := make([]string, len(owners))
	for i, o := range owners {
		words[i] = o.Object.String()
	}
	return "what owns it: " + strings.Join(words, ", ")
}

// instead says why a kind cannot be scaled, and what to do.
func instead(kind string) string {
	switch kind {
	case "Pod":
		return "a bare pod has no scale, and nothing would start it again: run it under a Deployment or StatefulSet of one replica, or set WATCHDOG_STOP to webhook or command"
	case "Job", "CronJob":
		return "a " + kind + " has no scale, its pod ends when its containers end: let the command end, set activeDeadlineSeconds, or run a server under a Deployment of one replica"
	case "DaemonSet":
		return "a DaemonSet has no scale, it keeps one pod on each node: run the server under a Deployment of one replica, or set WATCHDOG_STOP to webhook or command"
	case "Node":
		return "a static pod is started by its node and by no controller: run it under a Deployment of one replica, or set WATCHDOG_STOP to webhook or command"
	default:
		return kind + " has no scale subresource: set WATCHDOG_STOP to webhook or command, or run the server under a Deployment of one replica"
	}
}
