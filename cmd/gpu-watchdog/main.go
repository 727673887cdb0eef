// Command gpu-watchdog watches the GPU pod that it runs in, and stops it when idling on would cost more than starting
// again later.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var err error
	if !supervises(os.Args) {
		err = trustBundled()
	}
	if err == nil {
		err = newRoot().ExecuteContext(ctx)
	}
	var server exited
	if err != nil && !errors.As(err, &server) {
		fmt.Fprintln(os.Stderr, "gpu-watchdog: "+err.Error())
	}
	os.Exit(exitCode(err))
}

// endings are the signals that ask us to end, but those that whoever started us wants ignored, as a shell does in the background.
func endings() []os.Signal {
	return slices.DeleteFunc([]os.Signal{os.Interrupt, syscall.SIGTERM}, signal.Ignored)
}

// newRoot has one file for each of its subcommands.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "gpu-watchdog",
		Short:         "Stops an idle GPU pod when idling on costs more than starting again later",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongUse{err} })
	root.AddCommand(newRun(), newExec(), newDemo(), newDoctor(), newStatus(), newHold(), newRelease(), newPostpone(), newStop(), newEnv(), newVersion(), newBench(), newReport())
	return root
}

// wrongUse is an error of whoever typed or configured: exit code 2.
type wrongUse struct{ error }

func (w wrongUse) Unwrap() error { return w.error }

// refused is an order that may not be carried out: exit code 3.
type refused struct{ error }

func (r refused) Unwrap() error { return r.error }

// notReachable is an error of a server that does not answer: exit code 4.
type notReachable struct{ error }

func (n notReachable) Unwrap() error { return n.error }

// exitCode is 0 done, 1 failed, 2 wrong use or configuration, 3 refused, 4 not reachable; that of exec is the server's.
func exitCode(err error) int {
	var use wrongUse
	var no refused
	var reach notReachable
	var server exited
	switch {
	case err == nil:
		return 0
	case errors.As(err, &server):
		return int(server)
	case errors.As(err, &use):
		return 2
	case errors.As(err, &no):
		return 3
	case errors.As(err, &reach):
		return 4
	}
	return 1
}

// exactly refuses arguments where a command takes none, as wrong use.
func noArguments(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return wrongUse{err}
	}
	return nil
}
