//go:build linux

// Command vllm measures what gpu-watchdog costs the server that it watches: `vllm bench serve` against a real vLLM on this
// machine's CPU, in pairs of runs with and without the watchdog, and from them the paired difference of the 99th
// percentile of the inter-token latency. bench/vllm.sh builds what it needs, and bench/README.md says what came out.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
)

type options struct {
	venv, model, watchdog, dir string
	pairs                      int
	load                       load
}

func main() {
	var o options
	flag.StringVar(&o.venv, "venv", "", "a Python environment with vLLM for the CPU")
	flag.StringVar(&o.model, "model", "", "a model's folder")
	flag.StringVar(&o.watchdog, "watchdog", "", "gpu-watchdog")
	flag.StringVar(&o.dir, "dir", "", "a folder for logs and results")
	flag.IntVar(&o.pairs, "pairs", 10, "how many pairs of runs")
	flag.IntVar(&o.load.prompts, "prompts", 60, "requests of one run")
	flag.Float64Var(&o.load.rate, "rate", 4, "requests a second")
	flag.IntVar(&o.load.input, "input", 200, "tokens of each prompt")
	flag.IntVar(&o.load.output, "output", 60, "tokens of each answer")
	flag.Parse()
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

// pair is one run without the watchdog and one with it: the 99th percentiles of the inter-token latency in ms.
type pair struct{ without, with float64 }

// percent is how much longer it was with the watchdog.
func (p pair) percent() float64 { return 100 * (p.with - p.without) / p.without }

// run plays the pairs, the watchdog coming first in every other one, and says whether its cost is within bounds.
func run(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	s, err := serve(ctx, o)
	if err != nil {
		return false, err
	}
	defer s.close()
	fmt.Fprintln(out, process.Machine())
	fmt.Fprintf(out, "each run: %d prompts of %d tokens at %g/s, %d tokens each, seed 1; load before %s\n",
		o.load.prompts, o.load.input, o.load.rate, o.load.output, process.Load())
	if _, err := s.measure(ctx, "warm-up", false); err != nil {
		return false, err
	}
	fmt.Fprintf(out, "%4s %14s %14s %12s   %s\n", "pair", "without, ms", "with, ms", "difference", "load")
	var differences []float64
	for i := range o.pairs {
		var p pair
		for _, watched := range []bool{i%2 == 1, i%2 == 0} {
			name := fmt.Sprintf("pair-%02d-without", i+1)
			into := &p.without
			if watched {
				name, into = fmt.Sprintf("pair-%02d-with", i+1), &p.with
			}
			if *into, err = s.measure(ctx, name, watched); err != nil {
				return false, err
			}
		}
		differences = append(differences, p.percent())
		fmt.Fprintf(out, "%4d %14.3f %14.3f %+11.2f%%   %s\n", i+1, p.without, p.with, p.percent(), process.Load())
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
