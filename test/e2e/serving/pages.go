package main

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// pages are what vLLM's own page said before the benchmark, as text and as a reading.
type pages struct {
	before  map[string]float64
	client  *vllm.Client
	tracker *serving.Tracker
}

const window = time.Hour

func (p *play) beginPages(ctx context.Context) (*pages, error) {
	client, err := vllm.New(vllm.Config{URL: p.server.URL, UserAgent: "serving.sh"})
	if err != nil {
		return nil, err
	}
	g := &pages{before: metrics(ctx, p.server.URL), client: client, tracker: serving.NewTracker(window)}
	return g, g.read(ctx)
}

func (g *pages) read(ctx context.Context) error {
	var reading vllm.Serving
	at := time.Now()
	g.client.ReadServing(ctx, &reading)
	if !reading.Good {
		return fmt.Errorf("read vLLM's page: %s", reading.Why)
	}
	if discarded := g.tracker.Read("server", at, &reading); discarded != "" {
		return fmt.Errorf("read vLLM's page: %s", discarded)
	}
	return nil
}

// onPages are the measures as vLLM's page has them.
var onPages = []struct {
	name, series string
	family       vllm.Family
	of           func(row) sql.NullFloat64
}{
	{"TTFT", "vllm:time_to_first_token_seconds", vllm.TTFT, ttft},
	{"TPOT", "vllm:request_time_per_output_token_seconds", vllm.PerOutputToken, tpot},
	{"end-to-end", "vllm:e2e_request_latency_seconds", vllm.EndToEnd, e2e},
	{"queue", "vllm:request_queue_time_seconds", vllm.Queue, queue},
	{"prefill", "vllm:request_prefill_time_seconds", vllm.Prefill, prefill},
	{"decode", "vllm:request_decode_time_seconds", vllm.Decode, decode},
}

// againstPages holds the rows against vLLM's own histograms, and what we make of those against the rows.
func (p *play) againstPages(ctx context.Context, g *pages, requests []request) error {
	defer g.client.Close()
	if err := g.read(ctx); err != nil {
		return err
	}
	after := metrics(ctx, p.server.URL)
	diff := func(series string) float64 { return total(after, series) - total(g.before, series) }
	rows := make([]row, len(requests))
	tokens := int64(0)
	for i, r := range requests {
		rows[i] = r.row
		tokens += r.row.output.Int64
	}
	same, within := true, true
	var sums, bounds []string
	w := g.tracker.Window(window, time.Now())
	for _, m := range onPages {
		values := known(rows, m.of)
		count := diff(m.series + "_count")
		if count == 0 {
			sums = append(sums, m.name+": this version's page has none")
			continue
		}
		apart := diff(m.series+"_sum")/count - mean(values)
		same = same && int(count) == len(values) && math.Abs(apart) < microsecond
		sums = append(sums, fmt.Sprintf("%-10s mean: page %.6f s of %.0f, rows %.6f s of %d", m.name, diff(m.series+"_sum")/count, count, mean(values), len(values)))

		f := w.Figure(m.family)
		figures := []string{fmt.Sprintf("%-10s", m.name)}
		good := int(f.Count) == len(values) && f.Mean.Known && math.Abs(f.Mean.Value-mean(values)) < microsecond
		for _, q := range []struct {
			q    float64
			told serving.Quantile
		}{{.5, f.P50}, {.95, f.P95}, {.99, f.P99}} {
			truth := percentile(values, q.q)
			good = good && holds(q.told.Low, q.told.High, truth)
			figures = append(figures, fmt.Sprintf("p%.0f %.2f ms in [%s, %s]", q.q*100, truth*1e3, ms(q.told.Low), ms(q.told.High)))
		}
		if !good {
			figures = append(figures, "NOT SO: "+f.Note)
		}
		within = within && good
		bounds = append(bounds, strings.Join(figures, "  "))
	}
	finished, generated := diff("vllm:request_success_total"), diff("vllm:generation_tokens_total")
	p.report.Check("rows add up to vLLM's own histograms and counters", same && int(finished) == len(rows) && int64(generated) == tokens,
		append(sums, fmt.Sprintf("requests: page %.0f, rows %d; output tokens: page %.0f, rows %d", finished, len(rows), generated, tokens))...)
	met, of := w.Graded(serving.SLA{TTFT: slaTTFT})
	truth := metSLA(rows)
	within = within && int(of) == len(rows) && float64(truth) >= met.Low && float64(truth) <= met.High
	p.report.Check("what is made of histograms holds the rows' true value within its bounds, and their mean to the microsecond", within,
		append(bounds, fmt.Sprintf("first tokens within %s: %d, in [%.0f, %.0f]", slaTTFT, truth, met.Low, met.High))...)
	return nil
}

