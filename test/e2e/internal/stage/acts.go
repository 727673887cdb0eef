package stage

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

// Act is one part of a play of kind P.
type Act[P any] struct {
	Name, About string
	Run         func(P, context.Context) error
}

// Wanted reads a script's command line: options of flags, which has the script's name, and then names of acts. usage is its line
// of help after that name. Without names all acts are wanted, and they come in their own order.
func Wanted[P any](flags *flag.FlagSet, usage string, acts []Act[P]) ([]Act[P], error) {
	flags.Usage = func() {
		out := flags.Output()
		fmt.Fprintln(out, usage)
		flags.PrintDefaults()
		fmt.Fprintln(out, "acts:")
		for _, a := range acts {
			fmt.Fprintf(out, "  %-14s %s\n", a.Name, a.About)
		}
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		return nil, err
	}
	names := flags.Args()
	if len(names) == 0 {
		return acts, nil
	}
	wanted := slices.DeleteFunc(slices.Clone(acts), func(a Act[P]) bool { return !slices.Contains(names, a.Name) })
	if len(wanted) != len(names) {
		return nil, fmt.Errorf("not all of %s are acts; -help lists them", strings.Join(names, ", "))
	}
	return wanted, nil
}

// Play plays acts in their order. One that cannot go on fails, and the next begins; none begins once ctx has ended.
func Play[P any](ctx context.Context, r *Report, p P, acts []Act[P]) {
	for _, a := range acts {
		if ctx.Err() != nil {
			return
		}
		r.Act(a.Name, a.About)
		if err := a.Run(p, ctx); err != nil {
			r.Check(a.Name+" was played to its end", false, strings.Split(err.Error(), "\n")...)
		}
	}
}

// Main is the main function of a play: start reads the command line and returns what plays. It exits with 0 if every check held,
// with 1 if one did not or somebody interrupted, and with 2 where the play was not started rightly.
func Main(start func() (play func(context.Context) *Report, err error)) {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	play, err := start()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if r := play(ctx); ctx.Err() != nil || !r.Good() {
		os.Exit(1)
	}
}
