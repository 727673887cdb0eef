//go:build linux

// Command tick measures what a tick of gpu-watchdog costs, beside what else one could run: in one run, at the same
// interval, on the same page and the same stand-in of NVML with eight GPUs. bench/tick.sh builds what it needs, and
// bench/README.md says what came out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
)

// programs are the paths of what is run.
type programs struct {
	watchdog, page, recorded, python, poller, nodeExporter string
}

func main() {
	var p programs
	flag.StringVar(&p.watchdog, "watchdog", "", "gpu-watchdog")
	flag.StringVar(&p.page, "page", "", "bench/page")
	flag.StringVar(&p.recorded, "recorded", "", "the page that it serves")
	flag.StringVar(&p.python, "python", "", "a Python with requests and prometheus_client")
	flag.StringVar(&p.poller, "poller", "", "bench/tick/poller.py")
	flag.StringVar(&p.nodeExporter, "node-exporter", "prometheus-node-exporter", "node-exporter")
	work := flag.String("dir", "", "a folder for logs, the stand-in and the watchdogs' memory")
	phases := flag.String("phases", "1s:90s,5s:120s", "interval:duration of what is measured one after the other")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, p, *work, *phases)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tick: "+err.Error())
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// run measures each phase and says whether every one reaches what it must.
func run(ctx context.Context, p programs, dir, phases string) (ok bool, err error) {
	plan, err := parsePhases(phases)
	if err != nil {
		return false, err
	}
	fmt.Println(process.Machine())
	ok = true
	for _, phase := range plan {
		rows, err := phase.measure(ctx, p, dir)
		if err != nil {
			return false, err
		}
		phase.print(os.Stdout, rows)
		ok = judge(os.Stdout, rows) && ok
	}
	return ok, nil
}

// phase is one measurement: every program at this interval, for so long after a warm-up.
type phase struct{ interval, lasts time.Duration }

func parsePhases(text string) (all []phase, err error) {
	for part := range strings.SplitSeq(text, ",") {
		interval, lasts, _ := strings.Cut(part, ":")
		var p phase
		if p.interval, err = time.ParseDuration(interval); err == nil {
			p.lasts, err = time.ParseDuration(lasts)
		}
		if err != nil || p.interval <= 0 || p.lasts < 3*p.interval {
			return nil, fmt.Errorf("-phases %q: write interval:duration, at least three intervals long, such as 1s:90s", part)
		}
		all = append(all, p)
	}
	return all, nil
}
