package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/control"
	"github.com/gpu-watchdog/gpu-watchdog/internal/panel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
)

// fetchPage asks whoever listens at our address for a status.
func fetchPage(ctx context.Context, address string) *page {
	p := &page{done: make(chan struct{}), err: panel.ErrUnreachable}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "0" {
		close(p.done)
		return p
	}
	go func() {
		defer close(p.done)
		var err error
		p.status, _, err = panel.Fetch(ctx, address)
		p.err = err
	}()
	return p
}

// watchdogHere is the status of the watchdog that runs here. The error is panel.ErrUnreachable where none does.
func (e *examination) watchdogHere(ctx context.Context) (status.Status, error) {
	if !arrived(ctx, e.page.done) {
		return status.Status{}, fmt.Errorf("status of %s: no answer in time", e.Config.Listen)
	}
	return e.page.status, e.page.err
}

// running tells whether a watchdog runs here already, and whether it is the one that these settings are for.
func (e *examination) running(ctx context.Context) []Finding {
	s, err := e.watchdogHere(ctx)
	first, word := host.FirstProgram("")
	switch {
	case err != nil && first == "gpu-watchdog" && (word == "run" || word == "exec"):
		return []Finding{{Verdict: Warning, Detail: fmt.Sprintf("gpu-watchdog %s is this container's first process, and does not answer at %s", word, e.Config.Listen),
			Remedy: "see its log; if it has another WATCHDOG_LISTEN than this shell, set that here too"}}
	case err != nil && !errors.Is(err, panel.ErrUnreachable):
		return []Finding{{Verdict: Warning, Detail: err.Error(), Remedy: "set WATCHDOG_LISTEN to an address that is free"}}
	case err != nil && e.takesOrders(ctx):
		return []Finding{{Verdict: Warning, Detail: fmt.Sprintf("one of this user takes orders on this machine, and does not answer at %s", e.Config.Listen),
			Remedy: "if it is this pod's, it has another WATCHDOG_LISTEN: set that here too; else nothing watches this pod: gpu-watchdog run"}}
	case err != nil:
		return []Finding{{Verdict: Note, Detail: "none runs here yet, so nothing watches this pod", Remedy: "`gpu-watchdog run` beside the server, or `gpu-watchdog exec --` in front of its command"}}
	}
	state := "not armed"
	switch {
	case s.DryRun.Value:
		state = "dry run"
	case s.Armed.Value:
		state = "armed"
	}
	detail := fmt.Sprintf("gpu-watchdog %s runs here for %s (%s)", s.Version, s.Name.Or("an unknown pod"), state)
	if s.Verdict.Known {
		detail += fmt.Sprintf("; it says %s: %s", s.Verdict.Value, s.Reason.Or("no reason"))
	}
	out := []Finding{{Verdict: OK, Detail: detail}}
	if s.Config.Known && !slices.Contains(e.Hashes, s.Config.Value) {
		out = append(out, Finding{Verdict: Warning, Detail: "it has other settings than this shell, and what is found below holds for those of this shell",
			Remedy: "load what the pod was started with, and ask again: on RunPod `. /etc/rp_environment`, in a container `docker exec` or `kubectl exec` into it"})
	}
	known := e.Config.Warnings()
	for _, w := range s.Warnings {
		if slices.Contains(known, w) {
			continue // said with the settings
		}
		text, remedy := split(w, "gpu-watchdog status")
		out = append(out, Finding{Verdict: Warning, Detail: "it warns: " + text, Remedy: remedy})
	}
	return out
}

// takesOrders says whether a watchdog of this user is there to be told to hold, postpone, release or stop.
func (e *examination) takesOrders(ctx context.Context) bool {
	_, err := (control.Client{Path: e.ControlSocket}).Standing(ctx)
	return err == nil
}

// mentions says whether a running watchdog complains of a setting.
func mentions(warnings []string, setting string) bool {
	return slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, setting) })
}
