package main

import (
	"context"
	"net"
	"os"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector"
	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/control"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/web"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// watch is the whole, put together. close gives back what was opened, in time for ctx.
type watch struct {
	loop      *loop.Loop
	web       *web.Server
	telemetry *telemetry
	server    *supervised
	config    loop.Config
	policy    costmodel.Policy
	aim       aim
	orders    *control.Server
	// beside is what runs beside the loop until ctx ends.
	beside []func(ctx context.Context)
	close  func(ctx context.Context)
}

// latest is the newest view; nil before the first tick.
func (w *watch) latest() *loop.View {
	if w.loop == nil {
		return nil
	}
	return w.loop.Latest()
}

// decision is the one that led to a stop, for whoever is asked for it.
func (w *watch) decision() watchdog.Decision {
	if w.loop == nil {
		return watchdog.Decision{}
	}
	return w.loop.Deciding()
}

// servedPorts are the ports that the socket table is read for.
func servedPorts(cfg config.Config) []uint16 {
	ports := host.ServedPorts(cfg.VLLMURLs)
	for _, port := range cfg.Ports {
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// wire puts the rooms together. It is the one place that knows them all.
func wire(cfg config.Config, env host.PodEnv, log *zap.Logger) (*watch, error) {
	agent := "gpu-watchdog/" + version
	policy := policyOf(cfg)
	identity := host.IdentityConfig{PodUID: env.PodUID.Value, Volumes: []string{cfg.Dir}, TempDir: os.TempDir()}
	if cfg.Explicit(config.Prefix + "START_ID_FILE") {
		identity.File = cfg.StartIDFile
	}
	start, err := host.StartIdentity(identity)
	warnings := append(cfg.Warnings(), env.Ignored...)
	if err != nil {
		warnings = append(warnings, err.Error())
	}
	if start.Warning != "" {
		warnings = append(warnings, start.Warning)
	}
	place := memory.Choose(cfg.Dir, cfg.Name, os.TempDir())
	if place.Warning != "" {
		warnings = append(warnings, place.Warning)
	}
	kept, contents := memory.Open(place.Dir, start.ID, time.Now)
	rows := keepTelemetry(cfg, place.Dir, start.ID, log)
	looker, closeSources, err := look(cfg, agent, rows, log)
	if err != nil {
		return nil, err
	}
	w := &watch{policy: policy, telemetry: rows}
	if server := underExec(log); server != nil {
		w.server, looker.Child = server, server.source.Read
		w.beside = append(w.beside, server.run)
	}
	w.aim = takeAim(stopContext{cfg: cfg, env: env, agent: agent, startID: start.ID, decision: w.decision}, log)
	a := w.aim
	warnings = append(warnings, a.warnings...)
	told, err := notifier(cfg, agent, start.ID, log)
	if err != nil {
		return nil, err
	}
	w.config = loop.Config{
		Rules: rulesOf(cfg, policy, a),
		Identity: loop.Identity{
			Version: version, Name: cfg.Name, StartID: start.ID, Config: cfg.Hash(), DryRun: cfg.DryRun,
			Policy: policy.Name, Wake: "manual", Target: a.target, Armed: a.armed || cfg.DryRun && a.refused == "", Unarmed: a.unarmed,
			Ports: servedPorts(cfg),
		},
		Looker: looker, Memory: kept, Kept: contents,
		Tariff: tariffOf(cfg),
		Price:  cfg.Price, ColdStart: cfg.ColdStart, ColdStartUnseen: cfg.ColdStartUnseen,
		Begun: costmodel.Begun{
			NewIdentity:        start.New || contents.State.StartID != start.ID,
			ContainerRestarted: start.ContainerRestarted,
			ContainerAge:       start.ContainerStart,
			Timeout:            cfg.StartupTimeout,
		},
		Warnings: warnings, Persistent: place.Persistent, Answers: a.answers.all, Log: log,
	}
	switch {
	case cfg.DryRun:
		w.config.Stopper = stopper.Dry{Target: stopper.Target(a.target)}
	case a.ladder != nil:
		w.config.Stopper = a.ladder
	}
	if a.described() {
		w.config.Provider = a
	}
	if len(a.means) > 0 {
		w.config.Rehearse = a.Rehearse
	}
	w.config.WhoUndid = a.WhoUndid
	if !cfg.DryRun && a.usable(config.StopKubernetes) {
		w.config.Drain = drainFor // a dry run must not take the pod out of its service either
	}
	if told != nil {
		w.config.Notifier = told
	}
	w.web = web.New(web.Config{
		Listen: string(cfg.Listen), AllowedHosts: hostNames(cfg, env), Log: log, Version: version,
		Latest:   w.latest,
		Draining: func() bool { return w.loop.Draining() },
		Served:   func(now time.Time) web.Served { return rows.served(now, w.loop.Price()) },
		Graded:   rows.live.Totals,
		Dropped:  func() uint64 { return rows.store.Stats().Dropped },
	})
	w.config.Report = func() []string {
		return slices.Concat(w.web.Warnings(), rows.warnings(), w.orders.Warnings(), told.Warnings())
	}
	w.config.Observed, w.config.Published = w.web.ObserveTick, rows.store.Record
	w.config.Started = func(start costmodel.Start) {
		rows.store.ColdStart(start)
		w.server.measured(start, func(d time.Duration) watchdog.Maybe[float64] {
			return costmodel.Tariff{StorageRunning: cfg.StorageRunning}.Quote(w.loop.Price(), d).ColdStartUSD
		})
	}
	w.loop = loop.New(w.config)
	w.orders = takeOrders(cfg, w.loop, log)
	if told != nil {
		w.beside = append(w.beside, told.Run)
	}
	w.close = func(ctx context.Context) {
		closeSources()
		if err := kept.Close(ctx); err != nil && place.Dir != "" {
			log.Warn("memory not written at the end", zap.Error(err))
		}
		if err := rows.store.Close(ctx); err != nil && place.Dir != "" {
			log.Warn("telemetry not written at the end", zap.Error(err))
		}
	}
	return w, nil
}

// look opens every source of evidence.
func look(cfg config.Config, agent string, rows *telemetry, log *zap.Logger) (*collector.Collector, func(), error) {
	own := &host.OwnConnections{}
	selection, err := nvml.ParseSelection(cfg.GPUs.String())
	if err != nil {
		return nil, nil, wrongUse{err}
	}
	gpu := nvml.New(nvml.Config{Library: cfg.NVMLLibrary, GPUs: selection}, log)
	sockets := host.NewSockets(host.SocketConfig{Ports: servedPorts(cfg), Own: own})
	c := &collector.Collector{GPU: gpu, Sockets: sockets, Host: host.NewHost(host.HostConfig{}), Rows: rows.rows.Activity, Whole: cfg.ProbeMaxTokens > 0}
	if os.Getpid() == 1 {
		// As the first process we are alone in this container: its CPU is ours, not the server's, and so are its terminals.
		c.Host = otherContainer{}
	} else if cfg.TerminalGuard > 0 {
		c.Terminals = terminals{host.NewTerminals(host.TerminalConfig{Ports: servedPorts(cfg)})}
	}
	closers := []func(){gpu.Close, func() { _ = sockets.Close() }}
	for _, url := range cfg.VLLMURLs {
		client, err := vllm.New(vllm.Config{URL: url, UserAgent: agent, Own: own})
		if err != nil {
			return nil, nil, wrongUse{err}
		}
		served := collector.Served{Source: &servedSource{Client: client, url: url, live: rows.live, now: time.Now}}
		if ports := host.ServedPorts([]string{url}); len(ports) > 0 {
			served.Port = ports[0]
		}
		c.Servers = append(c.Servers, served)
		closers = append(closers, client.Close)
	}
	return c, func() {
		for _, closer := range closers {
			closer()
		}
	}, nil
}

// otherContainer stands for a host whose CPU cannot be seen from this container.
type otherContainer struct{}

func (otherContainer) Read(context.Context, time.Duration) watchdog.Host {
	return watchdog.Host{State: watchdog.SourceAbsent, Reason: "the server runs in another container, whose CPU cannot be seen from this one"}
}

func tariffOf(cfg config.Config) costmodel.Tariff {
	return costmodel.Tariff{StorageRunning: cfg.StorageRunning, StorageStopped: cfg.StorageStopped, Penalty: costmodel.Penalty{
		Factor: cfg.ColdStartPenalty.Factor, USD: cfg.ColdStartPenalty.USD, InDollars: cfg.ColdStartPenalty.IsUSD}}
}

func policyOf(cfg config.Config) costmodel.Policy {
	p := costmodel.Policy{
		Name: costmodel.BreakEven, IdleMin: cfg.IdleMin, IdleMax: cfg.IdleMax,
		IdleMinSet: cfg.Explicit(config.Prefix + "IDLE_MIN"), CheckInterval: cfg.CheckInterval,
	}
	switch cfg.InForce() {
	case config.PolicyFixed:
		p.Name, p.IdleLimit = costmodel.Fixed, cfg.IdleLimit.Resolve(cfg.CheckInterval)
	case config.PolicySeed:
		p.Name = costmodel.Seed
		if cfg.IdleLimit.Set {
			p.IdleLimit = cfg.IdleLimit.Resolve(cfg.CheckInterval)
		}
	case config.PolicyAuto, config.PolicyBreakEven:
	}
	return p
}

func rulesOf(cfg config.Config, policy costmodel.Policy, a aim) *watchdog.Rules {
	r := &watchdog.Rules{
		CheckInterval: cfg.CheckInterval, StartupTimeout: cfg.StartupTimeout, BrokenLimit: cfg.BrokenLimit,
		MinRuntime: cfg.MinRuntime, WarnBefore: cfg.WarnBefore, Threshold: policy.Threshold,
		MaxRuntime: cfg.MaxRuntime, MaxSpendPerDay: float64(cfg.MaxSpendPerDay), BlindLimit: cfg.BlindLimit,
		TerminalGuard: cfg.TerminalGuard, Keep: cfg.KeepHours.Until,
		CPUBusy: float64(cfg.CPUBusy), Ports: cfg.Ports, ProbeMaxTokens: cfg.ProbeMaxTokens,
		Armed: a.armed || cfg.DryRun, Unarmed: a.unarmed, Refused: a.refused,
	}
	switch cfg.IdleThreshold.Mode {
	case config.ThresholdFixed:
		r.GPUMode, r.GPUPercent = watchdog.ThresholdFixed, cfg.IdleThreshold.Percent
	case config.ThresholdDynamic:
		r.GPUMode = watchdog.ThresholdDynamic
	case config.ThresholdAuto:
	}
	return r
}

// hostNames are the names under which this machine may be asked: its own, and the one by which RunPod's proxy serves the
// port.
func hostNames(cfg config.Config, env host.PodEnv) (names []string) {
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	if _, port, err := net.SplitHostPort(string(cfg.Listen)); err == nil && env.PodID.Value != "" {
		names = append(names, env.PodID.Value+"-"+port+".proxy.runpod.net")
	}
	return names
}
