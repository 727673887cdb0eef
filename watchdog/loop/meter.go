package loop

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// meter adds up what this pod has cost since the watchdog began, and what of it was idle.
type meter struct {
	day                   time.Time
	spentToday, idleToday float64
	spent, idle           float64
	priced                bool
	samples               int
}

// resume takes up what this day had cost when the watchdog last ran.
func (m *meter) resume(kept memory.Spent) {
	if !kept.Day.IsZero() {
		m.day, m.spentToday, m.idleToday, m.priced = kept.Day.UTC(), kept.USD, kept.IdleUSD, true
	}
}

// keep is what of it must outlive this process.
func (m *meter) keep() memory.Spent {
	if !m.priced {
		return memory.Spent{}
	}
	return memory.Spent{Day: m.day, USD: m.spentToday, IdleUSD: m.idleToday}
}

// spentOn is what the day of that moment has cost by the last look.
func (m *meter) spentOn(at time.Time) float64 {
	if !at.UTC().Truncate(24 * time.Hour).Equal(m.day) {
		return 0
	}
	return m.spentToday
}

// pass adds one window at the hourly price of its end; without a price nothing is added and today is unknown.
func (m *meter) pass(t costmodel.Tariff, s watchdog.Snapshot, d watchdog.Decision) {
	if day := s.At.UTC().Truncate(24 * time.Hour); !day.Equal(m.day) {
		m.day, m.spentToday, m.idleToday = day, 0, 0
	}
	price := s.Quote.PriceUSDPerHour
	if !price.Known {
		return
	}
	m.priced = true
	usd := (price.Value + t.StorageRunning) * s.Elapsed.Hours()
	m.spentToday += usd
	m.spent += usd
	if d.Activity == watchdog.Quiet {
		m.idleToday += usd
		m.idle += usd
	}
}

func (l *Loop) money() Money {
	m := l.meter
	out := Money{Day: m.day, SpentTotal: m.spent, IdleTotal: m.idle, ColdStartSamples: m.samples}
	if m.priced {
		out.SpentToday, out.IdleToday = watchdog.Known(m.spentToday), watchdog.Known(m.idleToday)
	}
	switch known := l.pod.Load(); {
	case l.Config.Price.Known:
		out.PriceSource = "environment"
	case known != nil && known.pod.PriceUSDPerHour.Known:
		out.PriceSource = "provider"
	}
	return out
}
