package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
)

// perRung bounds one way to ask RunPod for a stop.
const perRung = 15 * time.Second

func runpodMeans(a stopContext) means {
	m := means{target: loop.Target{Kind: config.StopRunpod, ID: a.env.PodID.Value, Action: string(a.cfg.StopAction)}}
	switch {
	case a.env.PodID.Value == "":
		m.unusable = "WATCHDOG_STOP=runpod, but RUNPOD_POD_ID is nowhere to be found: is this a RunPod pod?"
		return m
	case !a.cfg.RunpodAPIKey.IsSet():
		m.unusable = "there is no key for RunPod's API: set WATCHDOG_RUNPOD_API_KEY"
		return m
	}
	client, err := runpod.New(runpod.Config{
		PodID: a.env.PodID.Value, APIKey: a.cfg.RunpodAPIKey.Reveal(), Action: string(a.cfg.StopAction),
		APIURL: string(a.cfg.RunpodAPIURL), GraphQLURL: string(a.cfg.RunpodGraphQLURL), UserAgent: a.agent,
		HTTPClient: a.web,
	})
	if err != nil {
		m.unusable = err.Error()
		return m
	}
	m.flight = stopper.Flight{Target: client.Target(), Rungs: client.Rungs(), Each: perRung}
	m.describe = func(ctx context.Context) (watchdog.Pod, loop.Permission, string) {
		pod, permission, err := client.Describe(ctx)
		return pod, loop.Permission(permission), unread(err)
	}
	m.rehearse = func(ctx context.Context) (string, error) { return rehearseRunpod(ctx, client, a.cfg.StopAction) }
	return m
}

// unread words why RunPod says nothing of this pod.
func unread(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, runpod.ErrReadRefused):
		return "the key may not read this pod, which does not mean that it may not stop it; without a price from WATCHDOG_PRICE money is unknown"
	}
	return fmt.Sprintf("RunPod could not be asked about this pod: %v", err)
}

// rehearseRunpod reads the pod with the key that a stop would use. RunPod has no dry run, so only a stop proves the right to it.
func rehearseRunpod(ctx context.Context, client *runpod.Client, action config.StopAction) (string, error) {
	pod, _, err := client.Describe(ctx)
	if action == config.ActionTerminate {
		// The second lock: the stop itself would look again.
		switch loss, err := client.WouldLose(ctx); {
		case err != nil:
			return "", fmt.Errorf("whether a termination would lose data cannot be told, so it is refused: %w", err)
		case loss != "":
			return "", fmt.Errorf("a termination would lose %s: WATCHDOG_STOP_ACTION=stop keeps it, terminate-and-lose-data does not mind", loss)
		}
	}
	switch {
	case pod.Locked.Or(false):
		return "", errors.New("the pod is locked: RunPod refuses every stop; unlock it in the console")
	case errors.Is(err, runpod.ErrReadRefused):
		return "RunPod answers, and the key may not read pod " + client.Target().ID + "; whether it may stop it, only a stop can prove", nil
	case err != nil:
		return "", err
	}
	price := "an unknown price"
	if pod.PriceUSDPerHour.Known {
		price = fmt.Sprintf("%.3f $/h", pod.PriceUSDPerHour.Value)
	}
	return fmt.Sprintf("the key reads pod %s (%s); RunPod has no dry run, so only a %s proves the right to it", client.Target().ID, price, action), nil
}
