package main

import (
	"context"
	"fmt"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/command"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/webhook"
)

// commandEach bounds a run of WATCHDOG_STOP_COMMAND: it may speak with a cloud, or wait for a disk.
const commandEach = time.Minute

func webhookMeans(a stopContext) means {
	m := means{target: loop.Target{Kind: config.StopWebhook, ID: providerID(a), Action: string(a.cfg.StopAction)}}
	hook, err := webhook.New(webhook.Config{
		URL: a.cfg.StopURL.Secret, Key: a.cfg.WebhookSecret, Action: string(a.cfg.StopAction),
		Name: a.cfg.Name, StartID: a.startID, Pod: providerID(a), Decision: a.decision, UserAgent: a.agent,
	})
	if err != nil {
		m.unusable = err.Error()
		return m
	}
	m.target.ID = hook.Target().ID
	m.flight = stopper.Flight{Target: hook.Target(), Rungs: []stopper.Rung{hook}, Each: perRung}
	m.rehearse = func(ctx context.Context) (string, error) {
		if err := hook.Reach(ctx); err != nil {
			return "", fmt.Errorf("%s cannot be reached: %w", hook.Target().ID, err)
		}
		return hook.Target().ID + " can be reached; what it does when it is asked, only a stop shows", nil
	}
	return m
}

func commandMeans(a stopContext) means {
	m := means{target: loop.Target{Kind: config.StopCommand, Action: string(a.cfg.StopAction)}}
	program, err := command.New(command.Config{
		Argv: a.cfg.StopCommand.Argv(), Action: string(a.cfg.StopAction),
		Name: a.cfg.Name, StartID: a.startID, Pod: providerID(a), Decision: a.decision, Timeout: commandEach,
	})
	if err != nil {
		m.unusable = err.Error()
		return m
	}
	m.target.ID = program.Target().ID
	m.flight = stopper.Flight{Target: program.Target(), Rungs: []stopper.Rung{program}, Each: commandEach}
	m.rehearse = func(context.Context) (string, error) {
		return program.Target().ID + " is there and may be run; what it does, only a stop shows", nil
	}
	return m
}

// providerID is the provider's id of this pod, as far as there is one.
func providerID(a stopContext) string {
	if id := a.env.PodID.Value; id != "" {
		return id
	}
	return a.env.PodName.Value
}
