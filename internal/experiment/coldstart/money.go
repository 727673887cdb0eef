package coldstart

import (
	"math"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Pricing is what time costs on this pod.
type Pricing struct {
	// USDPerHour is the price of the running pod, without storage.
	USDPerHour watchdog.Maybe[float64]
	Tariff     costmodel.Tariff
	// Unseen is the part of a cold start that cannot be seen from inside the pod.
	Unseen time.Duration
}

// Money is what one cold start costs.
type Money struct {
	// ColdStartSeconds is C, the unseen part included.
	ColdStartSeconds float64 `json:"cold_start_seconds"`
	// BillUSD is what the pod alone costs in that time; ColdStartUSD has the penalty in it. Unknown without a price.
	BillUSD      watchdog.Maybe[float64] `json:"bill_usd"`
	ColdStartUSD watchdog.Maybe[float64] `json:"cold_start_usd"`
	// BreakEvenSeconds is how long the pod may idle before that has cost as much; unknown where a stopped hour saves nothing.
	BreakEvenSeconds watchdog.Maybe[float64] `json:"break_even_seconds"`
}

// of prices a cold start whose visible part took that long.
func (p Pricing) of(visible time.Duration) Money {
	c := visible + p.Unseen
	q := p.Tariff.Quote(p.USDPerHour, c)
	m := Money{ColdStartSeconds: c.Seconds(), BillUSD: p.bill(c), ColdStartUSD: q.ColdStartUSD}
	if !q.NoSaving {
		m.BreakEvenSeconds = watchdog.Known(q.BreakEven.Seconds())
	}
	return m
}

// bill is what the running pod costs in that time, storage included and people excluded.
func (p Pricing) bill(d time.Duration) watchdog.Maybe[float64] {
	t := costmodel.Tariff{StorageRunning: p.Tariff.StorageRunning}
	return t.Quote(p.USDPerHour, d).ColdStartUSD
}

// suggested is the 75th percentile, linearly interpolated, of cold starts in seconds, rounded up to a whole second: the same
// percentile as the watchdog's own estimate, without its prior.
func suggested(seconds []float64) watchdog.Maybe[time.Duration] {
	sorted := slices.Sorted(slices.Values(seconds))
	p := serving.Percentile(sorted, .75)
	if !p.Known {
		return watchdog.Maybe[time.Duration]{}
	}
	return watchdog.Known(time.Duration(math.Ceil(p.Value)) * time.Second)
}
