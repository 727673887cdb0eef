package doctor

import (
	"context"
	"fmt"
	"os"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// identityOfPod tells where we are: which provider's pod, and what is this container's first process.
func (e *examination) identityOfPod(context.Context) []Finding {
	var out []Finding
	env := e.Env
	switch {
	case env.EndpointID.Value != "":
		out = append(out, Finding{Verdict: Failed, refused: true,
			Detail: "a worker of RunPod's serverless endpoint " + env.EndpointID.Value + ": RunPod itself starts and stops it, and a watchdog never does",
			Remedy: "set the endpoint's own idle timeout in RunPod's console; gpu-watchdog is for pods"})
	case env.PodID.Value != "":
		out = append(out, Finding{Verdict: OK, Detail: fmt.Sprintf("RunPod pod %s (RUNPOD_POD_ID of %s)", env.PodID.Value, from(env.PodID.From))})
	case env.KubernetesServiceHost.Value != "":
		name := "an unnamed pod"
		if env.PodName.Value != "" {
			name = "pod " + env.PodName.Value
		}
		if env.PodNamespace.Value != "" {
			name += " in namespace " + env.PodNamespace.Value
		}
		f := Finding{Verdict: OK, Detail: "Kubernetes, " + name}
		if env.PodName.Value == "" || env.PodUID.Value == "" {
			f.Verdict, f.Remedy = Warning, "give the container POD_NAME, POD_NAMESPACE and POD_UID by the downward API, as deploy/kubernetes does"
		}
		out = append(out, f)
	default:
		out = append(out, Finding{Verdict: Note, Detail: "neither a RunPod pod (no RUNPOD_POD_ID) nor a Kubernetes pod: a machine of your own, known as " + e.Config.Name})
	}
	if e.Sidecar {
		out = append(out, Finding{Verdict: Note, Detail: "gpu-watchdog is the first process of this container, as in a sidecar: CPU and terminals of the server's container cannot be seen from it",
			Remedy: "nothing, if the server has a container of its own; else start both in one, as deploy/runpod does"})
	}
	return out
}

func from(place string) string {
	if place == host.FromEnvironment {
		return "the environment"
	}
	return place
}

// identityOfStart tells whether a pod that was stopped and resumed could be told from one that was not.
func (e *examination) identityOfStart(context.Context) []Finding {
	cfg := host.IdentityConfig{PodUID: e.Env.PodUID.Value, Volumes: []string{e.Config.Dir}, TempDir: e.TempDir}
	if e.Config.Explicit(config.Prefix + "START_ID_FILE") {
		cfg.File = e.Config.StartIDFile
	}
	place, err := host.PeekIdentity(cfg)
	out := judgeStart(place, err, e.Asked)
	if uid := e.Env.PodUID.Value; uid != "" && !place.PodUID {
		return []Finding{{Verdict: Warning, Detail: "POD_UID is set and is no pod's UID, so it is not used", Remedy: "take it from the downward API (metadata.uid), as deploy/kubernetes does"}, out}
	}
	return []Finding{out}
}

func judgeStart(place host.IdentityPlace, err error, asked bool) Finding {
	switch {
	case err != nil:
		return Finding{Verdict: Failed, refused: asked,
			Detail: fmt.Sprintf("%v: so this start of the pod would be unknown, and then nothing is ever stopped", err),
			Remedy: fmt.Sprintf("set WATCHDOG_START_ID_FILE to a file on the container's own disk that user %d may write", os.Geteuid())}
	case place.PodUID:
		return Finding{Verdict: OK, Detail: "told by Kubernetes' pod UID (POD_UID)"}
	case place.Volume != "":
		return Finding{Verdict: Warning, Detail: fmt.Sprintf("%s lies on the volume %s, which outlives a stop: a resumed pod could be taken for this one", place.Path, place.Volume),
			Remedy: "set WATCHDOG_START_ID_FILE to a file on the container's own disk, or unset it"}
	case place.Known:
		return Finding{Verdict: OK, Detail: place.Path + " is there, on the container's own disk: a watchdog has run since the pod was started"}
	}
	return Finding{Verdict: OK, Detail: place.Path + " can be made, on the container's own disk"}
}
