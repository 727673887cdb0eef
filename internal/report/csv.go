package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// cell is one column of the CSV. Names are those of the JSON; an unknown value is an empty cell.
type cell struct {
	name  string
	value func(f *Figures) string
}

var cells = append([]cell{
	{"total_requests", func(f *Figures) string { return orEmpty(f.Requests, whole) }},
	{"sla_met_requests", func(f *Figures) string { return orEmpty(f.Met, whole) }},
	{"sla_missed_requests", func(f *Figures) string { return orEmpty(f.Missed, whole) }},
	{"sla_undecided_requests", func(f *Figures) string { return orEmpty(f.Undecided, whole) }},
	{"aborted_requests", func(f *Figures) string { return orEmpty(f.Aborted, whole) }},
	{"total_tokens", func(f *Figures) string { return orEmpty(f.Tokens, whole) }},
	{"sla_met_tokens", func(f *Figures) string { return orEmpty(f.MetTokens, whole) }},
	{"prompt_tokens", func(f *Figures) string { return orEmpty(f.PromptTokens, whole) }},
	{"avg_tps", func(f *Figures) string { return orEmpty(f.AverageTPS, plain) }},
	{"sla_compliance_rate", func(f *Figures) string { return orEmpty(f.Compliance, plain) }},
	{"sla_percent", func(f *Figures) string { return orEmpty(f.SLAPercent, plain) }},
	{"throughput_tps", func(f *Figures) string { return orEmpty(f.ThroughputTPS, plain) }},
	{"goodput_tps", func(f *Figures) string { return orEmpty(f.GoodputTPS, plain) }},
	{"goodput_rps", func(f *Figures) string { return orEmpty(f.GoodputRPS, plain) }},
	{"request_seconds", func(f *Figures) string { return orEmpty(f.RequestSeconds, plain) }},
	{"watched_seconds", func(f *Figures) string { return plain(f.Watched.Seconds()) }},
	{"idle_seconds", func(f *Figures) string { return plain(f.Idle.Seconds()) }},
	{"idle_percent", func(f *Figures) string { return orEmpty(f.IdlePercent(), plain) }},
	{"spent_usd", func(f *Figures) string { return orEmpty(f.SpentUSD, plain) }},
	{"idle_usd", func(f *Figures) string { return orEmpty(f.IdleUSD, plain) }},
	{"usd_per_million_tokens", func(f *Figures) string { return orEmpty(f.USDPerMillion, plain) }},
	{"gpu_percent_mean", func(f *Figures) string { return orEmpty(f.GPUPercentMean, plain) }},
	{"gpu_percent_max", func(f *Figures) string { return orEmpty(f.GPUPercentMax, plain) }},
	{"row_coverage", func(f *Figures) string { return orEmpty(f.Coverage, plain) }},
	{"source", func(f *Figures) string { return f.Source.Or("") }},
}, append(spreadCells("ttft", func(f *Figures) store.Spread { return f.TTFT }), spreadCells("tpot", func(f *Figures) store.Spread { return f.TPOT })...)...)

func spreadCells(name string, of func(*Figures) store.Spread) []cell {
	return []cell{
		{name + "_mean_ms", func(f *Figures) string { return orEmpty(inMillis(of(f)).Mean, plain) }},
		{name + "_p50_ms", func(f *Figures) string { return orEmpty(inMillis(of(f)).P50, plain) }},
		{name + "_p95_ms", func(f *Figures) string { return orEmpty(inMillis(of(f)).P95, plain) }},
		{name + "_p99_ms", func(f *Figures) string { return orEmpty(inMillis(of(f)).P99, plain) }},
	}
}

// orEmpty writes nothing for what is not known.
func orEmpty[T any](m watchdog.Maybe[T], words func(T) string) string {
	if !m.Known {
		return ""
	}
	return words(m.Value)
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

func plain(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// CSV writes a line for each day, the newest first, and one for all of them, whose date is "total".
func (r *Report) CSV(w io.Writer) error {
	head := []string{"date", "open"}
	for _, c := range cells {
		head = append(head, c.name)
	}
	records := [][]string{head}
	if !r.Empty() {
		for _, f := range r.lines() {
			date := "total"
			if !f.Date.IsZero() {
				date = f.Date.Format(time.DateOnly)
			}
			record := []string{date, strconv.FormatBool(f.Open)}
			for _, c := range cells {
				record = append(record, c.value(f))
			}
			records = append(records, record)
		}
	}
	if err := csv.NewWriter(w).WriteAll(records); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