// statusOfPages holds /status of a watchdog that knows only pages against the rows of the same requests.
func (p *play) statusOfPages(ctx context.Context, blind *watched, requests []request) error {
	var t told
	var err error
	// It reads the page's histograms four times a minute.
	seen := stage.Until(ctx, 45*time.Second, func() bool {
		t, err = blind.status(ctx)
		return err == nil && t.Serving.Requests != nil && int(*t.Serving.Requests) >= len(requests)
	})
	if err != nil {
		return err
	}
	var first []float64
	rows := make([]row, len(requests))
	tokens := int64(0)
	for i, r := range requests {
		rows[i] = r.row
		first = append(first, r.row.ttft.Float64)
		tokens += r.row.output.Int64
	}
	s := t.Serving
	if !seen || s.Window == nil {
		p.report.Check("/status of a watchdog that takes no rows holds the truth within its bounds", false, fmt.Sprintf("it tells of %v requests", number(s.Requests)))
		return nil
	}
	truth, met := percentile(first, .95), float64(metSLA(rows))
	n := float64(len(rows))
	checks := []struct {
		what      string
		low, high *float64
		truth     float64
	}{
		{"TTFT p95, s", s.TTFT.P95Low, s.TTFT.P95High, truth},
		{"SLA, %", s.SLALow, s.SLAHigh, 100 * met / n},
		{"goodput, requests/s", s.GoodputLow, s.GoodputHigh, met / *s.Window},
		{"requests", s.Requests, s.Requests, n},
		{"output tokens/s", s.TokensPerSecond, s.TokensPerSecond, float64(tokens) / *s.Window},
	}
	good := s.Source != nil && *s.Source == serving.FromHistograms
	evidence := []string{fmt.Sprintf("source %s, window %.1f s", text(s.Source), *s.Window)}
	for _, c := range checks {
		inside := c.low != nil && c.truth >= *c.low*(1-rounding) && (c.high == nil || c.truth <= *c.high*(1+rounding))
		good = good && inside
		evidence = append(evidence, fmt.Sprintf("%s: %.4f in [%s, %s]: %t", c.what, c.truth, number(c.low), number(c.high), inside))
	}
	p.report.Check("/status of a watchdog that takes no rows holds the truth within its bounds", good, evidence...)
	return nil
}

// metSLA counts the rows whose first token came in time.
func metSLA(rows []row) (n int) {
	for _, r := range rows {
		if r.ttft.Valid && !r.aborted && r.ttft.Float64 < slaTTFT.Seconds() {
			n++
		}
	}
	return n
}

func holds(low, high watchdog.Maybe[float64], v float64) bool {
	return low.Known && v >= low.Value && (!high.Known || v <= high.Value)
}

func ms(v watchdog.Maybe[float64]) string {
	if !v.Known {
		return "∞"
	}
	return fmt.Sprintf("%.2f", v.Value*1e3)
}

func number(v *float64) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprintf("%.4f", *v)
}

func text(v *string) string {
	if v == nil {
		return "null"
	}
	return *v
}
