package serving

import (
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Where a summary comes from.
const (
	FromSpans      = "spans"
	FromRows       = "rows"
	FromHistograms = "histograms"
)

// Summary is how requests were served, as /status tells it. What is not known, or only between bounds, is null; the bounds
// stand beside it.
type Summary struct {
	// WindowSeconds is the wall time that it is about.
	WindowSeconds watchdog.Maybe[float64] `json:"window_seconds"`
	// Requests is how many finished.
	Requests watchdog.Maybe[float64] `json:"requests"`
	TTFT     SummaryTTFT             `json:"ttft_seconds"`
	// OutputTokensPerSecond, GoodputRequestsPerSecond are over wall time.
	OutputTokensPerSecond        watchdog.Maybe[float64] `json:"output_tokens_per_second"`
	GoodputRequestsPerSecond     watchdog.Maybe[float64] `json:"goodput_requests_per_second"`
	GoodputRequestsPerSecondLow  watchdog.Maybe[float64] `json:"goodput_requests_per_second_low"`
	GoodputRequestsPerSecondHigh watchdog.Maybe[float64] `json:"goodput_requests_per_second_high"`
	// SLATTFTSeconds and SLATokensPerSecond are what was promised (WATCHDOG_SLA_TTFT, WATCHDOG_SLA_TPS).
	SLATTFTSeconds     watchdog.Maybe[float64] `json:"sla_ttft_seconds"`
	SLATokensPerSecond watchdog.Maybe[float64] `json:"sla_tokens_per_second"`
	// SLAPercent is the share of requests whose first token came in time.
	SLAPercent     watchdog.Maybe[float64] `json:"sla_percent"`
	SLAPercentLow  watchdog.Maybe[float64] `json:"sla_percent_low"`
	SLAPercentHigh watchdog.Maybe[float64] `json:"sla_percent_high"`
	// ServingTokensPerSecond is the rate while anything was served; SLARateMet says whether it reached the SLA's.
	ServingTokensPerSecond watchdog.Maybe[float64] `json:"serving_tokens_per_second"`
	SLARateMet             watchdog.Maybe[bool]    `json:"sla_rate_met"`
	Source                 watchdog.Maybe[string]  `json:"source"`
}

// SummaryTTFT is the time to the first token in seconds. From histograms P50 and P95 are estimates, and the truth lies from
// P95Low to P95High; P95High is null where it may be anything above P95Low. From rows all of P95 are the same.
type SummaryTTFT struct {
	P50     watchdog.Maybe[float64] `json:"p50"`
	P95     watchdog.Maybe[float64] `json:"p95"`
	P95Low  watchdog.Maybe[float64] `json:"p95_low"`
	P95High watchdog.Maybe[float64] `json:"p95_high"`
}

func summaryTTFT(f Figure) SummaryTTFT {
	return SummaryTTFT{P50: f.P50.Value, P95: f.P95.Value, P95Low: f.P95.Low, P95High: f.P95.High}
}

// Summary sums up a window of histograms; it is empty where nothing was observed.
func (w *Window) Summary(s SLA) Summary {
	if !(w.seconds > 0) {
		return Summary{}
	}
	out := Summary{
		WindowSeconds: watchdog.Known(w.seconds), Requests: w.Requests(), TTFT: summaryTTFT(w.Figure(vllm.TTFT)),
		OutputTokensPerSecond: w.OutputTokensPerSecond(), ServingTokensPerSecond: w.ServingTokensPerSecond(),
		Source: watchdog.Known(FromHistograms),
	}
	out.GoodputRequestsPerSecond, out.GoodputRequestsPerSecondLow, out.GoodputRequestsPerSecondHigh = ends(w.Goodput(s))
	out.SLAPercent, out.SLAPercentLow, out.SLAPercentHigh = ends(w.SLAPercent(s))
	s.judge(&out)
	return out
}

// Summary sums up rows; it is empty where there is no row.
func (r *Rows) Summary(s SLA) Summary {
	if r.Requests == 0 || !(r.Seconds > 0) {
		return Summary{}
	}
	out := Summary{
		WindowSeconds: watchdog.Known(r.Seconds), Requests: watchdog.Known(float64(r.Requests)), TTFT: summaryTTFT(r.TTFT),
		OutputTokensPerSecond: r.OutputTokensPerSecond(), ServingTokensPerSecond: r.ServingTokensPerSecond(),
		GoodputRequestsPerSecond: r.GoodRequestsPerSecond(), SLAPercent: r.SLAPercent(),
		Source: watchdog.Known(FromSpans),
	}
	if r.Posted > 0 {
		out.Source = watchdog.Known(FromRows)
	}
	out.GoodputRequestsPerSecondLow, out.GoodputRequestsPerSecondHigh = out.GoodputRequestsPerSecond, out.GoodputRequestsPerSecond
	out.SLAPercentLow, out.SLAPercentHigh = out.SLAPercent, out.SLAPercent
	s.judge(&out)
	return out
}

// judge writes what was promised beside what was served.
func (s SLA) judge(served *Summary) {
	if s.TTFT > 0 {
		served.SLATTFTSeconds = watchdog.Known(s.TTFT.Seconds())
	}
	if s.TokensPerSecond <= 0 {
		return
	}
	served.SLATokensPerSecond = watchdog.Known(s.TokensPerSecond)
	if rate := served.ServingTokensPerSecond; rate.Known {
		served.SLARateMet = watchdog.Known(rate.Value >= s.TokensPerSecond)
	}
}

// ends takes a range apart: the number itself where it is one, and its ends.
func ends(r watchdog.Maybe[Range]) (exact, low, high watchdog.Maybe[float64]) {
	if !r.Known {
		return exact, low, high
	}
	return r.Value.Exact(), watchdog.Known(r.Value.Low), watchdog.Known(r.Value.High)
}

// rowsEnough is the share of the requests that the servers counted which rows must cover to speak for all of them.
const rowsEnough = 0.9

// Better is the summary that says more: the rows' exact one, unless the servers finished many more requests in the same time
// than there are rows of (spans are sampled away, or not sent at all), or nothing but histograms is there.
func Better(rows, histograms Summary) Summary {
	if !rows.Source.Known {
		return histograms
	}
	// The servers may have been observed for a part of the rows' time alone, in which they did all that they counted.
	share := min(1, per(rows.WindowSeconds.Value, histograms.WindowSeconds.Value).Value)
	counted := histograms.Requests.Value * share
	if rows.Requests.Value < rowsEnough*counted-1 {
		return histograms
	}
	return rows
}
