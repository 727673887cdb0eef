package main

import (
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
)

// banner says at the start what will happen: whether this pod can be stopped, when at the earliest, why then, and how to
// prevent it.
func (w *watch) banner(log *zap.Logger) {
	c := w.config
	cold, samples := costmodel.ColdStart(c.ColdStart, c.ColdStartUnseen, c.Kept.Starts)
	price := w.loop.Price()
	quote := c.Tariff.Quote(price, cold)
	threshold := w.policy.Threshold(quote)
	fields := []zap.Field{
		zap.String("version", c.Identity.Version), zap.String("name", c.Identity.Name), zap.String("start_id", c.Identity.StartID),
		zap.String("config", c.Identity.Config), zap.Bool("armed", c.Identity.Armed && c.Identity.StartID != ""), zap.Bool("dry_run", c.Identity.DryRun),
		zap.String("target", c.Identity.Target.Kind), zap.String("pod", c.Identity.Target.ID), zap.String("action", c.Identity.Target.Action),
		zap.String("policy", w.policy.Describe(quote)), zap.Float64("threshold_seconds", threshold.Seconds()),
		zap.Float64p("idle_hour_usd", quote.SavingUSDPerHour.Ptr()), zap.Float64p("cold_start_cost_usd", quote.ColdStartUSD.Ptr()),
		zap.Float64("cold_start_seconds", cold.Seconds()), zap.Int("cold_start_samples", samples),
		zap.Bool("persistent", c.Persistent),
	}
	refused := c.Rules.Refused
	if refused == "" {
		refused = w.loop.Refused()
	}
	switch {
	case refused != "":
		fields = append(fields, zap.String("refused", refused))
	case !c.Identity.Armed:
		fields = append(fields, zap.String("not_armed", c.Identity.Unarmed))
	case c.Identity.StartID == "":
		fields = append(fields, zap.String("not_armed", "the identity of this start is unknown"))
	case quote.NoSaving:
		fields = append(fields, zap.String("no_stop", "a stopped hour is not cheaper than a running one"))
	default:
		left := threshold
		if min := c.Rules.MinRuntime - c.Kept.State.ReadyFor; min > left {
			left = min
		}
		leases := c.Kept.Leases.At(time.Now())
		if last, held := leases.Last(); held {
			left = max(left, time.Until(last.Until))
		}
		left = max(left, time.Until(leases.PostponedUntil))
		fields = append(fields, zap.Time("earliest_stop", time.Now().Add(left).Truncate(time.Second)),
			zap.String("to_prevent", "gpu-watchdog hold 2h, or send it work"))
	}
	log.Info("watchdog started", fields...)
	for _, warning := range c.Warnings {
		log.Warn("warning", zap.String("detail", warning))
	}
	if c.Tariff.PenaltyAssumed(price) {
		log.Warn("warning", zap.String("detail", "WATCHDOG_COLD_START_PENALTY is in dollars, which needs a price; until one is known it counts as 10x"))
	}
}
