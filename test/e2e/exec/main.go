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
	venv, model, work, watchdog string
	kills                       int
}

func main() {
	stage.Main(func() (func(context.Context) *stage.Report, error) {
		c := config{venv: os.Getenv("VENV"), model: os.Getenv("MODEL"), work: os.Getenv("E2E_WORK"), watchdog: os.Getenv("E2E_WATCHDOG")}
		flags := flag.NewFlagSet("exec.sh", flag.ContinueOnError)
		flags.IntVar(&c.kills, "kills", 100, "how often the watchdog is killed under load")
		wanted, err := stage.Wanted(flags, "VENV=venv [MODEL=folder] test/e2e/exec.sh [-kills 100] [ACT...]", acts)
		if err == nil && slices.Contains([]string{c.venv, c.model, c.work, c.watchdog}, "") {
			err = errors.New("VENV, MODEL, E2E_WORK and E2E_WATCHDOG must be set: start test/e2e/exec.sh instead")
		}
		return func(ctx context.Context) *stage.Report { return perform(ctx, c, wanted) }, err
	})
}

// perform plays acts on a stage of their own.
func perform(ctx context.Context, c config, wanted []stage.Act[*play]) *stage.Report {
	r := stage.NewReport(os.Stdout)
	p := &play{config: c, report: r}
	var err error
	if p.pod, err = stage.NewPod(); err != nil {
		fmt.Printf("no control group for the pod (%v): the CPU of the whole machine counts as the pod's\n", err)
	}
	fmt.Println("server: " + stage.Version(ctx, c.venv))
	stage.Play(ctx, r, p, wanted)
	p.leave()
	p.pod.Remove()
	r.Summary()
	return r
}
