package serving

import (
	"iter"
	"math"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Rows is how requests were served, by their own rows, exactly. A row is one finished sequence: requests that clients cut have
// none.
type Rows struct {
	// Seconds is the wall time that they are set against.
	Seconds float64
	// Requests is the number of rows, each of them in one of the three grades.
	Requests, Met, Missed, Undecided int
	// Posted of them were told by applications, the others by vLLM's spans.
	Posted int
	// Tokens of all rows that tell them; WithoutTokens do not. MetTokens and DecidedTokens are output tokens of the rows
	// that kept the SLA, and of all that were graded.
	PromptTokens, OutputTokens, MetTokens, DecidedTokens int64
	WithoutTokens                                        int
	// RequestSeconds is the sum of the times that requests took. Requests overlap, so this is no elapsed time.
	RequestSeconds float64
	// ServingSeconds is the time in which at least one of them was being served, before the window too: their tokens count whole.
	ServingSeconds float64
	// AverageTPS is the mean over requests of their own tokens per second.
	AverageTPS watchdog.Maybe[float64]

	TTFT, PerOutputToken, EndToEnd, Queue, Prefill, Decode Figure
}

// OfRows makes the figures of the rows that finished after from and until to, each row once. It holds 64 bytes for each row
// while it works, so it is for hours, not for years.
func OfRows(rows iter.Seq[ingest.Request], from, to time.Time, s SLA) Rows {
	var g gatherer
	return g.ofRows(rows, from, to, s)
}

// gatherer makes the figures of rows, and keeps its room from one time to the next.
type gatherer struct {
	ttft, tpot, total, queue, prefill, decode, tps []float64
	busy                                           []stretch
}

func (g *gatherer) ofRows(rows iter.Seq[ingest.Request], from, to time.Time, s SLA) Rows {
	g.empty()
	out := Rows{Seconds: max(0, to.Sub(from).Seconds())}
	for r := range rows {
		if !r.FinishedAt.After(from) || r.FinishedAt.After(to) {
			continue
		}
		out.count(r, s)
		if took, known := sane(r.Total); known {
			out.RequestSeconds += took
			end := r.FinishedAt.Sub(from).Seconds()
			g.busy = append(g.busy, stretch{end - took, end})
		}
		if r.Aborted {
			continue
		}
		for _, one := range [...]struct {
			value watchdog.Maybe[float64]
			to    *[]float64
		}{{r.TTFT, &g.ttft}, {r.TPOT, &g.tpot}, {r.Total, &g.total}, {r.Queue, &g.queue}, {r.Prefill, &g.prefill}, {r.Decode, &g.decode}, {r.TPS, &g.tps}} {
			if v, known := sane(one.value); known {
				*one.to = append(*one.to, v)
			}
		}
	}
	out.ServingSeconds = covered(g.busy)
	out.AverageTPS = Exact(g.tps).Mean
	out.TTFT, out.PerOutputToken, out.EndToEnd = Exact(g.ttft), Exact(g.tpot), Exact(g.total)
	out.Queue, out.Prefill, out.Decode = Exact(g.queue), Exact(g.prefill), Exact(g.decode)
	return out
}

// empty drops what was gathered, and room that the last time was far too much.
func (g *gatherer) empty() {
	for _, list := range [...]*[]float64{&g.ttft, &g.tpot, &g.total, &g.queue, &g.prefill, &g.decode, &g.tps} {
		*list = emptied(*list)
	}
	g.busy = emptied(g.busy)
}

func emptied[T any](list []T) []T {
	if len(list) < cap(list)/8 {
		return nil
	}
	return list[:0]
}

// count grades one row and adds up its tokens.
func (r *Rows) count(row ingest.Request, s SLA) {
	r.Requests++
	if row.Source == ingest.FromPost {
		r.Posted++
	}
	r.PromptTokens += max(0, row.PromptTokens.Value)
	tokens := max(0, row.OutputTokens.Value)
	r.OutputTokens += tokens
	if !row.OutputTokens.Known {
		r.WithoutTokens++
	}
	switch s.Grade(row) {
	case Met:
		r.Met++
		r.MetTokens += tokens
		r.DecidedTokens += tokens
	case Missed:
		r.Missed++
		r.DecidedTokens += tokens
	default:
		r.Undecided++
	}
}

// stretch is a piece of time, in seconds since any origin.
type stretch struct{ from, to float64 }

// covered is the length of the union of pieces of time, which it sorts in place.
func covered(all []stretch) (seconds float64) {
	slices.SortFunc(all, func(a, b stretch) int {
		switch {
		case a.from < b.from:
			return -1
		case a.from > b.from:
			return 1
		}
		return 0
	})
	until := math.Inf(-1)
	for _, s := range all {
		seconds += max(0, s.to-max(until, s.from))
		until = max(until, s.to)
	}
	return seconds
}

// RequestsPerSecond and OutputTokensPerSecond are the throughput over wall time.
func (r *Rows) RequestsPerSecond() watchdog.Maybe[float64] {
	return per(float64(r.Requests), r.Seconds)
}
func (r *Rows) OutputTokensPerSecond() watchdog.Maybe[float64] {
	return per(float64(r.OutputTokens), r.Seconds)
}

// GoodRequestsPerSecond and GoodTokensPerSecond are the goodput: what kept the SLA, over wall time.
func (r *Rows) GoodRequestsPerSecond() watchdog.Maybe[float64] { return per(float64(r.Met), r.Seconds) }
func (r *Rows) GoodTokensPerSecond() watchdog.Maybe[float64] {
	return per(float64(r.MetTokens), r.Seconds)
}

// SLAPercent is the share of the graded requests that kept the SLA, SLATokenPercent that of their output tokens.
func (r *Rows) SLAPercent() watchdog.Maybe[float64] {
	return per(100*float64(r.Met), float64(r.Met+r.Missed))
}
func (r *Rows) SLATokenPercent() watchdog.Maybe[float64] {
	return per(100*float64(r.MetTokens), float64(r.DecidedTokens))
}

// ServingTokensPerSecond is the rate over the time in which anything was served: what the SLA's rate is about.
func (r *Rows) ServingTokensPerSecond() watchdog.Maybe[float64] {
	return per(float64(r.OutputTokens), r.ServingSeconds)
}
