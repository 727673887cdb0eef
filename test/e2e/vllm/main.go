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
	"strings"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) == 3 && os.Args[1] == scraperCommand {
		scrape(ctx, os.Args[2], time.Second)
		return
	}
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

func arguments() (config, []act, error) {
	flags := flag.NewFlagSet("vllm.sh", flag.ContinueOnError)
	untracked := flags.Bool("untracked", false, "start vLLM without --enable-server-load-tracking")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "VENV=venv [MODEL=folder] [PORT=8100] test/e2e/vllm.sh [-untracked] [ACT...]")
		flags.PrintDefaults()
		fmt.Fprintln(flags.Output(), "acts:")
		for _, a := range acts {
			fmt.Fprintf(flags.Output(), "  %-14s %s\n", a.name, a.about)
		}
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		return config{}, nil, err
	}
	c := config{
		venv: os.Getenv("VENV"), model: os.Getenv("MODEL"), work: os.Getenv("E2E_WORK"), watchdog: os.Getenv("E2E_WATCHDOG"),
		tracking: !*untracked,
	}
	if c.venv == "" || c.model == "" || c.work == "" || c.watchdog == "" {
		return c, nil, errors.New("VENV, MODEL, E2E_WORK and E2E_WATCHDOG must be set: start test/e2e/vllm.sh instead")
	}
	var err error
	if c.port, err = strconv.Atoi(os.Getenv("PORT")); err != nil {
		return c, nil, fmt.Errorf("PORT: %w", err)
	}
	wanted := acts
	if names := flags.Args(); len(names) > 0 {
		wanted = nil
		for _, a := range acts {
			if slices.Contains(names, a.name) {
				wanted = append(wanted, a)
			}
		}
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
	var err error
	if p.pod, err = newPod(); err != nil {
		fmt.Printf("no control group for the pod (%v): the CPU of the whole machine counts as the pod's\n", err)
	}
	fmt.Printf("watchdog: a look each %s, limit %s, warning %s before, BROKEN_LIMIT %s\n", interval, limit, warnBefore, brokenLimit)
	fmt.Printf("server: %s, load tracking %t\n", stage.Version(ctx, c.venv), c.tracking)
	for _, a := range wanted {
		if ctx.Err() != nil {
			break
		}
		r.Act(a.name, a.about)
		if err := p.perform(ctx, a); err != nil {
			r.Check(a.name+" was played to its end", false, strings.Split(err.Error(), "\n")...)
		}
	}
	if err := p.close(); err != nil {
		r.Check("everything ended", false, err.Error())
	}
	r.Summary()
	return r
}
