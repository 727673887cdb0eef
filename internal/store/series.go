package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// seriesMost bounds the points of one series.
const seriesMost = 10_000

// Point is one step of a series: the requests that finished in it and the minutes that it covers.
type Point struct {
	// At is the step's beginning.
	At time.Time
	// Requests, of which Met stayed below the SLA and Undecided have no TTFT.
	Requests, Met, Undecided int64
	OutputTokens, MetTokens  int64
	TTFT                     Spread
	// Watched is how long the watchdog looked on.
	Watched                       time.Duration
	GPUPercentMean, GPUPercentMax watchdog.Maybe[float64]
	RunningMean, KVMax            watchdog.Maybe[float64]
	SpentUSD, IdleUSD             watchdog.Maybe[float64]
	// ServerTokens is what the server's own counters moved, prompt and generated; GeneratedTokens without the prompts.
	ServerTokens, GeneratedTokens watchdog.Maybe[float64]
}

// Series answers from the file, as Days does.
func (s *Store) Series(ctx context.Context, q Query, step time.Duration) ([]Point, error) {
	return s.reader.Series(ctx, q, step)
}

// Series reads what happened over time, for plots: a point for each step (whole minutes) of [From, To) in which something was
// recorded, oldest first, all of it exact. It reads each request of that time, as far as its row has not been forgotten: about
// a second for half a million.
func (r *Reader) Series(ctx context.Context, q Query, step time.Duration) ([]Point, error) {
	switch {
	case !q.From.Before(q.To):
		return nil, fmt.Errorf("series from %s to %s: the first must be before the second", q.From, q.To)
	case step < time.Minute || step%time.Minute != 0:
		return nil, fmt.Errorf("series in steps of %s: a step is a number of whole minutes", step)
	case q.To.Sub(q.From)/step > seriesMost:
		return nil, fmt.Errorf("series from %s to %s in steps of %s has more than %d points: take longer steps", q.From, q.To, step, seriesMost)
	}
	return read(ctx, r, func(ctx context.Context, on *query) ([]Point, error) { return on.series(ctx, q, step) })
}

func (q *query) series(ctx context.Context, ask Query, step time.Duration) ([]Point, error) {
	points := map[int64]*Point{}
	at := func(second int64) *Point {
		n := (second - ask.From.Unix()) / int64(step/time.Second)
		if points[n] == nil {
			points[n] = &Point{At: ask.From.Add(time.Duration(n) * step)}
		}
		return points[n]
	}
	if err := q.seriesRequests(ctx, ask, at); err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	if err := q.seriesMinutes(ctx, ask, at); err != nil {
		return nil, fmt.Errorf("read minutes: %w", err)
	}
	out := make([]Point, 0, len(points))
	for _, n := range slices.Sorted(maps.Keys(points)) {
		out = append(out, *points[n])
	}
	return out, nil
}

// seriesRequests reads requests by time, so that only the present step's values are held.
func (q *query) seriesRequests(ctx context.Context, ask Query, at func(int64) *Point) error {
	var finished int64
	var ttft sql.NullFloat64
	var tokens sql.NullInt64
	var point *Point
	var values []float64
	var known sum
	finish := func() {
		if point != nil && len(values) > 0 {
			slices.Sort(values)
			point.TTFT = Spread{
				N: known.n, Mean: known.mean(), P50: watchdog.Known(percentile(values, shares[0])),
				P95: watchdog.Known(percentile(values, shares[1])), P99: watchdog.Known(percentile(values, shares[2])),
			}
		}
		values, known = values[:0], sum{}
	}
	err := q.each(ctx, []any{&finished, &ttft, &tokens}, func() error {
		p := at(finished / 1_000_000)
		if p != point {
			finish()
			point = p
		}
		p.Requests++
		p.OutputTokens += tokens.Int64
		if !ttft.Valid {
			p.Undecided++
			return nil
		}
		known.add(ttft)
		values = append(values, ttft.Float64)
		if ttft.Float64 < ask.SLATTFT.Seconds() {
			p.Met++
			p.MetTokens += tokens.Int64
		}
		return nil
	}, "SELECT finished_at, ttft_s, output_tokens FROM requests WHERE finished_at >= ? AND finished_at < ? ORDER BY finished_at", ask.From.UnixMicro(), ask.To.UnixMicro())
	finish()
	return err
}

func (q *query) seriesMinutes(ctx context.Context, ask Query, at func(int64) *Point) error {
	var minute, watched, samples int64
	var gpuSum, gpuMax, runningMean, kv, spent, idle, tokens, generated sql.NullFloat64
	gpu := map[*Point]sum{}
	running := map[*Point]*mean{}
	err := q.each(ctx, []any{&minute, &watched, &samples, &gpuSum, &gpuMax, &runningMean, &kv, &spent, &idle, &tokens, &generated}, func() error {
		p := at(max(minute*60, ask.From.Unix()))
		p.Watched += time.Duration(watched)
		if gpuSum.Valid && samples > 0 {
			g := gpu[p]
			g.merge(sum{samples, gpuSum.Float64})
			gpu[p] = g
		}
		if running[p] == nil {
			running[p] = &mean{}
		}
		running[p].add(maybe(runningMean), time.Duration(watched).Seconds())
		p.GPUPercentMax, p.KVMax = highest(p.GPUPercentMax, maybe(gpuMax)), highest(p.KVMax, maybe(kv))
		p.SpentUSD, p.IdleUSD = plus(p.SpentUSD, maybe(spent)), plus(p.IdleUSD, maybe(idle))
		p.ServerTokens, p.GeneratedTokens = plus(p.ServerTokens, maybe(tokens)), plus(p.GeneratedTokens, maybe(generated))
		return nil
	}, `SELECT minute, busy_ns + quiet_ns + unknown_ns + broken_ns, gpu_samples, gpu_mean * gpu_samples, gpu_max, running_mean, kv_max,
  spent_usd, idle_usd, tokens, generated_tokens FROM minutes WHERE minute >= ? AND minute < ? ORDER BY minute`, ask.From.Unix()/60, (ask.To.Unix()+59)/60)
	for p, g := range gpu {
		p.GPUPercentMean = g.mean()
	}
	for p, r := range running {
		p.RunningMean = r.value()
	}
	return err
}
