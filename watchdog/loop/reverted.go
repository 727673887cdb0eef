package loop

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// undoneWithin: a start so soon after a stop, for which no request waited, undid it.
	undoneWithin = 5 * time.Minute
	// undoneFew stops that were undone in a row are no accident: somebody, or a controller, wants this pod to run.
	undoneFew = 2
	// undoneFor is how long nothing is stopped then.
	undoneFor = 24 * time.Hour
	// undoneMost bounds the question who did it.
	undoneMost = 10 * time.Second
)

// undone takes this start of the pod into the row of stops that were undone: it came within minutes of the stop, and no request has
// come since the one before it. What a person had stopped they may start again as they like.
func (l *Loop) undone(stop memory.Stop) {
	began := l.kept.Began.At
	if stop.Reason == personStop || began.Before(stop.RequestedAt) {
		return // nor is it known when it was started, where its processes are older than the stop
	}
	if began.Sub(stop.RequestedAt) >= undoneWithin {
		l.kept.Undone = memory.Undone{}
		return
	}
	l.kept.Undone.Count++
	l.kept.Undone.By, l.undoneNow = "", true
	if l.kept.Undone.Count >= undoneFew {
		l.kept.Undone.Until = began.Add(undoneFor)
	}
	l.Log.Warn("stop undone", zap.Time("requested_at", stop.RequestedAt), zap.Time("started_at", began), zap.Int("in_a_row", l.kept.Undone.Count))
}

// findWho asks who undid the stop, where the provider keeps a record of that. It is called before the first tick.
func (l *Loop) findWho(ctx context.Context) {
	if l.WhoUndid == nil || !l.undoneNow {
		return // whoever touched it since has undone nothing
	}
	l.undoneNow = false
	ctx, cancel := context.WithTimeout(ctx, undoneMost)
	defer cancel()
	who, err := l.WhoUndid(ctx)
	if err != nil {
		l.Log.Warn("who undid the stop is not known", zap.Error(err))
		return
	}
	l.kept.Undone.By = who
	l.Log.Info("who undid the stop", zap.String("by", who))
}

// reverted tells the core that nothing is to be stopped now.
func (l *Loop) reverted(s *watchdog.Snapshot) {
	if most := s.At.Add(undoneFor); l.kept.Undone.Until.After(most) {
		l.kept.Undone.Until = most.Round(0) // the clock was ahead when that was written
	}
	u := l.kept.Undone
	if !u.Until.After(s.At) {
		return
	}
	s.RevertedUntil = u.Until
	s.Reverted = fmt.Sprintf("%d stops in a row were undone within %s, and no request came", u.Count, undoneWithin)
	if u.By != "" {
		s.Reverted += "; the last time by " + u.By
	}
}

// wanted: a request after a start says that the start was meant, so it undid nothing.
func (l *Loop) wanted(d watchdog.Decision) {
	if l.kept.Undone.Count == 0 {
		return
	}
	if slices.ContainsFunc(d.Reasons, func(b watchdog.Because) bool { return slices.Contains(requests, b.Code) }) {
		l.kept.Undone = memory.Undone{}
	}
}

// requests are the reasons that speak of somebody's request.
var requests = []watchdog.Reason{watchdog.RequestsInFlight, watchdog.TokensMoved, watchdog.ConnectionActive, watchdog.RowsReceived}
