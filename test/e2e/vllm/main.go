package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == scraperCommand {
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer cancel()
		scrape(ctx, os.Args[2], time.Second)
		return
	}
	stage.Main(func() (func(context.Context) *stage.Report, error) {
		flags := flag.NewFlagSet("vllm.sh", flag.ContinueOnError)
		untracked := flags.Bool("untracked", false, "start vLLM without --enable-server-load-tracking")
		wanted, err := stage.Wanted(flags, "VENV=venv [MODEL=folder] [PORT=8100] test/e2e/vllm.sh [-untracked] [ACT...]", acts)
		if err != nil {
			return nil, err
		}
		c := config{
			venv: os.Getenv("VENV"), model: os.Getenv("MODEL"), work: os.Getenv("E2E_WORK"), watchdog: os.Getenv("E2E_WATCHDOG"),
			tracking: !*untracked,
		}
		if slices.Contains([]string{c.venv, c.model, c.work, c.watchdog}, "") {
			return nil, errors.New("VENV, MODEL, E2E_WORK and E2E_WATCHDOG must be set: start test/e2e/vllm.sh instead")
		}
		if c.port, err = strconv.Atoi(os.Getenv("PORT")); err != nil {
			return nil, fmt.Errorf("PORT: %w", err)
		}
		return func(ctx context.Context) *stage.Report { return perform(ctx, c, wanted) }, nil
	})
}

const scraperCommand = "scrape"

// startScraper starts the third side in a process of its own.
func startScraper(url string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, scraperCommand, url)
	cmd.Stderr = os.Stderr
	return cmd, cmd.Start()
}

// perform plays acts on a stage of their own.
func perform(ctx context.Context, c config, wanted []stage.Act[*play]) *stage.Report {
	r := stage.NewReport(os.Stdout)
	p := &play{config: c, report: r}
	var err error
	if p.pod, err = stage.NewPod(); err != nil {
		fmt.Printf("no control group for the pod (%v): the CPU of the whole machine counts as the pod's\n", err)
	}
	fmt.Printf("watchdog: a look each %s, limit %s, warning %s before, BROKEN_LIMIT %s\n", interval, limit, warnBefore, brokenLimit)
	fmt.Printf("server: %s, load tracking %t\n", stage.Version(ctx, c.venv), c.tracking)
	stage.Play(ctx, r, p, wanted)
	if err := p.close(); err != nil {
		r.Check("everything ended", false, err.Error())
	}
	r.Summary()
	return r
}
