package main

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// lookEvery is the real distance of two looks in the demo: it misses nothing on a busy laptop, and no decision comes
	// later than a tenth of a second.
	lookEvery = 100 * time.Millisecond
	// usdPerHour is what the simulated pod costs.
	usdPerHour = 1.50
)

// scale is how many pod seconds pass in one real second. The loop knows real time only, so whatever is a time shrinks on
// its way in, and a price of an hour grows by as much: amounts of dollars are the same on both sides.
type scale float64

func (s scale) pod(real time.Duration) time.Duration {
	return time.Duration(float64(real) * float64(s))
}
func (s scale) real(pod time.Duration) time.Duration { return time.Duration(float64(pod) / float64(s)) }
func (s scale) realPrice(usdPerPodHour float64) float64 {
	return usdPerPodHour * float64(s)
}

// config turns settings in pod time into real ones. Looks are never closer than lookEvery.
func (s scale) config(c config.Config) config.Config {
	for _, d := range []*time.Duration{
		&c.CheckInterval, &c.IdleLimit.Duration, &c.IdleMin, &c.IdleMax, &c.MinRuntime, &c.StartupTimeout, &c.BrokenLimit,
		&c.WarnBefore, &c.ColdStart, &c.ColdStartUnseen,
	} {
		*d = s.real(*d)
	}
	c.CheckInterval = max(c.CheckInterval, lookEvery)
	if c.Price.Known {
		c.Price.Value = s.realPrice(c.Price.Value)
	}
	c.StorageRunning, c.StorageStopped = s.realPrice(c.StorageRunning), s.realPrice(c.StorageStopped)
	return c
}

// quote turns a quote in real time into one in pod time.
func (s scale) quote(q watchdog.Quote) watchdog.Quote {
	for _, d := range []*time.Duration{&q.ColdStart, &q.BreakEven, &q.BillBreakEven} {
		*d = s.pod(*d)
	}
	for _, r := range []*watchdog.Maybe[float64]{&q.PriceUSDPerHour, &q.SavingUSDPerHour} {
		r.Value /= float64(s)
	}
	return q
}
