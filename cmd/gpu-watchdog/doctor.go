package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/term"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/doctor"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func newDoctor() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that the watchdog needs on this pod, and change nothing",
		Long: "Check everything that the watchdog needs on this pod: settings, identity, servers, sockets, GPUs, price, clock, disk,\n" +
			"addresses, and whether a stop would come about. Each check has a verdict and, where all is not well, what to do.\n" +
			"It reads the same settings as run, and may be asked before, beside and without a watchdog that runs.\n\n" +
			"It changes nothing: no file, no folder, no socket. Nobody is sent a message. RunPod is asked what it knows of this pod,\n" +
			"Kubernetes for a dry run of the stop, hosts of webhooks and messages are connected to and sent nothing.\n\n" +
			"✓ ok   · note: good to know   ! warning: works, and less well than it could   ✗ failed\n\n" +
			"Exit codes: 0 nothing failed (there may be warnings), 1 a check failed, 2 settings are wrong, so run would not start,\n" +
			"3 this pod is to be stopped (it is RunPod's, or WATCHDOG_STOP is set) and a stop would be refused. The worst counts.",
		Example: "  gpu-watchdog doctor\n  gpu-watchdog doctor --output json | jq '.checks[] | select(.verdict == \"failed\")'\n" +
			"  gpu-watchdog doctor && gpu-watchdog run",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return wrongUse{fmt.Errorf("--output %q is none of table, json", output)}
			}
			pod, err := patient()
			if err != nil {
				return err
			}
			r := doctor.Examine(cmd.Context(), pod)
			if output == "json" {
				err = r.JSON(cmd.OutOrStdout())
			} else {
				err = r.Table(cmd.OutOrStdout(), doctorsLook())
			}
			return errors.Join(err, diagnosis(r))
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

// diagnosis gives the report its exit code.
func diagnosis(r doctor.Report) error {
	switch r.Outcome() {
	case doctor.Misconfigured:
		return wrongUse{errors.New("the settings are wrong")}
	case doctor.WouldRefuse:
		return refused{errors.New("this pod would not be stopped")}
	case doctor.Unhealthy:
		return errors.New("a check failed")
	case doctor.Healthy:
	}
	return nil
}

// doctorsLook fits the table to the terminal, if there is one.
func doctorsLook() doctor.Look {
	o := panelOptions()
	return doctor.Look{Color: o.Color && term.IsTerminal(int(os.Stdout.Fd())), Width: o.Width}
}

// patient puts together what is to be examined, as run would.
func patient() (doctor.Pod, error) {
	env := host.PodEnvironment(os.Getenv, "")
	cfg, mistakes, err := goodSettings(os.Environ(), env)
	if err != nil {
		return doctor.Pod{}, wrongUse{err}
	}
	agent := "gpu-watchdog/" + version
	dates := &doctor.DateReader{Base: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: 5 * time.Second, DisableKeepAlives: true}}
	pod := doctor.Pod{
		Version: version, Agent: agent, Config: cfg, Mistakes: mistakes, Hashes: hashes(env),
		Env: env, TempDir: os.TempDir(), Ports: servedPorts(cfg), Policy: policyOf(cfg), Tariff: tariffOf(cfg),
		Sidecar: alone(), ControlSocket: socketPath(cfg), Skew: dates.Skew,
	}
	a := takeAim(stopContext{
		cfg: cfg, env: env, agent: agent, web: &http.Client{Transport: dates},
		decision: func() watchdog.Decision { return watchdog.Decision{} },
	}, zap.NewNop())
	pod.Armed, pod.Refused, pod.Unarmed = a.armed, a.refused, a.unarmed
	pod.Asked = len(cfg.Stop) > 0 || env.PodID.Value != ""
	for _, m := range a.means {
		pod.Targets = append(pod.Targets, targetOf(m))
	}
	told, err := notifier(cfg, agent, "", zap.NewNop())
	if err != nil {
		return doctor.Pod{}, err
	}
	if told != nil {
		pod.Notified, pod.Reach = told.String(), told.Reach
	}
	return pod, nil
}

func targetOf(m means) doctor.Target {
	t := doctor.Target{Kind: m.target.Kind, ID: m.target.ID, Action: m.target.Action, Unusable: m.unusable, Rehearse: m.rehearse}
	if m.describe != nil {
		t.Describe = func(ctx context.Context) (watchdog.Pod, string, string) {
			pod, permission, detail := m.describe(ctx)
			return pod, string(permission), detail
		}
	}
	return t
}

// alone says that a watchdog in this container sees neither the CPU nor the terminals of the server's: it is the first process, as in
// a sidecar (see look).
func alone() bool {
	if os.Getpid() == 1 {
		return true
	}
	name, word := host.FirstProgram("")
	return name == "gpu-watchdog" && word == "run"
}

// goodSettings reads the configuration as far as it is right, and returns what is wrong with the rest: the variables that are refused
// count as not set.
func goodSettings(environ []string, env host.PodEnv) (config.Config, []config.Problem, error) {
	onTerminal := term.IsTerminal(int(os.Stderr.Fd()))
	cfg, first := settingsOfPod(environ, env, onTerminal)
	var mistakes *config.Error
	if !errors.As(first, &mistakes) {
		return cfg, nil, first
	}
	left, found := slices.Clone(environ), mistakes
	const most = 5 // what is left out may uncover a contradiction between those that stay
	for range most {
		left = unset(left, found.Problems)
		cfg, err := settingsOfPod(left, env, onTerminal)
		if err == nil {
			return cfg, mistakes.Problems, nil
		}
		if !errors.As(err, &found) {
			return cfg, nil, err
		}
	}
	return cfg, nil, first
}

// unset leaves out the variables that are refused, and names a pod that has no name.
func unset(environ []string, problems []config.Problem) []string {
	bad := map[string]bool{}
	for _, p := range problems {
		name := strings.TrimSuffix(p.Variable, "_FILE")
		bad[name], bad[name+"_FILE"] = true, true
	}
	environ = slices.DeleteFunc(environ, func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		// The names of unknown variables are cut where they are long.
		return bad[name] || strings.HasPrefix(name, config.Prefix) && slices.ContainsFunc(problems, func(p config.Problem) bool {
			cut, long := strings.CutSuffix(p.Variable, "…")
			return long && strings.HasPrefix(name, cut)
		})
	})
	if bad[config.Prefix+"NAME"] {
		environ = append(environ, config.Prefix+"NAME=unnamed")
	}
	return environ
}

// hashes are those of a watchdog with these settings, started from a terminal or not.
func hashes(env host.PodEnv) (out []string) {
	for _, onTerminal := range []bool{false, true} {
		if cfg, err := settingsOfPod(os.Environ(), env, onTerminal); err == nil {
			out = append(out, cfg.Hash())
		}
	}
	return out
}
