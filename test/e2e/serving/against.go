package main

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
)

// microsecond in seconds, and a little more than floating-point numbers are wrong by.
const (
	microsecond = 1e-6
	rounding    = 1e-9
)

// measures are the figures of a row and where vLLM's span has them.
var measures = []struct {
	name, attribute string
	of              func(row) sql.NullFloat64
}{
	{"TTFT", "gen_ai.latency.time_to_first_token", ttft},
	{"end-to-end", "gen_ai.latency.e2e", e2e},
	{"queue", "gen_ai.latency.time_in_queue", queue},
	{"prefill", "gen_ai.latency.time_in_model_prefill", prefill},
	{"decode", "gen_ai.latency.time_in_model_decode", decode},
}

// againstSpans holds the rows against vLLM's spans.
func (p *play) againstSpans(requests []request) {
	var evidence []string
	good := true
	for _, m := range measures {
		worst := 0.0
		for _, r := range requests {
			v := m.of(r.row)
			told, there := r.number[m.attribute]
			if !v.Valid || !there {
				good = false
				continue
			}
			worst = max(worst, math.Abs(v.Float64-told))
		}
		good = good && worst < microsecond
		evidence = append(evidence, fmt.Sprintf("%-10s of %d rows: at most %.3g µs apart", m.name, len(requests), worst*1e6))
	}
	for _, r := range requests {
		good = good && r.row.finished == int64(r.span.end/1000)
	}
	p.report.Check("rows equal vLLM's own spans to the microsecond, their ends too", good, evidence...)
}

// againstClient holds the rows against what the client of the same run measured.
func (p *play) againstClient(b bench, requests []request) {
	var rowTPOT, front, toFirst, toLast, clientTTFT, rowTTFT []float64
	for _, r := range requests {
		if r.row.tpot.Valid {
			rowTPOT = append(rowTPOT, r.row.tpot.Float64*1e3)
		}
		toFirst = append(toFirst, (r.ttft-r.row.ttft.Float64)*1e3)
		toLast = append(toLast, (r.e2e-r.row.total.Float64)*1e3)
		front = append(front, (r.row.ttft.Float64-r.row.queue.Float64-r.row.prefill.Float64)*1e3)
		clientTTFT, rowTTFT = append(clientTTFT, r.ttft*1e3), append(rowTTFT, r.row.ttft.Float64*1e3)
	}
	apart := mean(rowTPOT) - b.MeanTPOT
	p.report.Check("mean TPOT is within 0.1 ms of the client's", math.Abs(apart) < 0.1,
		fmt.Sprintf("client %.3f ms, rows %.3f ms: %+.4f ms", b.MeanTPOT, mean(rowTPOT), apart))
	// What lies outside the server is never negative, but for the grain of the two clocks.
	const grain, most = -0.5, 7.0
	p.report.Check("the client's TTFT and end-to-end are the rows' but for what lies outside the server, 3 to 7 ms in the mean",
		mean(toFirst) > 0 && mean(toFirst) <= most && mean(toLast) > 0 && mean(toLast) <= most && slices.Min(toFirst) > grain && slices.Min(toLast) > grain,
		fmt.Sprintf("TTFT in the mean: client %.3f ms, rows %.3f ms", mean(clientTTFT), mean(rowTTFT)),
		"outside the server: the client's event loop, the connection, HTTP and JSON, until vLLM stamps the arrival and after it hands a token over",
		"  TTFT       client − row: "+spread(toFirst), "  end-to-end client − row: "+spread(toLast),
		"inside, and in neither queue nor prefill: the API server's tokenizer and its way to the engine and back",
		"  TTFT − queue − prefill:  "+spread(front))
}

// phases holds the phases of the start against the spans of it.
func (p *play) phases(ctx context.Context, spans []span) {
	sent := map[string]bool{}
	names := map[string]int{}
	for _, s := range spans {
		if s.name != requestSpan && !sent[s.key] {
			sent[s.key] = true
			names[s.name]++
		}
	}
	const name = "each loading span of vLLM's start is a phase, once"
	if len(sent) == 0 {
		p.report.Skip(name, "this version sends none")
		return
	}
	kept, err := one[int](ctx, p.w, "SELECT count(*) FROM phases")
	var longest string
	if err == nil {
		longest, err = one[string](ctx, p.w, "SELECT name || ' ' || round(seconds, 1) || ' s' FROM phases ORDER BY seconds DESC LIMIT 1")
	}
	var list []string
	for n := range names {
		list = append(list, n)
	}
	slices.Sort(list)
	p.report.Check(name, err == nil && kept == len(sent), fmt.Sprintf("%d spans, %d phases (%v); the longest is %s", len(sent), kept, err, longest), strings.Join(list, ", "))
}

func mean(of []float64) float64 {
	sum := 0.0
	for _, v := range of {
		sum += v
	}
	return sum / float64(len(of))
}

// percentile is numpy's: between the two values beside it, in proportion.
func percentile(of []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	place := q * float64(len(sorted)-1)
	below := int(place)
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (place-float64(below))*(sorted[above]-sorted[below])
}

// spread describes milliseconds.
func spread(of []float64) string {
	return fmt.Sprintf("mean %.3f ms, p50 %.3f, p95 %.3f, from %.3f to %.3f", mean(of), percentile(of, .5), percentile(of, .95), slices.Min(of), slices.Max(of))
}
