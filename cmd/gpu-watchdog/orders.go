package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/control"
	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

func newHold() *cobra.Command {
	return orderCommand(&cobra.Command{
		Use:   "hold DURATION [WHY]",
		Short: "Keep this pod, however idle, for at most a day; only a cap overrules it",
		Long: "Keep this pod for DURATION, from 1s to 24h, however idle it is. Only MAX_RUNTIME and MAX_SPEND_PER_DAY overrule a hold.\n" +
			"The same person with the same WHY renews their own hold, longer or shorter. WHY is shown to whoever asks.",
		Example: "  gpu-watchdog hold 2h\n  gpu-watchdog hold 90m waiting for the data team",
		Args:    atLeastOne("DURATION, such as 2h"),
	}, func(ctx context.Context, c control.Client, args []string) (orders.Answer, error) {
		d, err := orders.ParseFor(args[0])
		if err != nil {
			return orders.Answer{}, err
		}
		return c.Hold(ctx, d, strings.Join(args[1:], " "))
	})
}

func newRelease() *cobra.Command {
	var own bool
	cmd := orderCommand(&cobra.Command{
		Use:     "release",
		Short:   "End all holds, and a postponement",
		Example: "  gpu-watchdog release\n  gpu-watchdog release --own",
		Args:    noArguments,
	}, func(ctx context.Context, c control.Client, _ []string) (orders.Answer, error) {
		return c.Release(ctx, own)
	})
	cmd.Flags().BoolVar(&own, "own", false, "only your own holds")
	return cmd
}

func newPostpone() *cobra.Command {
	return orderCommand(&cobra.Command{
		Use:   "postpone DURATION",
		Short: "Move the earliest stop back",
		Long: "Move the earliest stop back by DURATION: from where it is announced or in sight, else from now. At most 24h ahead.\n" +
			"Idleness counts on meanwhile, and the stop is announced anew.",
		Example: "  gpu-watchdog postpone 30m",
		Args:    exactlyOne("DURATION, such as 30m"),
	}, func(ctx context.Context, c control.Client, args []string) (orders.Answer, error) {
		d, err := orders.ParseFor(args[0])
		if err != nil {
			return orders.Answer{}, err
		}
		return c.Postpone(ctx, d)
	})
}

func newStop() *cobra.Command {
	var rehearse bool
	cmd := orderCommand(&cobra.Command{
		Use:   "stop",
		Short: "Stop this pod now if nobody works on it, or rehearse that",
		Long: "Stop this pod now, by the same two looks and the same way as the watchdog itself, without waiting for idleness to last.\n" +
			"It is refused (exit code 3) while the pod works, while that cannot be told, or while somebody holds it.\n" +
			"A stop that was carried out is also the only proof that a key may stop a RunPod pod; --rehearse goes as far as can be gone\n" +
			"without one. On Kubernetes the API server checks the rehearsal as if it were meant.",
		Example: "  gpu-watchdog stop --rehearse\n  gpu-watchdog stop",
		Args:    noArguments,
	}, func(ctx context.Context, c control.Client, _ []string) (orders.Answer, error) {
		return c.Stop(ctx, rehearse)
	})
	cmd.Flags().BoolVar(&rehearse, "rehearse", false, "do everything but the stop itself")
	return cmd
}

// orderCommand makes a command that gives an order to the watchdog of this machine.
func orderCommand(cmd *cobra.Command, give func(ctx context.Context, c control.Client, args []string) (orders.Answer, error)) *cobra.Command {
	var output, socket string
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	cmd.Flags().StringVar(&socket, "socket", "", "where the watchdog takes orders (default: "+config.Prefix+"CONTROL_SOCKET, else where one of this user listens)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if output != "text" && output != "json" {
			return wrongUse{fmt.Errorf("--output %q is none of text, json", output)}
		}
		if socket == "" {
			socket = os.Getenv(config.Prefix + "CONTROL_SOCKET")
		}
		answer, err := give(cmd.Context(), control.Client{Path: socket}, args)
		if err != nil {
			return ordered(err)
		}
		return showAnswer(cmd.OutOrStdout(), answer, output == "json")
	}
	return cmd
}

// ordered gives an order's error the exit code of its kind.
func ordered(err error) error {
	switch orders.KindOf(err) {
	case orders.Wrong:
		return wrongUse{err}
	case orders.Denied:
		return refused{err}
	case orders.Unreachable:
		return notReachable{err}
	}
	return err
}

// showAnswer says what came of an order.
func showAnswer(w io.Writer, a orders.Answer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(a)
	}
	text := a.Text + "\n"
	for _, h := range a.Holds {
		text += "held until " + h.Until.Format(time.RFC3339) + " by " + h.By
		if h.Why != "" {
			text += ": " + h.Why
		}
		text += "\n"
	}
	if a.StopAt.Known {
		text += "earliest stop: " + a.StopAt.Value.Format(time.RFC3339) + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// atLeastOne and exactlyOne refuse a command without its argument, as wrong use.
func atLeastOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return wrongUse{fmt.Errorf("it wants %s", what)}
		}
		return nil
	}
}

func exactlyOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return wrongUse{fmt.Errorf("it wants one argument: %s", what)}
		}
		return nil
	}
}
