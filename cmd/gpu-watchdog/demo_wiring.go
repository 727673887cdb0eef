package main

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector"
	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// wire puts together what `run` does, with the pod's addresses and disks in place of the machine's own: whatever this
// process runs on, even a real pod with a real key, none of it is read or asked.
func (d *demo) wire(pod *fakepod.Pod, gpu *fakepod.GPU, log *zap.Logger) (*watch, error) {
	cfg := d.scale.config(d.config)
	cfg.Name, cfg.Dir = fakepod.PodID, d.volume()
	cfg.VLLMURLs, cfg.IngestListen = config.ServerURLs{pod.Server.URL()}, ""
	cfg.Stop, cfg.TerminalGuard = config.StopTargets{config.StopRunpod}, 0 // this machine's terminals are none of the pod's
	cfg.RunpodAPIKey = secret.New(fakepod.APIKey)
	cfg.RunpodAPIURL, cfg.RunpodGraphQLURL = config.APIURL(pod.RunPod.URL()), config.APIURL(pod.RunPod.GraphQLURL())
	cfg.GPUs = config.Selection{None: true}
	if gpu != nil {
		cfg.NVMLLibrary, cfg.GPUs = gpu.Library, config.Selection{All: true}
	}
	env := host.PodEnv{PodID: host.EnvValue{Value: fakepod.PodID}, PodUID: host.EnvValue{Value: "the-first-start"}}
	w, err := wire(cfg, env, log)
	if err != nil {
		return nil, err
	}
	// The CPU of this machine is not the pod's.
	w.config.Looker.(*collector.Collector).Host = elsewhere{}
	if !cfg.DryRun {
		// Without runpodctl, which may be installed here and would leave loopback.
		flight := w.aim.means[0].flight
		flight.Rungs = slices.DeleteFunc(slices.Clone(flight.Rungs), func(r stopper.Rung) bool { return r.Name() == "runpodctl" })
		w.config.Stopper = stopper.NewLadder(log, flight)
	}
	return w, nil
}

// elsewhere stands for the CPU of a pod that is none of this machine.
type elsewhere struct{}

func (elsewhere) Read(context.Context, time.Duration) watchdog.Host {
	return watchdog.Host{State: watchdog.SourceAbsent, Reason: "the pod is simulated: this machine's CPU says nothing about it"}
}

// seen is a collector that says when the view of the tick before is there to be seen: at the next look. So no tick is
// missed, however busy this machine is.
type seen struct {
	*collector.Collector
	before func()
}

// Look takes one look.
func (s seen) Look(ctx context.Context, ask collector.Ask) watchdog.Snapshot {
	s.before()
	return s.Collector.Look(ctx, ask)
}
