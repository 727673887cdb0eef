//go:build linux

package main

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/scrape"
)

// warmUp is how many intervals pass before the window, and the least time.
const (
	warmUpTicks = 3
	warmUpLeast = 10 * time.Second
)

// measure raises the stage, scrapes who is to be scraped, and reads what each program used within the window.
func (p phase) measure(ctx context.Context, with programs, dir string) ([]*row, error) {
	s, err := raise(ctx, with, filepath.Clean(dir), p.interval)
	if err != nil {
		return nil, err
	}
	defer s.lower()
	scraping, end := context.WithCancel(ctx)
	defer end()
	failed := make(chan error, len(s.rows))
	var group sync.WaitGroup
	defer group.Wait()
	defer end()
	var counting sync.Mutex
	for _, r := range s.rows {
		if r.scrape == "" {
			continue
		}
		group.Go(func() {
			err := every(scraping, p.interval, func() error {
				_, err := scrape.Page(scraping, r.scrape)
				counting.Lock()
				r.scrapes++
				counting.Unlock()
				return err
			})
			if err != nil && scraping.Err() == nil {
				failed <- fmt.Errorf("%s: %w", r.name, err)
			}
		})
	}
	if err := pause(ctx, max(warmUpLeast, warmUpTicks*p.interval)); err != nil {
		return nil, err
	}
	before := make([]time.Duration, len(s.rows))
	counts := make([]int, len(s.rows))
	for i, r := range s.rows {
		if counts[i], err = r.count(ctx, &counting); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	for i, r := range s.rows {
		if before[i], err = r.CPU(); err != nil {
			return nil, err
		}
	}
	if err := pause(ctx, p.lasts); err != nil {
		return nil, err
	}
	window := time.Since(began)
	for i, r := range s.rows {
		after, err := r.CPU()
		if err != nil {
			return nil, fmt.Errorf("%s: %w; its log is in %s", r.name, err, dir)
		}
		if r.memory, err = r.Memory(); err != nil {
			return nil, err
		}
		r.cpu, r.rounds = after-before[i], window.Seconds()/p.interval.Seconds()
	}
	for i, r := range s.rows {
		n, err := r.count(ctx, &counting)
		if err != nil {
			return nil, err
		}
		// A program that fell behind would look cheaper than it is.
		if did := float64(n - counts[i]); math.Abs(did-r.rounds) > 1.5+r.rounds/50 {
			return nil, fmt.Errorf("%s did %v rounds in %s at an interval of %s", r.name, did, window.Round(time.Millisecond), p.interval)
		}
	}
	select {
	case err := <-failed:
		return nil, err
	default:
		return s.rows, nil
	}
}

// count is how many rounds the program has done so far.
func (r *row) count(ctx context.Context, scrapes *sync.Mutex) (int, error) {
	if r.ticks != nil {
		return r.ticks(ctx)
	}
	scrapes.Lock()
	defer scrapes.Unlock()
	return r.scrapes, nil
}

// every calls f at each interval until it fails or ctx ends.
func every(ctx context.Context, interval time.Duration, f func() error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := f(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
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
