package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
)

const (
	// kubernetesEach bounds a stop through Kubernetes, which is about six requests.
	kubernetesEach = 30 * time.Second
	// drainFor is how long a pod is unready before the final look. With the probe of deploy/kubernetes the kubelet asks /readyz every
	// 3 s and takes two failures for a no: 6 s. From then on the pod leaves the EndpointSlices at once, and the rules of each node
	// within spread: kube-proxy gathers changes for a second. So 8 s after its readiness began to fail nobody new is sent to it.
	drainFor = 10 * time.Second
	// spread is how long it takes from an unready pod to no new connections.
	spread = 2 * time.Second
)

func kubernetesMeans(a stopContext) means {
	m := means{target: loop.Target{Kind: config.StopKubernetes, ID: string(a.cfg.KubernetesTarget), Action: "scale to 0"}}
	if a.env.KubernetesServiceHost.Value == "" {
		m.unusable = "WATCHDOG_STOP=kubernetes, but KUBERNETES_SERVICE_HOST is not set: is this a Kubernetes pod?"
		return m
	}
	client, err := kubernetes.New(kubernetes.Config{
		Host: a.env.KubernetesServiceHost.Value, Port: os.Getenv("KUBERNETES_SERVICE_PORT"),
		PodName: a.env.PodName.Value, PodUID: a.env.PodUID.Value, Namespace: a.env.PodNamespace.Value,
		Target: string(a.cfg.KubernetesTarget), UserAgent: a.agent,
		Why: func() string { return inWords(a.decision()) },
	})
	if err != nil {
		m.unusable = err.Error()
		return m
	}
	m.target.ID = client.Target().ID
	m.flight = stopper.Flight{Target: client.Target(), Rungs: client.Rungs(), Each: kubernetesEach}
	m.describe = func(ctx context.Context) (watchdog.Pod, loop.Permission, string) {
		d, err := client.Describe(ctx)
		permission := loop.Permission(d.Permission)
		if err != nil {
			return watchdog.Pod{}, loop.PermissionUnproven, err.Error()
		}
		if permission == loop.PermissionRefused {
			return watchdog.Pod{Refused: d.Detail}, permission, d.Detail
		}
		return watchdog.Pod{}, permission, ""
	}
	m.rehearse = func(ctx context.Context) (string, error) {
		answer := client.Rehearse(ctx)
		if !answer.Kind.Done() {
			return "", errors.New(answer.String())
		}
		return "the API server accepts it: " + answer.Detail, nil
	}
	m.whoUndid = client.WhoUndid
	return m
}

// inWords is a decision's leading reason in one line.
func inWords(d watchdog.Decision) string {
	if len(d.Reasons) == 0 {
		return string(d.Reason())
	}
	return fmt.Sprintf("%s: %s", d.Reasons[0].Code, d.Reasons[0].Detail)
}
