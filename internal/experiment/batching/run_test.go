package batching

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

// uneven takes a second, and every fourth request three.
func uneven(n int, _ load.Request) time.Duration {
	if n%4 == 1 {
		return 3 * time.Second
	}
	return time.Second
}

// TestScenariosKeepTheirOrder plays 12 uneven requests in each way, in virtual time, in which the whole time is known to the
// nanosecond.
func TestScenariosKeepTheirOrder(t *testing.T) {
	for _, c := range []struct {
		scenario Scenario
		wall     time.Duration
		most     int
	}{
		{Scenario{Kind: Sequential}, 18 * time.Second, 1},                // 9 × 1 + 3 × 3
		{Scenario{Kind: Static, Batch: 4}, 9 * time.Second, 4},           // each batch waits for its slow one
		{Scenario{Kind: Static, Batch: 5}, 7 * time.Second, 5},           // 5 + 5 + 2, the last two both quick
		{Scenario{Kind: Static, Batch: 100}, 3 * time.Second, 12},        // one batch of all
		{Scenario{Kind: Continuous, Concurrency: 4}, 6 * time.Second, 4}, // the last slow one begins after 3
		{Scenario{Kind: Continuous, Concurrency: 99}, 3 * time.Second, 12},
	} {
		t.Run(c.scenario.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := server{took: uneven}
				r := runner{asker: &s, request: func(int) load.Request { return load.Request{MaxTokens: 2} }, scenario: c.scenario, n: 12, ended: func(int, int) {}}
				run, err := r.play(t.Context())
				if err != nil || len(run.Asked) != 12 || run.Missing != 0 || run.Failed != 0 {
					t.Fatalf("%d asked, %d missing: %v", len(run.Asked), run.Missing, err)
				}
				if run.Wall != c.wall || s.most != c.most {
					t.Errorf("took %v with %d at a time, want %v with %d", run.Wall, s.most, c.wall, c.most)
				}
				if c.scenario.Kind != Static {
					return
				}
				for i, b := range s.spans {
					for k, a := range s.spans[:i] {
						if k/c.scenario.Batch < i/c.scenario.Batch && a.to.After(b.from) {
							t.Errorf("request %d of a batch began before request %d of an earlier one ended", i, k)
						}
					}
				}
			})
		})
	}
}

func TestRateSetsThePace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server{took: always(10 * time.Second)}
		scenario := Scenario{Kind: Continuous, Rate: 8}
		r := runner{asker: &s, request: func(int) load.Request { return load.Request{MaxTokens: 2} }, scenario: scenario, n: 80, seed: 7, ended: func(int, int) {}}
		run, err := r.play(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// 80 requests at 8 a second begin within 10 s, whatever the seed, and no request waits for another.
		if run.Wall != 20*time.Second || s.most < 70 {
			t.Errorf("took %v with %d at a time", run.Wall, s.most)
		}
		for i, a := range run.Asked {
			if want := arrivals(80, 8, 7)[i]; a.Start.Sub(run.Began) != want || !a.Arrived.Equal(a.Start) {
				t.Errorf("request %d began after %v, want %v", i, a.Start.Sub(run.Began), want)
			}
		}
	})
}

func TestArrivals(t *testing.T) {
	const n, rate = 5000, 20.0
	at := arrivals(n, rate, 3)
	if !slices.IsSorted(at) || at[n-1] != 250*time.Second {
		t.Fatalf("the last one comes after %v, want n ÷ rate", at[n-1])
	}
	// Gaps of a Poisson process are as scattered as they are long.
	mean, squares, before := 1/rate, 0.0, 0.0
	for _, d := range at {
		gap := d.Seconds() - before
		squares += (gap - mean) * (gap - mean)
		before = d.Seconds()
	}
	if deviation := math.Sqrt(squares / n); math.Abs(deviation-mean) > 0.1*mean {
		t.Errorf("the gaps deviate by %v from their mean of %v", deviation, mean)
	}
	if slices.Equal(at, arrivals(n, rate, 4)) || !slices.Equal(at, arrivals(n, rate, 3)) {
		t.Error("the seed does not decide")
	}
}

func TestRunEndsEarly(t *testing.T) {
	failing := func(from, to int) func(int, load.Request) error {
		return func(n int, _ load.Request) error {
			if n >= from && n < to {
				return errAsked
			}
			return nil
		}
	}
	for _, c := range []struct {
		name                            string
		scenario                        Scenario
		bad                             func(int, load.Request) error
		tolerated, good, failed, missed int
	}{
		{"the fifth of a sequence", Scenario{Kind: Sequential}, failing(4, 5), 0, 4, 1, 15},
		{"tolerated", Scenario{Kind: Sequential}, failing(4, 6), 2, 18, 2, 0},
		{"one more than tolerated", Scenario{Kind: Sequential}, failing(4, 7), 2, 4, 3, 13},
		{"in the second batch", Scenario{Kind: Static, Batch: 5}, failing(6, 7), 0, 5, 1, 14},
		{"all", Scenario{Kind: Continuous, Concurrency: 50}, failing(0, 99), 1000, 0, 20, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The failing ones are a little faster, so that those beside them are still under way.
				s := server{bad: c.bad, took: func(n int, q load.Request) time.Duration {
					if c.bad(n, q) != nil {
						return time.Second / 2
					}
					return time.Second
				}}
				told := 0
				r := runner{asker: &s, request: func(int) load.Request { return load.Request{MaxTokens: 2} }, scenario: c.scenario, n: 20, tolerated: c.tolerated,
					ended: func(done, failed int) { told = done }}
				run, err := r.play(t.Context())
				if len(run.Asked)-run.Failed != c.good || run.Failed != c.failed || run.Missing != c.missed {
					t.Errorf("%d went well, %d failed, %d missing; want %d, %d, %d", len(run.Asked)-run.Failed, run.Failed, run.Missing, c.good, c.failed, c.missed)
				}
				if told != c.good+c.failed {
					t.Errorf("told of %d", told)
				}
				if ended := c.failed > c.tolerated; ended != (err != nil) || ended && (!errors.Is(err, errAsked) || !strings.Contains(err.Error(), fmt.Sprintf("%d of %d requests failed", c.failed, c.good+c.failed))) {
					t.Errorf("have %v", err)
				}
			})
		})
	}
}

func TestRunIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		stopped, stop := context.WithCancel(context.WithoutCancel(ctx))
		context.AfterFunc(ctx, stop)
		s := server{took: always(time.Second)}
		r := runner{asker: &s, request: func(int) load.Request { return load.Request{MaxTokens: 2} }, scenario: Scenario{Kind: Continuous, Concurrency: 3}, n: 20, ended: func(int, int) {}}
		run, err := r.play(stopped)
		if !errors.Is(err, context.Canceled) || len(run.Asked) != 6 || run.Failed != 0 || run.Missing != 14 || run.Wall != 2500*time.Millisecond {
			t.Errorf("%d asked, %d failed, %d missing, in %v: %v", len(run.Asked), run.Failed, run.Missing, run.Wall, err)
		}
	})
}
