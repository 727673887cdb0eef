package main

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

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// config is what the script hands over.
type config struct {
	venv, model, work, watchdog, project string
	// prompts are sent at rate a second by the benchmark.
	prompts int
	rate    float64
	kills   int
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	c, wanted, err := arguments()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := perform(ctx, c, wanted)
	if ctx.Err() != nil || !r.Good() {
		os.Exit(1)
	}
}

func arguments() (config, []act, error) {
	c := config{
		venv: os.Getenv("VENV"), model: os.Getenv("MODEL"), work: os.Getenv("E2E_WORK"), watchdog: os.Getenv("E2E_WATCHDOG"),
		project: os.Getenv("E2E_PROJECT"),
	}
	flags := flag.NewFlagSet("serving.sh", flag.ContinueOnError)
	flags.IntVar(&c.prompts, "prompts", 100, "requests of each run of the benchmark")
	flags.Float64Var(&c.rate, "rate", 4, "requests a second of the benchmark")
	flags.IntVar(&c.kills, "kills", 10, "how often the watchdog is killed while rows arrive")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "VENV=venv [MODEL=folder] test/e2e/serving.sh [-prompts 100] [-rate 4] [-kills 10] [ACT...]")
		flags.PrintDefaults()
		fmt.Fprintln(flags.Output(), "acts:")
		for _, a := range acts {
			fmt.Fprintf(flags.Output(), "  %-8s %s\n", a.name, a.about)
		}
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		return c, nil, err
	}
	if c.venv == "" || c.model == "" || c.work == "" || c.watchdog == "" || c.project == "" {
		return c, nil, errors.New("VENV, MODEL, E2E_WORK, E2E_WATCHDOG and E2E_PROJECT must be set: start test/e2e/serving.sh instead")
	}
	wanted := acts
	if names := flags.Args(); len(names) > 0 {
		wanted = slices.DeleteFunc(slices.Clone(acts), func(a act) bool { return !slices.Contains(names, a.name) })
		if len(wanted) != len(names) {
			return c, nil, fmt.Errorf("not all of %s are acts; -help lists them", strings.Join(names, ", "))
		}
	}
	return c, wanted, nil
}

// perform plays the acts in their order. One that cannot go on fails, and the next begins.
func perform(ctx context.Context, c config, wanted []act) *stage.Report {
	r := stage.NewReport(os.Stdout)
	p := &play{config: c, report: r}
	fmt.Printf("server: %s; benchmark: %d requests at %g/s; SLA_TTFT %s\n", stage.Version(ctx, c.venv), c.prompts, c.rate, slaTTFT)
	for _, a := range wanted {
		if ctx.Err() != nil {
			break
		}
		r.Act(a.name, a.about)
		if err := a.run(p, ctx); err != nil {
			r.Check(a.name+" was played to its end", false, strings.Split(err.Error(), "\n")...)
		}
	}
	if err := p.leave(); err != nil {
		r.Check("everything ended", false, err.Error())
	}
	r.Summary()
	return r
}
