//go:build linux

// Command vllm measures what gpu-watchdog costs the server that it watches: `vllm bench serve` against a real vLLM on this
// machine's CPU, with and without the watchdog, and from that the paired difference of the 99th percentile of the inter-token
// latency. A machine's speed drifts by more within a minute than a watchdog could ever cost, so the two halves of a pair are
// woven into one run: the watchdog is paused and goes on several times a second, and each latency counts for the state that it
// fell into. Looks that fall due in a pause are taken at its end, so all of them are in the watchdog's half; it looks every 10 s, so that
// this half has as many of them as one that runs all the time and looks every 5 s. bench/vllm.sh builds what it needs, and bench/README.md says what came out.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
)

type options struct {
	venv, client, model, watchdog, dir string
	pairs                              int
	turn                               time.Duration
	load                               load
}

func main() {
	var o options
	flag.StringVar(&o.venv, "venv", "", "a Python environment with vLLM for the CPU")
	flag.StringVar(&o.client, "client", "", "the environment whose benchmark is run; by default the server's")
	flag.StringVar(&o.model, "model", "", "a model's folder")
	flag.StringVar(&o.watchdog, "watchdog", "", "gpu-watchdog")
	flag.StringVar(&o.dir, "dir", "", "a folder for logs and results")
	flag.IntVar(&o.pairs, "pairs", 10, "how many pairs")
	flag.DurationVar(&o.turn, "turn", 200*time.Millisecond, "how long the watchdog runs, and pauses, in turn")
	flag.IntVar(&o.load.prompts, "prompts", 260, "requests of one pair")
	flag.IntVar(&o.load.together, "concurrency", 4, "requests that are served together")
	flag.IntVar(&o.load.input, "input", 50, "tokens of each prompt")
	flag.IntVar(&o.load.output, "output", 300, "tokens of each answer")
	flag.Parse()
	if o.client == "" {
		o.client = o.venv
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "vllm: "+err.Error())
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// run measures the pairs and says whether the watchdog's cost is within bounds.
func run(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	s, err := serve(ctx, o)
	if err != nil {
		return false, err
	}
	defer s.close()
	w, err := s.watch(ctx)
	if err != nil {
		return false, err
	}
	defer w.Stop() //nolint:errcheck // it ends by our signal
	fmt.Fprintln(out, process.Machine())
	fmt.Fprintf(out, "each pair: %d prompts of %d tokens, %d together, %d tokens each, seed 1; the watchdog runs and pauses for %s in turn; load before %s\n",
		o.load.prompts, o.load.input, o.load.together, o.load.output, o.turn, process.Load())
	if _, err := s.measure(ctx, "warm-up", o.load.prompts/5, w, false); err != nil {
		return false, err
	}
	fmt.Fprintf(out, "%4s %14s %14s %12s %9s   %s\n", "pair", "without, ms", "with, ms", "difference", "tokens", "load")
	var differences []float64
	for i := range o.pairs {
		p, err := s.measure(ctx, fmt.Sprintf("pair-%02d", i+1), o.load.prompts, w, i%2 == 1)
		if err != nil {
			return false, err
		}
		differences = append(differences, p.percent())
		fmt.Fprintf(out, "%4d %14.3f %14.3f %+11.2f%% %9d   %s\n", i+1, p.without, p.with, p.percent(), p.tokens, process.Load())
	}
	low, high := interval(differences)
	fmt.Fprintf(out, "\nmedian difference of p99 ITL %+.2f %%, 95 %% interval %+.2f to %+.2f %% (%d pairs, bootstrap)\n",
		median(slices.Clone(differences)), low, high, o.pairs)
	ok = low <= 0 && high >= 0 && high < mostPercent
	word := "PASS"
	if !ok {
		word = "FAIL"
	}
	fmt.Fprintf(out, "%s the interval holds 0 and ends below %+d %%\n", word, mostPercent)
	return ok, nil
}

// mostPercent is where the interval must have ended.
const mostPercent = 2
