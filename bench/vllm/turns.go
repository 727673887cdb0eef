//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
)

// pair is the 99th percentile of the inter-token latency in ms without the watchdog and with it, and of how many tokens.
type pair struct {
	without, with float64
	tokens        int
}

// percent is how much longer it was with the watchdog.
func (p pair) percent() float64 { return 100 * (p.with - p.without) / p.without }

// turn is a moment, in seconds of the kernel's monotonic clock, from which on the watchdog runs or pauses.
type turn struct {
	at      float64
	running bool
}

// takeTurns pauses the watchdog and lets it go on until ended is closed, and leaves it running. The order of the turns is
// that of Thue and Morse, so that a steady drift of the machine's speed falls on both states alike.
func takeTurns(ctx context.Context, w *process.Process, ended <-chan struct{}, length time.Duration, first bool) (turns []turn, err error) {
	defer func() { err = errors.Join(err, w.Resume()) }()
	ticker := time.NewTicker(length)
	defer ticker.Stop()
	for i := 0; ; i++ {
		running := thueMorse(i) == first
		if running {
			err = w.Resume()
		} else {
			err = w.Pause()
		}
		if err != nil {
			return nil, fmt.Errorf("pause the watchdog or let it go on: %w", err)
		}
		turns = append(turns, turn{monotonic(), running})
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-w.Ended():
			return nil, errors.New("gpu-watchdog has ended; see watchdog.log")
		case <-ended:
			return turns, nil
		case <-ticker.C:
		}
	}
}

// thueMorse is the i-th member of 0110 1001 1001 0110 …: the parity of the ones in i.
func thueMorse(i int) bool {
	odd := false
	for ; i > 0; i &= i - 1 {
		odd = !odd
	}
	return odd
}

// monotonic is the clock of Python's time.perf_counter, in seconds.
func monotonic() float64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // this clock is always there
	return float64(t.Sec) + float64(t.Nsec)/1e9
}

// detailed is what `vllm bench serve --save-detailed` saves, as far as it is read: for each request when it was sent, in
// seconds of the monotonic clock, the time to its first token, and the times between the others.
type detailed struct {
	Completed int
	Starts    []float64   `json:"start_times"`
	TTFTs     []float64   `json:"ttfts"`
	ITLs      [][]float64 `json:"itls"`
}

// result reads a run. One in which a request failed measures nothing.
func result(file string, prompts int, turns []turn) (pair, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return pair{}, fmt.Errorf("%w: see %s", err, strings.TrimSuffix(file, ".json")+".log")
	}
	var d detailed
	if err := json.Unmarshal(b, &d); err != nil {
		return pair{}, fmt.Errorf("%s: %w", file, err)
	}
	if d.Completed != prompts || len(d.Starts) != prompts || len(d.TTFTs) != prompts || len(d.ITLs) != prompts {
		return pair{}, fmt.Errorf("%s: %d of %d requests were completed, of which %d, %d and %d have times", file, d.Completed, prompts, len(d.Starts), len(d.TTFTs), len(d.ITLs))
	}
	p, err := d.split(turns)
	if err != nil {
		return pair{}, fmt.Errorf("%s: %w", file, err)
	}
	return p, nil
}

// leastTokens make a 99th percentile.
const leastTokens = 1000

// split gives each latency to the state in which it ended.
func (d detailed) split(turns []turn) (pair, error) {
	var with, without []float64
	for i, start := range d.Starts {
		at := start + d.TTFTs[i]
		for _, itl := range d.ITLs[i] {
			at += itl
			n, _ := slices.BinarySearchFunc(turns, at, func(t turn, at float64) int {
				if t.at <= at {
					return -1
				}
				return 1
			})
			if n == 0 {
				return pair{}, fmt.Errorf("a token came at %.3f s, before the first turn at %.3f s: the clocks are not the same", at, turns[0].at)
			}
			if turns[n-1].running {
				with = append(with, itl*1000)
			} else {
				without = append(without, itl*1000)
			}
		}
	}
	if min(len(with), len(without)) < leastTokens {
		return pair{}, fmt.Errorf("%d tokens with the watchdog and %d without: at least %d of each are needed", len(with), len(without), leastTokens)
	}
	return pair{p99(without), p99(with), len(with) + len(without)}, nil
}

// p99 is the 99th percentile as numpy has it: between the two values beside it, in proportion. It sorts what it is given.
func p99(of []float64) float64 {
	slices.Sort(of)
	place := 0.99 * float64(len(of)-1)
	below := int(place)
	if below == len(of)-1 {
		return of[below]
	}
	return of[below] + (place-float64(below))*(of[below+1]-of[below])
}
