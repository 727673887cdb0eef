package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// document is the report for programs. Names are an interface: they are only ever added to. Unknown is null.
type document struct {
	Name string `json:"name"`
	// From and To are the first and the last day.
	From    string      `json:"from"`
	To      string      `json:"to"`
	SLATTFT float64     `json:"sla_ttft_seconds"`
	Days    []jsonDay   `json:"days"`
	Total   jsonFigures `json:"total"`
	Missing []string    `json:"days_without_record"`
}

type jsonDay struct {
	Date string `json:"date"`
	Open bool   `json:"open"`
	jsonFigures
}

type jsonFigures struct {
	TotalRequests     watchdog.Maybe[int64]   `json:"total_requests"`
	SLAMetRequests    watchdog.Maybe[int64]   `json:"sla_met_requests"`
	SLAMissedRequests watchdog.Maybe[int64]   `json:"sla_missed_requests"`
	UndecidedRequests watchdog.Maybe[int64]   `json:"sla_undecided_requests"`
	AbortedRequests   watchdog.Maybe[int64]   `json:"aborted_requests"`
	TotalTokens       watchdog.Maybe[int64]   `json:"total_tokens"`
	SLAMetTokens      watchdog.Maybe[int64]   `json:"sla_met_tokens"`
	PromptTokens      watchdog.Maybe[int64]   `json:"prompt_tokens"`
	AverageTPS        watchdog.Maybe[float64] `json:"avg_tps"`
	Compliance        watchdog.Maybe[float64] `json:"sla_compliance_rate"`
	SLAPercent        watchdog.Maybe[float64] `json:"sla_percent"`
	ThroughputTPS     watchdog.Maybe[float64] `json:"throughput_tps"`
	GoodputTPS        watchdog.Maybe[float64] `json:"goodput_tps"`
	GoodputRPS        watchdog.Maybe[float64] `json:"goodput_rps"`
	TTFT              jsonSpread              `json:"ttft_ms"`
	TPOT              jsonSpread              `json:"tpot_ms"`
	RequestSeconds    watchdog.Maybe[float64] `json:"request_seconds"`
	WatchedSeconds    float64                 `json:"watched_seconds"`
	IdleSeconds       float64                 `json:"idle_seconds"`
	IdlePercent       watchdog.Maybe[float64] `json:"idle_percent"`
	SpentUSD          watchdog.Maybe[float64] `json:"spent_usd"`
	IdleUSD           watchdog.Maybe[float64] `json:"idle_usd"`
	USDPerMillion     watchdog.Maybe[float64] `json:"usd_per_million_tokens"`
	GPUPercentMean    watchdog.Maybe[float64] `json:"gpu_percent_mean"`
	GPUPercentMax     watchdog.Maybe[float64] `json:"gpu_percent_max"`
	Coverage          watchdog.Maybe[float64] `json:"row_coverage"`
	Source            watchdog.Maybe[string]  `json:"source"`
}

type jsonSpread struct {
	Mean watchdog.Maybe[float64] `json:"mean"`
	P50  watchdog.Maybe[float64] `json:"p50"`
	P95  watchdog.Maybe[float64] `json:"p95"`
	P99  watchdog.Maybe[float64] `json:"p99"`
}

// inMillis is a spread in milliseconds, to the nanosecond, so that 123.4 comes out as 123.4.
func inMillis(s store.Spread) jsonSpread {
	millis := func(v watchdog.Maybe[float64]) watchdog.Maybe[float64] {
		v.Value = math.Round(v.Value*1e9) / 1e6
		return v
	}
	return jsonSpread{millis(s.Mean), millis(s.P50), millis(s.P95), millis(s.P99)}
}

func figuresJSON(f *Figures) jsonFigures {
	return jsonFigures{
		TotalRequests: f.Requests, SLAMetRequests: f.Met, SLAMissedRequests: f.Missed, UndecidedRequests: f.Undecided, AbortedRequests: f.Aborted,
		TotalTokens: f.Tokens, SLAMetTokens: f.MetTokens, PromptTokens: f.PromptTokens, AverageTPS: f.AverageTPS, Compliance: f.Compliance,
		SLAPercent: f.SLAPercent, ThroughputTPS: f.ThroughputTPS, GoodputTPS: f.GoodputTPS, GoodputRPS: f.GoodputRPS,
		TTFT: inMillis(f.TTFT), TPOT: inMillis(f.TPOT), RequestSeconds: f.RequestSeconds,
		WatchedSeconds: f.Watched.Seconds(), IdleSeconds: f.Idle.Seconds(), IdlePercent: f.IdlePercent(),
		SpentUSD: f.SpentUSD, IdleUSD: f.IdleUSD, USDPerMillion: f.USDPerMillion, GPUPercentMean: f.GPUPercentMean, GPUPercentMax: f.GPUPercentMax,
		Coverage: f.Coverage, Source: f.Source,
	}
}

// JSON writes the report for programs.
func (r *Report) JSON(w io.Writer) error {
	out := document{
		Name: r.Name, From: r.First.Format(time.DateOnly), To: r.Last.Format(time.DateOnly), SLATTFT: r.SLATTFT.Seconds(),
		Days: []jsonDay{}, Total: figuresJSON(&r.Total), Missing: r.missingDays(),
	}
	for i := range r.Days {
		f := &r.Days[i]
		out.Days = append(out.Days, jsonDay{f.Date.Format(time.DateOnly), f.Open, figuresJSON(f)})
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
