package loop

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// attempt is the one stop that may be under way, beside the ticks. Its zero value is ready to use.
type attempt struct {
	mu      sync.Mutex
	group   sync.WaitGroup
	busy    bool
	abandon context.CancelFunc
	// ended is closed when the one under way has ended.
	ended    chan struct{}
	reports  []watchdog.StopReport
	accepted time.Time
}

// begin climbs the ladder in a goroutine of its own. ctx ends it; so does cancel.
//
// The channel gets its report, too, for whoever waits for it.
func (a *attempt) begin(ctx context.Context, s stopper) <-chan watchdog.StopReport {
	done := make(chan watchdog.StopReport, 1)
	ctx, cancel := context.WithCancel(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy, a.abandon, a.ended = true, cancel, make(chan struct{})
	ended := a.ended
	a.reports = append(a.reports, watchdog.StopReport{Phase: watchdog.StopAsked})
	a.group.Go(func() {
		defer cancel()
		defer close(ended)
		report := s.Stop(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.busy, a.abandon = false, nil
		a.reports = append(a.reports, report)
		done <- report
		if report.Phase == watchdog.StopAccepted && a.accepted.IsZero() {
			a.accepted = time.Now()
		}
	})
	return done
}

// news is the oldest report that the core has not seen.
func (a *attempt) news() (report watchdog.StopReport) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.reports) > 0 {
		report = a.reports[0]
		a.reports = a.reports[1:]
	}
	return report
}

// running says that an attempt is under way, or has ended and the core has not heard of it yet.
func (a *attempt) running() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.busy || len(a.reports) > 0
}

// giveUp cancels the attempt that is under way and waits for its end, but not long. It says whether there was one, and whether it may
// have had a yes; one that had none is forgotten.
func (a *attempt) giveUp(most time.Duration) (asking, yes bool) {
	a.mu.Lock()
	ended := a.ended
	asking = a.busy || len(a.reports) > 0
	a.mu.Unlock()
	if !asking {
		return false, false
	}
	a.cancel()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.busy || len(a.reports) > 0 && a.reports[len(a.reports)-1].Phase != watchdog.StopRefused {
		return true, true
	}
	a.reports = nil
	return true, false
}

// cancel ends an attempt that work has overtaken: the rungs that were not tried yet stay untried.
func (a *attempt) cancel() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.abandon != nil {
		a.abandon()
	}
}

func (a *attempt) wait() {
	a.cancel()
	a.group.Wait()
}

// sinceAccepted is how long ago the first stop was accepted that is not proven yet.
func (a *attempt) sinceAccepted(now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.accepted.IsZero() {
		return 0
	}
	return now.Sub(a.accepted)
}

// finalLook looks twice more, at least a second apart. Only if both looks let it is the stop asked for; the memory is brought to
// safety before, so that nothing lies between the last look and the request. by is the person who asked for it, if one did.
func (l *Loop) finalLook(ctx context.Context, reason, by string, let func(watchdog.Decision) error) (<-chan watchdog.StopReport, error) {
	l.openStop(reason)
	if time.Since(l.lastLook) > l.Rules.CheckInterval {
		// The disk took its time: the next look is late, and says nothing. Let that be an ordinary one, or no stop would ever
		// come beside a disk that hangs.
		l.step(ctx, false)
	}
	err := let(l.step(ctx, true))
	if err == nil {
		if !l.pause(ctx, finalApart) {
			err = context.Cause(ctx)
		} else if d := l.step(ctx, true); ctx.Err() != nil {
			err = context.Cause(ctx)
		} else if err = let(d); err == nil {
			l.Log.Info("stop requested", zap.String("target", l.Identity.Target.Kind), zap.String("pod", l.Identity.Target.ID),
				zap.String("reason", reason), zap.String("by", by), zap.Float64("idle_seconds", d.Idle.Seconds()), zap.Bool("dry_run", l.Identity.DryRun))
			if reason == personStop {
				d.Reasons = slices.Concat([]watchdog.Because{{Code: personStop, Detail: "by " + by, Since: d.At}}, d.Reasons)
			}
			l.asking.Store(&d)
			return l.stopping.begin(ctx, l.Stopper), nil
		}
	}
	l.kept.Stop = l.stopBefore
	l.keep(false)
	return nil, err
}

// errHeld: a look before a stop found a reason to hold, which the log tells.
var errHeld = errors.New("held by the final look")

// stillDue lets the stop be that the rules want.
func stillDue(d watchdog.Decision) error {
	if !d.Act {
		return errHeld
	}
	return nil
}

// pause waits between two looks, and says whether ctx let it. Orders are taken meanwhile: a hold that comes in the last second before a
// stop must not come too late.
func (l *Loop) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case o := <-l.orders:
			l.obey(ctx, o)
		case <-timer.C:
			return true
		}
	}
}

// openStop writes down that a stop is about to be asked for, and waits for the disk, but not long: a disk that hangs
// must not keep a pod alive.
func (l *Loop) openStop(reason string) {
	d := l.Latest().Decision
	l.stopBefore = l.kept.Stop
	l.kept.Stop = &memory.Stop{
		RequestedAt: d.At, StartID: l.Identity.StartID, Target: l.Identity.Target.Kind, Result: "asked",
		Reason: reason, IdleFor: d.Idle, ColdStartUSD: d.Quote.ColdStartUSD, BreakEven: d.Quote.BreakEven,
	}
	l.keep(true)
	flush, cancel := context.WithTimeout(context.Background(), flushMost)
	defer cancel()
	if err := l.Memory.Flush(flush); err != nil {
		l.Log.Warn("stop goes on without its memory", zap.Error(err))
	}
}
