//go:build linux

// Command ingest measures what it costs to take vLLM's spans in. Our side: the processor time and the memory of the real
// gpu-watchdog while a sender exports spans at a steady rate over gRPC, in messages as vLLM's exporter makes them, beside the
// same program that gets none. vLLM's side: the processor time of the API server for a request, with and without tracing, of
// two servers that are loaded in turn. bench/ingest.sh builds what it needs.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
)

type options struct {
	watchdog, page, recorded, dir string
	venv, model                   string
	rate                          float64
	lasts, delay                  time.Duration
	limitMiB                      float64
	pairs, requests, together     int
}

func main() {
	var o options
	flag.StringVar(&o.watchdog, "watchdog", "", "gpu-watchdog")
	flag.StringVar(&o.page, "page", "", "bench/page")
	flag.StringVar(&o.recorded, "recorded", "", "the page that it serves")
	flag.StringVar(&o.dir, "dir", "", "a folder for logs and databases")
	flag.StringVar(&o.venv, "venv", "", "a Python environment with vLLM for the CPU; without it only our side is measured")
	flag.StringVar(&o.model, "model", "", "a model's folder")
	flag.Float64Var(&o.rate, "rate", 500, "spans a second")
	flag.DurationVar(&o.lasts, "lasts", time.Minute, "how long each of our phases is measured")
	flag.DurationVar(&o.delay, "delay", 500*time.Millisecond, "OTEL_BSP_SCHEDULE_DELAY: how long the exporter collects spans")
	flag.Float64Var(&o.limitMiB, "limit", 25, "the most that may be resident, in MiB")
	flag.IntVar(&o.pairs, "pairs", 10, "pairs of turns of vLLM's two servers")
	flag.IntVar(&o.requests, "requests", 200, "requests of one turn")
	flag.IntVar(&o.together, "concurrency", 4, "requests that are served together")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingest: "+err.Error())
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// run measures both sides and says whether ours is within bounds.
func run(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	fmt.Fprintln(out, process.Machine())
	ok, err = ours(ctx, o, out)
	if err != nil || o.venv == "" {
		return ok, err
	}
	fmt.Fprintln(out)
	return ok, theirs(ctx, o, out)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
