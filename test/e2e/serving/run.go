package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// request is one request of the benchmark, as its client, vLLM's span and the watchdog's row have it.
type request struct {
	span
	row
	ttft, e2e     float64
	input, output int
}

// run plays a benchmark under one protocol and holds everything that is told of it against its sources.
func (p *play) run(ctx context.Context, over protocol) error {
	if err := p.stand(ctx, over); err != nil {
		return err
	}
	// The blind one takes no rows: it knows what vLLM's pages say and no more. What it reads first is before the benchmark.
	blind, err := startWatchdog(ctx, p.config, over.name+"-blind", p.server.URL, false)
	if err != nil {
		return err
	}
	defer blind.end()
	if !stage.Until(ctx, 15*time.Second, func() bool { return metrics(ctx, blind.url)[`gpu_watchdog_source_up{source="vllm"}`] == 1 }) {
		return fmt.Errorf("the watchdog without rows does not read vLLM; the end of its log:\n%s", stage.Tail(blind.log))
	}
	pages, err := p.beginPages(ctx)
	if err != nil {
		return err
	}
	b, err := p.benchmark(ctx, over.name)
	if err != nil {
		return err
	}
	ended := time.Now()
	rows, err := p.await(ctx, prefix, p.config.prompts)
	if err != nil {
		return err
	}
	late := time.Since(ended)
	// The figures of now are read while the benchmark is within their window.
	told, err := p.w.status(ctx)
	if err != nil {
		return err
	}
	series := metrics(ctx, p.w.url)
	all, err := p.w.rows(ctx)
	if err != nil {
		return err
	}
	spans, err := p.tap.spans()
	if err != nil {
		return err
	}
	requests, wrong := matched(b, ofRequests(spans, prefix), rows)
	tokens := func(of func(request) int) (sum int) {
		for _, r := range requests {
			sum += of(r)
		}
		return sum
	}
	in, out := tokens(func(r request) int { return int(r.row.prompt.Int64) }), tokens(func(r request) int { return int(r.row.output.Int64) })
	p.report.Check("every request of the client is one row, with its tokens", wrong == "" && len(rows) == b.Completed && in == b.TotalInput && out == b.TotalOutput,
		fmt.Sprintf("client: %d requests, %d + %d tokens; rows: %d, %d + %d; the last row was there %.2f s after the benchmark had ended", b.Completed, b.TotalInput, b.TotalOutput, len(rows), in, out, late.Seconds()), wrong)
	if wrong != "" {
		return nil // nothing can be compared
	}
	p.againstSpans(requests)
	p.againstClient(b, requests)
	p.phases(ctx, spans)
	if err := p.againstPages(ctx, pages, requests); err != nil {
		return err
	}
	p.statusOfRows(told, all)
	p.seriesOfRows(series, all)
	p.seedQuery(ctx, all)
	if err := p.statusOfPages(ctx, blind, requests); err != nil {
		return err
	}
	p.report.Check("vLLM's exporter has nothing to complain of", !strings.Contains(stage.Whole(p.server.Log()), "Failed to export"), "its log has no \"Failed to export\"")
	return nil
}

// matched finds the span and the row of each request of the client, and says what is not as it must be.
func matched(b bench, spans []span, rows []row) (out []request, wrong string) {
	if len(spans) != b.Completed || len(rows) != b.Completed {
		return nil, fmt.Sprintf("%d requests, %d spans, %d rows", b.Completed, len(spans), len(rows))
	}
	for i := range b.Completed {
		id := "cmpl-" + prefix + strconv.Itoa(i)
		s := slices.IndexFunc(spans, func(s span) bool { return s.requestID == id+"-0" })
		r := slices.IndexFunc(rows, func(r row) bool { return r.response == id })
		if s < 0 || r < 0 {
			return nil, fmt.Sprintf("request %s has no span or no row", id)
		}
		one := request{span: spans[s], row: rows[r], ttft: b.TTFTs[i], e2e: b.e2e(i), input: b.InputLens[i], output: b.OutputLens[i]}
		if one.row.source != "span" || one.row.aborted || int(one.row.prompt.Int64) != one.input || int(one.row.output.Int64) != one.output {
			return nil, fmt.Sprintf("request %s of %d + %d tokens is the row %+v", id, one.input, one.output, one.row)
		}
		out = append(out, one)
	}
	return out, ""
}
