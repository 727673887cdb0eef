package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// The permissions that a provider may tell.
const (
	unproven = "unproven"
	proven   = "proven"
	refused  = "refused"
)

// remedies are for stops that would not come about.
var remedies = map[string]string{
	config.StopRunpod:     "see whether the key is right in RunPod's console; WATCHDOG_RUNPOD_API_KEY takes a better one than the injected one",
	config.StopKubernetes: "give the service account what deploy/kubernetes gives it, and see that exactly one replica is wanted",
	config.StopWebhook:    "see whether the receiver runs and can be reached from this pod",
	config.StopCommand:    "correct WATCHDOG_STOP_COMMAND",
}

// target rehearses one way to stop the pod.
func (e *examination) target(ctx context.Context, i int) []Finding {
	t := e.Targets[i]
	if t.Unusable != "" {
		detail, remedy, found := strings.Cut(t.Unusable, ": set ")
		if remedy = "set " + remedy; !found {
			detail, remedy = split(t.Unusable, remedies[t.Kind])
		}
		return []Finding{{Verdict: Failed, way: wouldNot, Detail: detail, Remedy: remedy}}
	}
	text, err := t.Rehearse(ctx)
	a := e.told(ctx, i)
	out := judgeTarget(t, text, err, a)
	if t.Describe != nil && err == nil && a.permission != refused && a.detail != "" {
		out = append(out, Finding{Verdict: Note, Detail: a.detail})
	}
	return out
}

func judgeTarget(t Target, text string, err error, a answer) []Finding {
	switch {
	case err != nil:
		// Where the provider could be asked, what it says is a no; else nobody has said anything yet.
		f := Finding{Verdict: Failed, way: wouldNot, refused: a.permission == refused || t.Describe != nil && a.detail == "",
			Detail: err.Error(), Remedy: remedies[t.Kind]}
		switch {
		case f.refused:
			f.Detail, f.Remedy = split(f.Detail, f.Remedy)
		case t.Describe != nil:
			f.Remedy = "see whether this pod may connect there, and ask again; a stop that fails is tried again until it is proven"
		}
		f.Detail = "a stop would not come about: " + f.Detail
		return []Finding{f}
	case a.permission == refused:
		detail, remedy := split(a.detail, remedies[t.Kind])
		return []Finding{{Verdict: Failed, way: wouldNot, refused: true, Detail: "a stop would be refused: " + detail, Remedy: remedy}}
	case t.Kind == config.StopRunpod:
		return []Finding{{Verdict: Note, way: would, Detail: text, Remedy: "to have it proven: `gpu-watchdog stop` while nobody needs the pod, and start it again in RunPod's console"}}
	case t.Kind == config.StopKubernetes:
		return []Finding{{Verdict: OK, way: would, Detail: text}}
	}
	return []Finding{{Verdict: Note, way: would, Detail: text, Remedy: "to have it proven: `gpu-watchdog stop` while nobody needs the pod"}}
}

// weighWays: where one way to stop the pod would do, the refusal of another is a failure, and not a refused stop. Where none would, to be
// armed is of no use.
func weighWays(found []Finding) []Finding {
	has := func(w way) bool { return slices.ContainsFunc(found, func(f Finding) bool { return f.way == w }) }
	for i := range found {
		f := &found[i]
		switch {
		case f.way == wouldNot && has(would):
			f.refused = false
		case f.Name == "armed" && f.Verdict == OK && has(wouldNot) && !has(would):
			f.Verdict, f.Detail, f.Remedy = Failed, "no way to stop this pod would do, as said above, so it runs on however idle it is", "mend one of them"
		}
	}
	return found
}

// action says what a stop does to the data.
func (e *examination) action(context.Context) []Finding {
	if len(e.Targets) == 0 || !e.Armed || e.Refused != "" {
		return nil
	}
	onlyScales := true
	for _, t := range e.Targets {
		onlyScales = onlyScales && t.Kind == config.StopKubernetes
	}
	if onlyScales {
		return nil // what that means is in the rehearsal
	}
	switch string(e.Config.StopAction) {
	case "terminate":
		return []Finding{{Verdict: Warning, Detail: "WATCHDOG_STOP_ACTION is terminate: the pod is deleted for good, unless data on a disk of its own would be lost, which refuses it",
			Remedy: "WATCHDOG_STOP_ACTION=stop keeps the pod and its volume disk"}}
	case "terminate-and-lose-data":
		return []Finding{{Verdict: Warning, Detail: "WATCHDOG_STOP_ACTION is terminate-and-lose-data: the pod is deleted for good, with all that is on it, and nobody asks again",
			Remedy: "WATCHDOG_STOP_ACTION=stop keeps the pod and its volume disk; a network volume is kept in any case"}}
	}
	return []Finding{{Verdict: OK, Detail: "stop: the pod and its volume disk are kept, and can be started again; what is on the container's own disk is lost"}}
}

// armed says whether this pod would be stopped at all.
func (e *examination) armed(context.Context) []Finding {
	const see = "WATCHDOG_DRY_RUN=true gpu-watchdog run shows what it would do"
	switch {
	case e.Refused != "":
		return []Finding{{Verdict: Failed, refused: true, Detail: e.Refused, Remedy: "nothing: it is meant so"}}
	case e.Config.DryRun:
		return []Finding{{Verdict: Note, Detail: "WATCHDOG_DRY_RUN is set: it decides and logs, and stops nothing", Remedy: "unset it once you trust what you have read"}}
	case e.Armed:
		var kinds []string
		for _, t := range e.Targets {
			if t.Unusable == "" {
				kinds = append(kinds, t.Kind)
			}
		}
		return []Finding{{Verdict: OK, Detail: "yes: an idle pod is asked to stop, through " + strings.Join(kinds, ", else ")}}
	case e.Asked:
		return []Finding{{Verdict: Failed, refused: true, Detail: "no: this pod is to be stopped, and there is no way to do it", Remedy: "mend what is said above; " + see}}
	}
	return []Finding{{Verdict: Warning, Detail: fmt.Sprintf("no: %s", e.Unarmed),
		Remedy: "set WATCHDOG_STOP to kubernetes, webhook or command; " + see}}
}

// messages tells whether people could be told.
func (e *examination) messages(ctx context.Context) []Finding {
	if e.Reach == nil {
		return []Finding{{Verdict: Note, Detail: "nobody is told of stops and alarms: they are in the log and on the page alone", Remedy: "set WATCHDOG_NOTIFY_URL to a hook of Slack or Discord, or to an address of your own"}}
	}
	if err := e.Reach(ctx); err != nil {
		return []Finding{{Verdict: Warning, Detail: fmt.Sprintf("no message would arrive: %v", err), Remedy: "see whether WATCHDOG_NOTIFY_URL is right, and whether this pod may connect there"}}
	}
	return []Finding{{Verdict: OK, Detail: e.Notified + " can be reached; nothing was sent"}}
}
