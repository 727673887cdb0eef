package report

import (
	"context"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Reader reads the telemetry; *store.Reader is one.
type Reader interface {
	Days(ctx context.Context, q store.Query) (store.Days, error)
	Series(ctx context.Context, q store.Query, step time.Duration) ([]store.Point, error)
}

// Question is what a report is about.
type Question struct {
	Span
	// SLATTFT is the time that the first token has to come in, strictly.
	SLATTFT time.Duration
	// Name is the pod's, File the path that is read; both are only shown.
	Name, File string
	// Now is the wall clock of the question.
	Now time.Time
}

// Report is the figures of some days.
type Report struct {
	Question
	// Days has those of which anything was recorded, the newest first.
	Days  []Figures
	Total Figures
}

// Build reads the figures of days. Days without anything in the file are not in it; a report may well be empty.
func Build(ctx context.Context, r Reader, q Question) (Report, error) {
	out := Report{Question: q}
	found, err := r.Days(ctx, q.query())
	if err != nil {
		return out, err
	}
	for _, d := range slices.Backward(found.Each) {
		generated, err := countedOnly(ctx, r, q, d)
		if err != nil {
			return out, err
		}
		out.Days = append(out.Days, ofDay(d, generated))
	}
	out.Total = ofAll(out.Days, found.Total)
	return out, nil
}

func (q Question) query() store.Query {
	return store.Query{From: q.First, To: q.End(), SLATTFT: q.SLATTFT}
}

// countedOnly asks for what the server's counters say of a day that has no rows; where there are any they say more.
func countedOnly(ctx context.Context, r Reader, q Question, d store.Day) (watchdog.Maybe[float64], error) {
	if d.Requests > 0 || !d.ServerTokens.Known || d.ServerTokens.Value == 0 {
		return watchdog.Maybe[float64]{}, nil
	}
	points, err := r.Series(ctx, store.Query{From: d.Date, To: d.Date.Add(day), SLATTFT: q.SLATTFT}, day)
	if err != nil || len(points) == 0 {
		return watchdog.Maybe[float64]{}, err
	}
	return points[0].GeneratedTokens, nil
}

// Empty: nothing was recorded.
func (r *Report) Empty() bool { return len(r.Days) == 0 }
