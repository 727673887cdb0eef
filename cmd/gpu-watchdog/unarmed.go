package main

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/web"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// mistakesEvery is how often the mistakes of a configuration are said again.
const mistakesEvery = time.Minute

// staysUp says that a mistake in the settings must not end this process: on Kubernetes a sidecar that ends makes its whole pod
// unready and takes the server beside it out of its Service, and one that ends at its start keeps that server from starting at all.
func staysUp(env host.PodEnv, err error) bool {
	var wrong wrongUse
	return env.KubernetesServiceHost.Value != "" && errors.As(err, &wrong)
}

// unarmed is what runs in place of the watch where that cannot be configured: it watches nothing and stops nothing, and says so.
type unarmed struct {
	mistakes []string
	env      host.PodEnv
	log      *zap.Logger
	pages    *web.Server
	began    time.Time
}

func newUnarmed(env host.PodEnv, wrong error, log *zap.Logger) *unarmed {
	u := &unarmed{mistakes: mistakesIn(wrong), env: env, log: log, began: time.Now()}
	listen := listenDespite(os.Getenv(config.Prefix + "LISTEN"))
	u.pages = web.New(web.Config{
		Listen: listen, AllowedHosts: hostNames(config.Config{Listen: config.ListenAddress(listen)}, env), Log: log, Version: version, Latest: u.view,
	})
	return u
}

// run serves the pages and says the mistakes until ctx ends.
func (u *unarmed) run(ctx context.Context) {
	var pages sync.WaitGroup
	pages.Go(func() {
		if err := u.pages.Run(ctx); err != nil {
			u.log.Warn("pages ended", zap.Error(err))
		}
	})
	u.complain(ctx)
	pages.Wait()
	u.log.Info("watchdog ended")
}

// complain says all mistakes, now and each minute.
func (u *unarmed) complain(ctx context.Context) {
	again := time.NewTicker(mistakesEvery)
	defer again.Stop()
	for {
		u.log.Error("configuration refused", zap.Strings("mistakes", u.mistakes), zap.Bool("armed", false),
			zap.String("remedy", "nothing is watched and nothing is stopped until the settings are mended and the container starts anew"))
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// view is what the pages show: a decision, made this moment, to do nothing, for the mistakes.
func (u *unarmed) view() *loop.View {
	now := time.Now()
	text := strings.Join(u.mistakes, "; ")
	id := loop.Identity{Version: version, StartID: u.env.PodUID.Value, Unarmed: text}
	return &loop.View{
		Identity: id, StartedAt: u.began, Stale: mistakesEvery, Permission: loop.PermissionUnproven,
		Decision: watchdog.Decision{
			At: now, Activity: watchdog.Unknown, ActivitySince: u.began,
			Reasons: []watchdog.Because{{Code: watchdog.NotArmed, Detail: text, Since: u.began}},
		},
		Warnings: append(append([]string(nil), u.mistakes...), u.pages.Warnings()...),
	}
}

// mistakesIn are the mistakes that an error is about, each a line that is fit to be shown.
func mistakesIn(wrong error) (out []string) {
	var refused *config.Error
	if !errors.As(wrong, &refused) {
		return []string{wrong.Error()}
	}
	for _, p := range refused.Problems {
		out = append(out, p.String())
	}
	return out
}

// listenDespite is where the pages are in spite of mistakes: where WATCHDOG_LISTEN says, if that is none of them. Else it is the
// default's port at every address, since a set one means that the kubelet is to reach it, whose probes must not fail.
func listenDespite(set string) string {
	environ := []string{config.Prefix + "INGEST_LISTEN=off"}
	cfg, err := config.Load(append(environ, config.Prefix+"LISTEN="+set), config.Options{Hostname: "any"})
	if err == nil {
		return string(cfg.Listen)
	}
	cfg, err = config.Load(environ, config.Options{Hostname: "any"})
	_, port, errPort := net.SplitHostPort(string(cfg.Listen))
	if err != nil || errPort != nil {
		return "" // the defaults have no mistakes
	}
	return net.JoinHostPort("", port)
}
