package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
)

// perRung bounds one way to ask for a stop.
const perRung = 15 * time.Second

// aim is what a stop would stop, and whether it can.
type aim struct {
	target  loop.Target
	armed   bool
	unarmed string
	// refused says why this pod must never be stopped.
	refused string
	ladder  *stopper.Ladder
	client  *runpod.Client
	answers *answers
}

// takeAim finds what may be stopped: on a RunPod pod that pod, elsewhere nothing. A target that is set and cannot be used
// is never quietly dry: it is unarmed, and says why.
func takeAim(cfg config.Config, env host.PodEnv, agent string, log *zap.Logger) aim {
	a := aim{answers: &answers{count: map[loop.AttemptKey]uint64{}}}
	if env.EndpointID.Value != "" {
		a.refused = "this is a worker of RunPod serverless endpoint " + env.EndpointID.Value + ": RunPod itself starts and stops it"
		a.target = loop.Target{Kind: config.StopRunpod, ID: env.PodID.Value, Action: "stop"}
		return a
	}
	if text := notYet(cfg); text != "" {
		a.unarmed = text
		return a
	}
	wanted := len(cfg.Stop) > 0
	switch {
	case env.PodID.Value == "" && !wanted:
		a.unarmed = "this is not a RunPod pod (no RUNPOD_POD_ID), and WATCHDOG_STOP names nothing else"
		return a
	case env.PodID.Value == "":
		a.unarmed = "WATCHDOG_STOP=runpod, but RUNPOD_POD_ID is nowhere to be found: is this a RunPod pod?"
	}
	a.target = loop.Target{Kind: config.StopRunpod, ID: env.PodID.Value, Action: "stop"}
	if a.unarmed != "" {
		return a
	}
	if !cfg.RunpodAPIKey.IsSet() {
		a.unarmed = "there is no key for RunPod's API: set WATCHDOG_RUNPOD_API_KEY"
		return a
	}
	client, err := runpod.New(runpod.Config{
		PodID: env.PodID.Value, APIKey: cfg.RunpodAPIKey.Reveal(),
		APIURL: string(cfg.RunpodAPIURL), GraphQLURL: string(cfg.RunpodGraphQLURL), UserAgent: agent,
	})
	if err != nil {
		a.unarmed = err.Error()
		return a
	}
	a.client = client
	a.armed = true
	a.ladder = stopper.NewLadder(client.Target(), client.Rungs(), perRung, log)
	a.ladder.OnAnswer = a.answers.add
	return a
}

// notYet names what the settings ask for and nothing here does; "" where there is nothing of the kind.
func notYet(cfg config.Config) string {
	for _, target := range cfg.Stop {
		if target != config.StopRunpod {
			return "WATCHDOG_STOP names " + target + ", through which this build stops nothing; set it to " + config.StopRunpod
		}
	}
	if cfg.StopAction != "" && cfg.StopAction != config.ActionStop {
		return "WATCHDOG_STOP_ACTION=" + string(cfg.StopAction) + " is nothing that this build asks for; set it to " + string(config.ActionStop)
	}
	return ""
}

// answers counts what the ladder was told.
type answers struct {
	mu    sync.Mutex
	count map[loop.AttemptKey]uint64
}

func (a *answers) add(answer stopper.Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count[loop.AttemptKey{Target: config.StopRunpod, Result: answer.Kind.String()}]++
}

func (a *answers) all() map[loop.AttemptKey]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[loop.AttemptKey]uint64, len(a.count))
	for k, n := range a.count {
		out[k] = n
	}
	return out
}

// podReader turns what RunPod's client reads into the loop's words.
type podReader struct{ client *runpod.Client }

func (p podReader) Describe(ctx context.Context) (watchdog.Pod, loop.Permission, string) {
	pod, permission, err := p.client.Describe(ctx)
	detail := ""
	switch {
	case errors.Is(err, runpod.ErrReadRefused):
		detail = "the key may not read this pod, which does not mean that it may not stop it; without a price from WATCHDOG_PRICE money is unknown"
	case err != nil:
		detail = fmt.Sprintf("RunPod could not be asked about this pod: %v", err)
	}
	return pod, loop.Permission(permission), detail
}
