package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// means is one way to have this pod stopped: one entry of WATCHDOG_STOP.
type means struct {
	target loop.Target
	// unusable says why it cannot be used and what to do; empty where it can. The rest is not set then.
	unusable string
	flight   stopper.Flight
	// describe asks what the provider knows of this pod and of our right to stop it; nil where there is nobody to ask.
	describe func(ctx context.Context) (watchdog.Pod, loop.Permission, string)
	// rehearse does all of a stop but the stop, and says in one line what came of it. Its error is a refusal.
	rehearse func(ctx context.Context) (string, error)
	// whoUndid says who undid the last stop; nil where nobody keeps a record of that.
	whoUndid func(ctx context.Context) (string, error)
}

// aim is what a stop would stop, and whether it can.
type aim struct {
	means   []means
	target  loop.Target
	armed   bool
	unarmed string
	// refused says why this pod must never be stopped.
	refused string
	// warnings are about means that cannot be used beside others that can.
	warnings []string
	ladder   *stopper.Ladder
	answers  *answers
}

// stopContext is what a stop is told about itself.
type stopContext struct {
	cfg     config.Config
	env     host.PodEnv
	agent   string
	startID string
	// decision is the one that led to the stop.
	decision func() watchdog.Decision
	// web speaks with RunPod; nil where its client shall have one of its own.
	web *http.Client
}

// takeAim finds what may be stopped: what WATCHDOG_STOP names, else on a RunPod pod that pod, else nothing. Means that are set and
// cannot be used are never quietly dry: they are not armed, and say why.
func takeAim(a stopContext, log *zap.Logger) aim {
	out := aim{answers: &answers{count: map[loop.AttemptKey]uint64{}}}
	if a.env.EndpointID.Value != "" {
		out.refused = "this is a worker of RunPod serverless endpoint " + a.env.EndpointID.Value + ": RunPod itself starts and stops it"
		out.target = loop.Target{Kind: config.StopRunpod, ID: a.env.PodID.Value, Action: string(a.cfg.StopAction)}
		return out
	}
	kinds := []string(a.cfg.Stop)
	if len(kinds) == 0 && a.env.PodID.Value != "" {
		kinds = []string{config.StopRunpod}
	}
	if len(kinds) == 0 {
		out.unarmed = "this is not a RunPod pod (no RUNPOD_POD_ID), and WATCHDOG_STOP names nothing else"
		return out
	}
	var flights []stopper.Flight
	var unusable []string
	for _, kind := range kinds {
		m := meansOf(kind, a)
		if m.unusable != "" {
			unusable = append(unusable, m.unusable)
		} else {
			flights = append(flights, m.flight)
			if !out.armed {
				out.armed, out.target = true, m.target
			}
		}
		out.means = append(out.means, m)
	}
	if !out.armed {
		out.target, out.unarmed = out.means[0].target, strings.Join(unusable, "; ")
		return out
	}
	out.warnings = unusable
	out.ladder = stopper.NewLadder(log, flights...)
	out.ladder.OnAnswer = out.answers.add
	return out
}

func meansOf(kind string, a stopContext) means {
	switch kind {
	case config.StopKubernetes:
		return kubernetesMeans(a)
	case config.StopWebhook:
		return webhookMeans(a)
	case config.StopCommand:
		return commandMeans(a)
	}
	return runpodMeans(a)
}

// Describe asks each provider. What one way alone can say counts, as the price and the owner's lock on the pod; our right to stop it is
// that of the first that can tell. One that would refuse leaves the others: the pod is held for that only where every way refuses.
func (a aim) Describe(ctx context.Context) (pod watchdog.Pod, permission loop.Permission, detail string) {
	var refused []string
	open := false
	for _, m := range a.means {
		if m.describe == nil {
			open = open || m.unusable == ""
			continue
		}
		p, right, text := m.describe(ctx)
		if p.Refused != "" {
			refused = append(refused, p.Refused)
		} else {
			open = true
			if permission == "" {
				permission = right
			}
		}
		if detail == "" {
			detail = text
		}
		if !pod.PriceUSDPerHour.Known {
			pod.PriceUSDPerHour = p.PriceUSDPerHour
		}
		if pod.Status == "" {
			pod.Status = p.Status
		}
		if !pod.Locked.Or(false) && p.Locked.Known {
			pod.Locked = p.Locked
		}
	}
	switch {
	case !open && len(refused) > 0:
		pod.Refused, permission = strings.Join(refused, "; "), loop.PermissionRefused
	case permission == "":
		permission = loop.PermissionUnproven
	}
	return pod, permission, detail
}

// described says that there is a provider to ask.
func (a aim) described() bool {
	for _, m := range a.means {
		if m.describe != nil {
			return true
		}
	}
	return false
}

// usable says that a stop may go that way.
func (a aim) usable(kind string) bool {
	return slices.ContainsFunc(a.means, func(m means) bool { return m.unusable == "" && m.target.Kind == kind })
}

// Rehearse goes through all means in their order. One that would do is enough: the ladder has the others for when it does not.
func (a aim) Rehearse(ctx context.Context) (string, error) {
	var lines []string
	would := false
	for _, m := range a.means {
		text, err := m.unusable, error(nil)
		if text != "" {
			err = errors.New(text)
		} else {
			text, err = m.rehearse(ctx)
		}
		if err != nil {
			lines = append(lines, fmt.Sprintf("%s: would not stop it: %v", m.target.Kind, err))
			continue
		}
		would = true
		lines = append(lines, m.target.Kind+": "+text)
	}
	text := strings.Join(lines, "\n")
	if !would {
		return "", errors.New(text)
	}
	return text, nil
}

// WhoUndid says who undid the last stop, by the first provider that keeps a record.
func (a aim) WhoUndid(ctx context.Context) (string, error) {
	for _, m := range a.means {
		if m.whoUndid != nil {
			return m.whoUndid(ctx)
		}
	}
	return "", nil
}

// answers counts what the ladder was told.
type answers struct {
	mu    sync.Mutex
	count map[loop.AttemptKey]uint64
}

func (a *answers) add(target stopper.Target, answer stopper.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count[loop.AttemptKey{Target: target.Kind, Result: answer.Kind.String()}]++
}

func (a *answers) all() map[loop.AttemptKey]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.count)
}
