package report

import (
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// The sources of a day's figures, joined by + where there are several.
const (
	FromSpans    = "spans"    // rows that vLLM's own spans told
	FromRows     = "rows"     // rows that applications posted
	FromCounters = "counters" // no rows: the server's counter of generated tokens
)

// Figures are those of one UTC day, or of all days of a report together.
type Figures struct {
	// Date is zero for all days together.
	Date time.Time
	// Open: the day is not over yet.
	Open bool

	// Requests have a row each. Without rows they are 0 where the server counted nothing or all was quiet, else unknown.
	Requests watchdog.Maybe[int64]
	// Met and Missed are by the SLA, Undecided those without a known TTFT. Unknown as a whole where none could be graded.
	Met, Missed, Undecided, Aborted watchdog.Maybe[int64]
	// Tokens are output tokens; MetTokens those of requests that met the SLA.
	Tokens, MetTokens, PromptTokens watchdog.Maybe[int64]
	// AverageTPS is the mean over requests of their own tokens a second.
	AverageTPS watchdog.Maybe[float64]
	// SLAPercent is the share of the graded requests that met the SLA. Compliance is the share of all tokens that belong to
	// requests which met it, as the document's own SQL (section 5.4) has it.
	SLAPercent, Compliance watchdog.Maybe[float64]
	// Rates are over Watched: tokens a second, of them those within the SLA, and requests a second within it.
	ThroughputTPS, GoodputTPS, GoodputRPS watchdog.Maybe[float64]
	TTFT, TPOT                            store.Spread
	// RequestSeconds is the sum of the requests' own times. They overlap, so nothing is divided by it.
	RequestSeconds watchdog.Maybe[float64]

	// Watched is the wall time in which the watchdog looked on, Idle the part of it in which nothing was asked.
	Watched, Idle     time.Duration
	SpentUSD, IdleUSD watchdog.Maybe[float64]
	// USDPerMillion is what a million output tokens cost, idleness included.
	USDPerMillion                 watchdog.Maybe[float64]
	GPUPercentMean, GPUPercentMax watchdog.Maybe[float64]
	// Coverage is the share of the tokens the servers counted (prompt and output) that rows tell of.
	Coverage watchdog.Maybe[float64]
	// Source is unknown where there is nothing to have one.
	Source watchdog.Maybe[string]
}

// IdlePercent is the idle share of the time watched.
func (f *Figures) IdlePercent() watchdog.Maybe[float64] {
	return per(100*f.Idle.Seconds(), f.Watched.Seconds())
}

// per is n for each of d, unknown where there is no d.
func per(n, d float64) watchdog.Maybe[float64] {
	if !(d > 0) {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(n / d)
}

// ofDay makes the figures of a day. generated is what the server's counters moved, known only where there are no rows.
func ofDay(d store.Day, generated watchdog.Maybe[float64]) Figures {
	f := Figures{
		Date: d.Date, Open: d.Open, AverageTPS: d.TPS, TTFT: d.TTFT, TPOT: d.TPOT, Watched: d.Watched, Idle: d.Quiet,
		SpentUSD: d.SpentUSD, IdleUSD: d.IdleUSD, GPUPercentMean: d.GPUPercentMean, GPUPercentMax: d.GPUPercentMax,
	}
	watched := d.Watched.Seconds()
	switch {
	case d.Requests > 0:
		f.rows(d, watched)
	case generated.Known && generated.Value > 0:
		f.Tokens, f.Source = watchdog.Known(int64(generated.Value)), watchdog.Known(FromCounters)
		f.ThroughputTPS = per(generated.Value, watched)
	case d.ServerTokens.Known && d.ServerTokens.Value > 0:
		// The server worked, and nothing tells how much of it was output.
	case d.ServerTokens.Known || d.Quiet > 0 && d.Busy == 0: // else there may have been requests that nobody counted
		f.none(watched)
	}
	if f.SpentUSD.Known && f.Tokens.Known {
		f.USDPerMillion = per(1e6*f.SpentUSD.Value, float64(f.Tokens.Value))
	}
	return f
}

// rows is a day with rows of requests.
func (f *Figures) rows(d store.Day, watched float64) {
	f.Requests, f.Undecided, f.Aborted = watchdog.Known(d.Requests), watchdog.Known(d.Undecided), watchdog.Known(d.Aborted)
	f.Tokens, f.PromptTokens = watchdog.Known(d.OutputTokens), watchdog.Known(d.PromptTokens)
	f.RequestSeconds = watchdog.Known(d.RequestSeconds)
	f.ThroughputTPS = per(float64(d.OutputTokens), watched)
	if d.Met+d.Missed > 0 {
		f.Met, f.Missed, f.MetTokens = watchdog.Known(d.Met), watchdog.Known(d.Missed), watchdog.Known(d.MetTokens)
		f.SLAPercent = per(100*float64(d.Met), float64(d.Met+d.Missed))
		f.Compliance = per(100*float64(d.MetTokens), float64(d.OutputTokens))
		f.GoodputTPS, f.GoodputRPS = per(float64(d.MetTokens), watched), per(float64(d.Met), watched)
	}
	if d.ServerTokens.Known {
		f.Coverage = per(float64(d.PromptTokens+d.OutputTokens), d.ServerTokens.Value)
	}
	var sources []string
	if d.Spans > 0 {
		sources = append(sources, FromSpans)
	}
	if d.Requests > d.Spans {
		sources = append(sources, FromRows)
	}
	f.Source = watchdog.Known(strings.Join(sources, "+"))
}

// none is a day that was watched, and on which nothing was asked.
func (f *Figures) none(watched float64) {
	zero := watchdog.Known(int64(0))
	f.Requests, f.Met, f.Missed, f.Undecided, f.Aborted = zero, zero, zero, zero, zero
	f.Tokens, f.MetTokens, f.PromptTokens, f.RequestSeconds = zero, zero, zero, watchdog.Known(0.0)
	f.ThroughputTPS, f.GoodputTPS, f.GoodputRPS = per(0, watched), per(0, watched), per(0, watched)
}
