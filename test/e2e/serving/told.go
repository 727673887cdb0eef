package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
)

// statusOfRows holds /status against the rows of its window.
func (p *play) statusOfRows(t told, all []row) {
	const name = "/status tells exactly what the rows of its window say, from spans"
	s := t.Serving
	if s.Window == nil {
		p.report.Check(name, false, "it tells nothing")
		return
	}
	// The moment is told to the second: a row within a second of the window's begin could be in or out.
	from := t.Now.Add(-time.Duration(*s.Window * float64(time.Second))).UnixMicro()
	var rows []row
	var first []float64
	tokens := int64(0)
	for _, r := range all {
		if r.finished > from {
			rows = append(rows, r)
			tokens += r.output.Int64
		}
	}
	first = known(rows, ttft)
	met, n := float64(metSLA(rows)), float64(len(rows))
	checks := []struct {
		what  string
		told  *float64
		truth float64
	}{
		{"requests", s.Requests, n},
		{"TTFT p50, s", s.TTFT.P50, percentile(first, .5)},
		{"TTFT p95, s", s.TTFT.P95, percentile(first, .95)},
		{"TTFT p95 low", s.TTFT.P95Low, percentile(first, .95)},
		{"TTFT p95 high", s.TTFT.P95High, percentile(first, .95)},
		{"output tokens/s", s.TokensPerSecond, float64(tokens) / *s.Window},
		{"goodput, requests/s", s.Goodput, met / *s.Window},
		{"SLA, %", s.SLA, 100 * met / float64(len(first))},
	}
	good := s.Source != nil && *s.Source == serving.FromSpans
	evidence := []string{fmt.Sprintf("source %s, window %.1f s, %d of %d rows", text(s.Source), *s.Window, len(rows), len(all))}
	for _, c := range checks {
		same := c.told != nil && math.Abs(*c.told-c.truth) <= rounding*max(1, math.Abs(c.truth))
		good = good && same
		evidence = append(evidence, fmt.Sprintf("%s: %s, rows %.4f: %t", c.what, number(c.told), c.truth, same))
	}
	p.report.Check(name, good, evidence...)
}

var bucket = regexp.MustCompile(`^gpu_watchdog_request_(ttft|tpot)_seconds_bucket\{le="([^"]+)"\}$`)

// seriesOfRows holds /metrics against all rows.
func (p *play) seriesOfRows(series map[string]float64, all []row) {
	values := map[string][]float64{"ttft": known(all, ttft), "tpot": known(all, tpot)}
	good := true
	var evidence []string
	buckets := 0
	for s, v := range series {
		found := bucket.FindStringSubmatch(s)
		if found == nil {
			continue
		}
		buckets++
		bound, err := strconv.ParseFloat(found[2], 64)
		n := 0
		for _, value := range values[found[1]] {
			if value <= bound {
				n++
			}
		}
		if err != nil || n != int(v) {
			good = false
			evidence = append(evidence, fmt.Sprintf("%s %.0f, but %d rows", s, v, n))
		}
	}
	for _, of := range []string{"ttft", "tpot"} {
		sum := mean(values[of]) * float64(len(values[of]))
		base := "gpu_watchdog_request_" + of + "_seconds_"
		good = good && int(series[base+"count"]) == len(values[of]) && math.Abs(series[base+"sum"]-sum) < microsecond
		evidence = append(evidence, fmt.Sprintf("%s: %.0f, sum %.6f s; rows %d, sum %.6f s", of, series[base+"count"], series[base+"sum"], len(values[of]), sum))
	}
	met := metSLA(all)
	for grade, n := range map[string]int{"met": met, "missed": len(values["ttft"]) - met, "undecided": len(all) - len(values["ttft"])} {
		told, there := series[fmt.Sprintf("gpu_watchdog_requests_graded_total{sla=%q}", grade)]
		good = good && there && int(told) == n
		evidence = append(evidence, fmt.Sprintf("%s: %.0f, rows %d", grade, told, n))
	}
	dropped, there := series["gpu_watchdog_store_dropped_rows_total"]
	p.report.Check("/metrics' request series equal the rows, each bucket of them", good && buckets > 20 && there && dropped == 0,
		append(evidence, fmt.Sprintf("%d buckets were compared; rows dropped: %.0f", buckets, dropped))...)
}

// day is a row of the document's table.
type day struct {
	Date       string  `json:"date"`
	Requests   int     `json:"total_requests"`
	Met        int     `json:"sla_met_requests"`
	Tokens     int64   `json:"total_tokens"`
	MetTokens  int64   `json:"sla_met_tokens"`
	TPS        float64 `json:"avg_tps"`
	Compliance float64 `json:"sla_compliance_rate"`
}

// seedQuery lets Python ask the document's own query of section 5.4, as it stands there, while the watchdog writes.
func (p *play) seedQuery(ctx context.Context, all []row) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	program := exec.CommandContext(ctx, filepath.Join(p.config.venv, "bin", "python"), filepath.Join(p.config.project, "test/e2e/serving/query.py"),
		p.w.database, filepath.Join(p.config.project, "internal/store/testdata/section_5_4.sql"))
	var complaints bytes.Buffer
	program.Stderr = &complaints
	out, err := program.Output()
	var days []day
	if err == nil {
		err = json.Unmarshal(out, &days)
	}
	const name = "the document's own SQL (section 5.4) answers on vllm_metrics, from Python, with what the rows are"
	if err != nil {
		p.report.Check(name, false, fmt.Sprint(err), complaints.String())
		return
	}
	want := map[string]*day{}
	tps := map[string][]float64{}
	for _, r := range all {
		date := time.UnixMicro(r.finished).UTC().Format(time.DateOnly)
		if want[date] == nil {
			want[date] = &day{Date: date}
		}
		d := want[date]
		d.Requests++
		d.Tokens += r.output.Int64
		if r.prefill.Valid && r.prefill.Float64 < 2 {
			d.Met++
			d.MetTokens += r.output.Int64
		}
		if r.tps.Valid {
			tps[date] = append(tps[date], r.tps.Float64)
		}
	}
	good := len(days) == len(want)
	var evidence []string
	for _, got := range days {
		w := want[got.Date]
		if w == nil {
			good = false
			continue
		}
		w.TPS, w.Compliance = mean(tps[got.Date]), 100*float64(w.MetTokens)/float64(w.Tokens)
		good = good && got.Requests == w.Requests && got.Met == w.Met && got.Tokens == w.Tokens && got.MetTokens == w.MetTokens &&
			math.Abs(got.TPS-w.TPS) < microsecond && math.Abs(got.Compliance-w.Compliance) < microsecond
		evidence = append(evidence, fmt.Sprintf("SQL %+v", got), fmt.Sprintf("rows %+v", *w))
	}
	p.report.Check(name, good, evidence...)
}
