package main

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/control"
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// terminals turns what is seen of terminals into the core's words.
type terminals struct{ *host.Terminals }

// Read names the terminal that was used last.
func (t terminals) Read(ctx context.Context) watchdog.People {
	reading := t.Terminals.Read(ctx)
	var out watchdog.People
	if reading.State == watchdog.SourceOK {
		out.TerminalsOpen = watchdog.Known(reading.Open)
	}
	if len(reading.Uses) == 0 {
		return out
	}
	last := reading.Uses[0]
	out.TerminalUsed, out.Terminal = watchdog.Known(last.Ago), last.Name
	if last.Program != "" {
		out.Terminal = fmt.Sprintf("%s (%s)", last.Name, last.Program)
	}
	return out
}

// notifier is who tells people; nil where nobody is to be told.
func notifier(cfg config.Config, agent, startID string, log *zap.Logger) (*notify.Notifier, error) {
	if !cfg.NotifyURL.IsSet() {
		return nil, nil
	}
	n, err := notify.New(notify.Config{
		URL: cfg.NotifyURL.Secret, Key: cfg.WebhookSecret, Name: cfg.Name, StartID: startID, UserAgent: agent, Log: log,
	})
	if err != nil {
		return nil, wrongUse{err}
	}
	return n, nil
}

// takeOrders makes the socket through which people hold, release, postpone and stop.
func takeOrders(cfg config.Config, l *loop.Loop, log *zap.Logger) *control.Server {
	return control.New(control.Config{Path: socketPath(cfg), Orders: l, Log: log})
}

// socketPath is empty where nobody chose one, so that server and command look in the same places.
func socketPath(cfg config.Config) string {
	if !cfg.Explicit(config.Prefix + "CONTROL_SOCKET") {
		return ""
	}
	return cfg.ControlSocket
}
