package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"

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
	stage.Main(func() (func(context.Context) *stage.Report, error) {
		c := config{
			venv: os.Getenv("VENV"), model: os.Getenv("MODEL"), work: os.Getenv("E2E_WORK"), watchdog: os.Getenv("E2E_WATCHDOG"),
			project: os.Getenv("E2E_PROJECT"),
		}
		flags := flag.NewFlagSet("serving.sh", flag.ContinueOnError)
		flags.IntVar(&c.prompts, "prompts", 100, "requests of each run of the benchmark")
		flags.Float64Var(&c.rate, "rate", 4, "requests a second of the benchmark")
		flags.IntVar(&c.kills, "kills", 10, "how often the watchdog is killed while rows arrive")
		wanted, err := stage.Wanted(flags, "VENV=venv [MODEL=folder] test/e2e/serving.sh [-prompts 100] [-rate 4] [-kills 10] [ACT...]", acts)
		if err == nil && slices.Contains([]string{c.venv, c.model, c.work, c.watchdog, c.project}, "") {
			err = errors.New("VENV, MODEL, E2E_WORK, E2E_WATCHDOG and E2E_PROJECT must be set: start test/e2e/serving.sh instead")
		}
		return func(ctx context.Context) *stage.Report { return perform(ctx, c, wanted) }, err
	})
}

// perform plays acts on a stage of their own.
func perform(ctx context.Context, c config, wanted []stage.Act[*play]) *stage.Report {
	r := stage.NewReport(os.Stdout)
	p := &play{config: c, report: r}
	fmt.Printf("server: %s; benchmark: %d requests at %g/s; SLA_TTFT %s\n", stage.Version(ctx, c.venv), c.prompts, c.rate, slaTTFT)
	stage.Play(ctx, r, p, wanted)
	if err := p.leave(); err != nil {
		r.Check("everything ended", false, err.Error())
	}
	r.Summary()
	return r
}
