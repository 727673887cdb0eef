package batching

import (
	"fmt"
	"math"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

// Detail is what was measured of each request of one run, in the order of the workload, all times in seconds. It is what the
// detailed result of `vllm bench serve` holds, and what all figures are computed from.
type Detail struct {
	// Duration is the wall time of the run.
	Duration float64
	// Errors are empty for requests that went well. All slices are as long as this one, or nil where they are not known.
	Errors []string
	// InputLens and OutputLens are tokens.
	InputLens, OutputLens []int
	// TTFTs and Latencies run from Starts, which have any origin; Queues is how long a request waited in the client before.
	TTFTs, Latencies, Starts, Queues []float64
	// ITLs are the gaps between the chunks of each request.
	ITLs [][]float64
	// Limited: at most so many requests were allowed at a time. Paced: they began at a rate.
	Limited, Paced bool
}

// longestRun bounds a run, in seconds: eleven days.
const longestRun = 1e6

// check refuses what cannot be, so that the figures need not.
func (d *Detail) check() error {
	n := len(d.Errors)
	for _, one := range []struct {
		name string
		have int
		need bool
	}{
		{"input_lens", len(d.InputLens), true}, {"output_lens", len(d.OutputLens), true}, {"ttfts", len(d.TTFTs), true},
		{"itls", len(d.ITLs), true}, {"latencies", len(d.Latencies), true}, {"start_times", len(d.Starts), false}, {"queue_times", len(d.Queues), false},
	} {
		if one.have != n && (one.need || one.have != 0) {
			return fmt.Errorf("there are %d errors and %d %s: both have one for each request", n, one.have, one.name)
		}
	}
	if !(d.Duration > 0 && d.Duration < longestRun) {
		return fmt.Errorf("a run of %g seconds cannot be", d.Duration)
	}
	for i := range n {
		if d.InputLens[i] < 0 || d.OutputLens[i] < 0 {
			return fmt.Errorf("request %d has a negative number of tokens", i)
		}
		for _, s := range [][]float64{d.TTFTs[i : i+1], d.Latencies[i : i+1], d.ITLs[i]} {
			for _, v := range s {
				if !(v >= 0 && v < longestRun) {
					return fmt.Errorf("request %d has a time of %g seconds", i, v)
				}
			}
		}
		if d.Queues != nil && !(math.Abs(d.Queues[i]) < longestRun) {
			return fmt.Errorf("request %d waited for %g seconds", i, d.Queues[i])
		}
	}
	if d.Starts == nil {
		return nil
	}
	first, last := math.Inf(1), math.Inf(-1)
	for i, at := range d.Starts {
		if !(math.Abs(at) < 1e15) {
			return fmt.Errorf("request %d started at %g seconds", i, at)
		}
		if d.Errors[i] == "" {
			first, last = min(first, at), max(last, at)
		}
	}
	if first <= last && !(last-first < longestRun) {
		return fmt.Errorf("the first request started at %g, and the last one at %g seconds", first, last)
	}
	return nil
}

// detail is the run in seconds since the run began.
func (r *Run) detail() Detail {
	d := Detail{Duration: r.Wall.Seconds(), Limited: r.Scenario.limit() > 0, Paced: r.Scenario.Rate > 0}
	for i := range r.Asked {
		a := &r.Asked[i]
		text := ""
		if a.Err != nil {
			text = a.Err.Error()
		}
		d.Errors = append(d.Errors, text)
		d.InputLens, d.OutputLens = append(d.InputLens, a.PromptTokens), append(d.OutputLens, a.OutputTokens)
		if a.Err != nil {
			d.OutputLens[i] = 0
		}
		d.TTFTs, d.Latencies = append(d.TTFTs, a.TTFT.Seconds()), append(d.Latencies, a.Latency.Seconds())
		d.Starts, d.Queues = append(d.Starts, a.Start.Sub(r.Began).Seconds()), append(d.Queues, max(0, a.Start.Sub(a.Arrived)).Seconds())
		gaps := make([]float64, len(a.ITLs))
		for k, gap := range a.ITLs {
			gaps[k] = gap.Seconds()
		}
		d.ITLs = append(d.ITLs, gaps)
	}
	return d
}

// Asked is one request that was made, and when it would have liked to begin.
type Asked struct {
	load.Record
	Arrived time.Time
}
