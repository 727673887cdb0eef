package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/panel"
)

// widest is the width of the panel where the terminal is wider, or is none.
const widest = 100

func newStatus() *cobra.Command {
	var output, address string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what a running watchdog knows, and what it is about to do",
		Long: "Show what a running watchdog knows, and what it is about to do.\n" +
			"It asks the watchdog at WATCHDOG_LISTEN; exit code 4 says that nobody answers there.",
		Example: "  gpu-watchdog status\n  gpu-watchdog status --output json | jq .stop_at",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "panel" && output != "json" {
				return wrongUse{fmt.Errorf("--output %q is none of panel, json", output)}
			}
			var wrong error
			if address == "" {
				cfg, env, err := settings()
				address, wrong = string(cfg.Listen), err
				if err != nil && !staysUp(env, err) {
					return err
				}
				if err != nil {
					address = listenDespite(os.Getenv(config.Prefix + "LISTEN"))
				}
			}
			s, raw, err := panel.Fetch(cmd.Context(), address)
			if errors.Is(err, panel.ErrUnreachable) {
				return errors.Join(wrong, notReachable{err})
			}
			if err != nil {
				return err
			}
			if output == "json" {
				_, err = cmd.OutOrStdout().Write(raw)
				return err
			}
			return panel.Render(cmd.OutOrStdout(), s, panelOptions())
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "panel", "panel or json")
	cmd.Flags().StringVar(&address, "address", "", "host:port of the watchdog (default: "+config.Prefix+"LISTEN)")
	return cmd
}

// panelOptions fit the panel to the terminal, if there is one.
func panelOptions() panel.Options {
	o := panel.Options{Width: widest}
	if !term.IsTerminal(int(os.Stdout.Fd())) {
		return o
	}
	o.Color = os.Getenv("NO_COLOR") == ""
	if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
		o.Width = min(width, widest)
	}
	return o
}
