package loop

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Introduce asks the provider for the first time, within ctx, so that the banner knows the price. It is called before Run,
// or not at all.
func (l *Loop) Introduce(ctx context.Context) {
	if l.Provider != nil {
		l.askProvider(ctx)
	}
	l.findWho(ctx)
}

// Price is what an hour of this pod costs: as configured, else as the provider says.
func (l *Loop) Price() watchdog.Maybe[float64] {
	if known := l.pod.Load(); !l.Config.Price.Known && known != nil {
		return known.pod.PriceUSDPerHour
	}
	return l.Config.Price
}

// Refused is why the provider says that this pod must not be stopped as it is now; empty where it says no such thing.
func (l *Loop) Refused() string {
	if known := l.pod.Load(); known != nil {
		return known.pod.Refused
	}
	return ""
}

// describe asks the provider about this pod from time to time, beside the ticks.
func (l *Loop) describe(ctx context.Context) {
	if l.Provider == nil {
		return
	}
	wait := time.Duration(0)
	if known := l.pod.Load(); known != nil {
		wait = known.fresh()
	}
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-l.askNow:
			timer.Stop()
		}
		call, cancel := context.WithTimeout(ctx, describeMost)
		wait = l.askProvider(call).fresh()
		cancel()
	}
}

// describeNow lets the provider be asked soon, beside the ticks: what it said last may be minutes old.
func (l *Loop) describeNow() {
	select {
	case l.askNow <- struct{}{}:
	default: // it is going to be asked already
	}
}

// askProvider asks once. What was known stays known where the question fails.
func (l *Loop) askProvider(ctx context.Context) *described {
	pod, permission, detail := l.Provider.Describe(ctx)
	answer := &described{pod, permission, detail}
	was := l.pod.Load()
	if !errors.Is(ctx.Err(), context.Canceled) {
		l.tellProvider(was, answer)
	}
	if was != nil {
		if !pod.PriceUSDPerHour.Known {
			answer.pod.PriceUSDPerHour = was.pod.PriceUSDPerHour
		}
		if !pod.Locked.Known {
			answer.pod.Locked = was.pod.Locked
		}
	}
	l.pod.Store(answer)
	return answer
}

// tellProvider logs that the provider says too little of this pod, once for each reason, and when that is over.
func (l *Loop) tellProvider(was, now *described) {
	before := ""
	if was != nil {
		before = was.detail
	}
	switch {
	case now.detail == before:
	case now.detail == "":
		l.Log.Info("pod read from provider again")
	case now.pod.Refused != "":
		l.Log.Warn("pod refused as a target", zap.String("detail", now.detail))
	default:
		l.Log.Warn("pod not read from provider", zap.String("detail", now.detail))
	}
}

// fresh is how long the answer is good for: one that lacks something, or refuses, is asked for again soon.
func (d *described) fresh() time.Duration {
	if d.detail != "" || !d.pod.PriceUSDPerHour.Known && d.permission != PermissionProven {
		return describeSoon
	}
	return describeEvery
}
