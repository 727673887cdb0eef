package loop

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// order is something that a person asks for. It is carried out between two ticks, by the goroutine that ticks, and the tick that
// follows at once knows of it: whoever is answered can rely on it.
type order struct {
	// do carries it out; its ctx ends with the watch, not with whoever asked.
	do   func(ctx context.Context, now time.Time) (orders.Answer, error)
	told chan<- told
}

type told struct {
	answer orders.Answer
	err    error
}

// Standing says how things stand.
func (l *Loop) Standing(context.Context) (orders.Answer, error) {
	v := l.Latest()
	if v == nil {
		return orders.Answer{}, orders.NotReachable("the watchdog has not looked yet; try again in a moment")
	}
	return orders.Answer{Text: standing(v), StopAt: v.Decision.StopAt, Holds: v.Leases.Holds}, nil
}

// standing words what the pod is about to see.
func standing(v *View) string {
	text := v.Verdict + ": " + string(v.Decision.Reason())
	if len(v.Decision.Reasons) > 0 && v.Decision.Reasons[0].Detail != "" {
		text += ", " + v.Decision.Reasons[0].Detail
	}
	return text
}

// Hold keeps the pod for a time.
func (l *Loop) Hold(ctx context.Context, o orders.Hold) (orders.Answer, error) {
	return l.ask(ctx, func(_ context.Context, now time.Time) (orders.Answer, error) {
		leases, given, err := l.kept.Leases.Hold(now, o)
		if err != nil {
			return orders.Answer{}, err
		}
		l.kept.Leases = leases
		return orders.Answer{Text: "held until " + given.Until.Format(time.RFC3339) + l.giveUp(), Until: watchdog.Known(given.Until)}, nil
	})
}

// Release ends holds, and a postponement.
func (l *Loop) Release(ctx context.Context, o orders.Release) (orders.Answer, error) {
	return l.ask(ctx, func(_ context.Context, now time.Time) (orders.Answer, error) {
		leases, ended := l.kept.Leases.Release(now, o)
		putOff := l.kept.Leases.At(now).PostponedUntil.After(leases.PostponedUntil)
		l.kept.Leases = leases
		text := "no hold stood"
		if len(ended) > 0 || putOff {
			text = "released"
		}
		return orders.Answer{Text: text}, nil
	})
}

// Postpone moves the earliest stop back.
func (l *Loop) Postpone(ctx context.Context, o orders.Postpone) (orders.Answer, error) {
	return l.ask(ctx, func(_ context.Context, now time.Time) (orders.Answer, error) {
		stopAt := watchdog.Maybe[time.Time]{}
		if v := l.Latest(); v != nil {
			stopAt = v.Decision.StopAt
		}
		leases, until, err := l.kept.Leases.Postpone(now, stopAt, o)
		if err != nil {
			return orders.Answer{}, err
		}
		l.kept.Leases = leases
		return orders.Answer{Text: "no stop before " + until.Format(time.RFC3339) + l.giveUp(), Until: watchdog.Known(until)}, nil
	})
}

// ask has an order carried out, and waits for that.
func (l *Loop) ask(ctx context.Context, do func(ctx context.Context, now time.Time) (orders.Answer, error)) (orders.Answer, error) {
	answer := make(chan told, 1)
	select {
	case l.orders <- order{do, answer}:
	case <-ctx.Done():
		return orders.Answer{}, orders.NotReachable("the watchdog ends, or is busy with a look that does not; it was not told")
	}
	select {
	case t := <-answer:
		return t.answer, t.err
	case <-ctx.Done():
		return orders.Answer{}, context.Cause(ctx)
	}
}

// obey carries one order out, makes it durable, and looks at once, so that the answer says what it has changed.
func (l *Loop) obey(ctx context.Context, o order) {
	if ctx.Err() != nil {
		o.told <- told{err: orders.NotReachable("the watchdog ends; it was not told")}
		return
	}
	answer, err := o.do(ctx, time.Now())
	if err == nil {
		l.keep(true)
		if l.acting {
			l.step(ctx, false) // whoever is about to stop the pod looks again after this
		} else {
			l.tick(ctx)
		}
		if v := l.Latest(); v != nil {
			answer.StopAt, answer.Holds = v.Decision.StopAt, v.Leases.Holds
			if answer.Until.Known {
				answer.Text += despite(v.Decision)
			}
		}
	}
	o.told <- told{answer, err}
}

// despite says that a stop is due which no hold keeps off; empty where none is.
func despite(d watchdog.Decision) string {
	if !caps(d.Reason()) {
		return ""
	}
	return fmt.Sprintf("; but a hold does not keep off a cap, and one is near (%s: %s)", d.Reason(), d.Reasons[0].Detail)
}

// caps says that a stop for that reason comes whatever people ask for.
func caps(r watchdog.Reason) bool { return r == watchdog.MaxRuntime || r == watchdog.MaxSpend }

// giveUpMost is how long a person waits for the end of a stop that their hold came too late for.
const giveUpMost = 2 * time.Second

// giveUp ends what is being asked of the provider, because somebody keeps the pod, and says what may come nevertheless; empty where
// nothing can.
func (l *Loop) giveUp() string {
	const late = "; but %s a stop was asked for, which may come nevertheless"
	asking, yes := l.stopping.giveUp(giveUpMost)
	switch a := l.state.Attempt; {
	case asking && !yes:
		l.state.Attempt = watchdog.Attempt{Unproven: a.Unproven}
		l.endStop("refused", "given up: somebody keeps this pod", "")
		return fmt.Sprintf(late, "just before")
	case asking:
		return fmt.Sprintf(late, "just before")
	case a.Phase == watchdog.StopAccepted, a.Phase == watchdog.StopUnprovenWait:
		return fmt.Sprintf(late, a.For.Round(time.Second).String()+" ago")
	}
	return ""
}

// people says what people have asked for at that moment. What has ended is forgotten, and told.
func (l *Loop) people(s *watchdog.Snapshot) {
	before := l.kept.Leases
	l.kept.Leases = before.At(s.At)
	if len(before.Holds) > 0 && len(l.kept.Leases.Holds) == 0 {
		last := before.Holds[len(before.Holds)-1]
		l.Log.Info("hold ended", zap.String("by", last.By), zap.String("why", last.Why), zap.Time("until", last.Until))
		l.herald.holdEnded(last)
	}
	if last, ok := l.kept.Leases.Last(); ok {
		s.People.HoldUntil, s.People.HoldBy, s.People.HoldWhy = last.Until, last.By, last.Why
	}
	s.People.PostponedUntil = l.kept.Leases.PostponedUntil
}
