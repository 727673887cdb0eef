package loop

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// drained takes the pod out of its service, and says whether that was long enough ago for nobody new to come.
func (l *Loop) drained(at time.Time) bool {
	l.drain(true)
	return at.Sub(l.drainedSince) >= l.Drain
}

// stayInService takes the pod back into its service, unless it waits for its end.
func (l *Loop) stayInService() {
	if phase := l.state.Attempt.Phase; phase != watchdog.StopAsked && phase != watchdog.StopAccepted {
		l.drain(false)
	}
}

// drain takes the pod out of its service, or back in.
func (l *Loop) drain(out bool) {
	if out == l.draining.Load() {
		return
	}
	l.drainedSince = l.lastLook
	l.draining.Store(out)
	if out {
		l.describeNow() // a target that refuses by now must not lose more than a moment of its service
	}
	l.Log.Info("readiness changed", zap.Bool("draining", out))
	if v := l.Latest(); v != nil {
		now := *v
		now.Draining = out
		l.view.Store(&now) // nobody should have to wait a tick for it
	}
}

// Draining says that this pod is about to be stopped and should get no requests any more. It is safe for concurrent use.
func (l *Loop) Draining() bool { return l.draining.Load() }

// leaveService takes the pod out of its service and waits until nobody new can come, as long as every look lets it.
func (l *Loop) leaveService(ctx context.Context, let func(watchdog.Decision) error) error {
	if l.Drain <= 0 {
		return nil
	}
	if err := let(l.step(ctx, false)); err != nil {
		return err
	}
	for l.drain(true); ; {
		left := l.Drain - time.Since(l.drainedSince)
		if left <= 0 {
			return nil
		}
		if !l.pause(ctx, min(left, l.Rules.CheckInterval)) {
			return context.Cause(ctx)
		}
		if err := let(l.step(ctx, false)); err != nil {
			return err
		}
	}
}
