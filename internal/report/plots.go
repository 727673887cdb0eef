package report

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/report/chart"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// The tones, by what a line tells; the style sheet has a colour for each.
const (
	toneGood  = "good"
	toneWhole = "whole"
	toneWorse = "worse"
)

// plot is a chart and the words around it.
type plot struct {
	title, about string
	chart        chart.Chart
}

// timeline is the steps of a report, each with its point where anything was recorded in it.
type timeline struct {
	points []*store.Point
	// asked: it is known how much was asked, be it nothing.
	asked bool
}

// timelineOf puts points in their places. It ends with the step that holds now: the rest of today is not unseen, it is not yet.
func timelineOf(r *Report, points []store.Point, step time.Duration) timeline {
	end := r.End()
	if now := r.Now.UTC(); now.After(r.First) && now.Before(end) {
		end = now
	}
	t := timeline{asked: r.Total.Requests.Known, points: make([]*store.Point, (end.Sub(r.First)+step-1)/step)}
	for i := range points {
		if n := int(points[i].At.Sub(r.First) / step); n >= 0 && n < len(t.points) {
			t.points[n] = &points[i]
		}
	}
	return t
}

// values has what of says of each step; a step without a point has none.
func (t timeline) values(of func(p *store.Point) watchdog.Maybe[float64]) []watchdog.Maybe[float64] {
	out := make([]watchdog.Maybe[float64], len(t.points))
	for i, p := range t.points {
		if p != nil {
			out[i] = of(p)
		}
	}
	return out
}

// sums has what of added up to, from the first step on. Where nothing is known the sum stays as it is, and is not drawn.
func (t timeline) sums(of func(p *store.Point) watchdog.Maybe[float64]) []watchdog.Maybe[float64] {
	total := 0.0
	return t.values(func(p *store.Point) watchdog.Maybe[float64] {
		v := of(p)
		total += v.Value
		v.Value = total
		return v
	})
}

func (t timeline) unseen() []bool {
	out := make([]bool, len(t.points))
	for i, p := range t.points {
		out[i] = p == nil || p.Watched == 0 && p.Requests == 0
	}
	return out
}

// graded is a figure of the SLA, unknown for a step whose requests could not be graded.
func (t timeline) graded(n int64, p *store.Point) watchdog.Maybe[float64] {
	if p.Requests > 0 && p.Undecided == p.Requests {
		return watchdog.Maybe[float64]{}
	}
	return t.rate(n, p)
}

// plots are the six of a report. Where nothing but the servers' counters tells of tokens, their rate stands for the rows'.
func plots(r *Report, points []store.Point, step time.Duration) []plot {
	t := timelineOf(r, points, step)
	base := chart.Chart{From: r.First, Step: step, Steps: len(t.points), Unseen: t.unseen(), Empty: "nothing was recorded"}
	line := func(name, tone string, style chart.Style, of func(p *store.Point) watchdog.Maybe[float64]) chart.Line {
		return chart.Line{Name: name, Tone: tone, Style: style, Values: t.values(of)}
	}
	with := func(title, about, unit string, lines ...chart.Line) plot {
		c := base
		c.Unit, c.Lines, c.Label = unit, lines, title+" in "+unit+", "+r.Span.String()
		return plot{title, about, c}
	}

	ttft := with("TTFT", "time to first token, by "+pace(step), "seconds",
		line("p50", toneWhole, chart.Solid, func(p *store.Point) watchdog.Maybe[float64] { return p.TTFT.P50 }),
		line("p95", toneWorse, chart.Solid, func(p *store.Point) watchdog.Maybe[float64] { return p.TTFT.P95 }))
	ttft.chart.Rule = &chart.Rule{Value: r.SLATTFT.Seconds(), Name: "SLA", Written: seconds0(r.SLATTFT)}
	tps := with("TPS", "output tokens, per second watched", "tokens/s", t.tokens(r)...)
	goodput := with("Goodput", "requests, per second watched", "requests/s",
		line("all", toneWhole, chart.Solid, func(p *store.Point) watchdog.Maybe[float64] { return t.rate(p.Requests, p) }),
		line("within the SLA", toneGood, chart.Filled, func(p *store.Point) watchdog.Maybe[float64] { return t.graded(p.Met, p) }))
	gpu := with("GPU utilisation", "of all devices", "percent",
		line("highest sample", toneWorse, chart.Dashed, func(p *store.Point) watchdog.Maybe[float64] { return p.GPUPercentMax }),
		line("mean", toneGood, chart.Filled, func(p *store.Point) watchdog.Maybe[float64] { return p.GPUPercentMean }))
	gpu.chart.Top = 100
	running := with("Batch", "requests that run at once, mean over time", "requests",
		line("running", toneGood, chart.Filled, func(p *store.Point) watchdog.Maybe[float64] { return p.RunningMean }))
	money := with("Money", "added up since "+r.First.Format("2 Jan"), "USD")
	money.chart.Lines = []chart.Line{
		{Name: "spent", Tone: toneWhole, Values: t.sums(func(p *store.Point) watchdog.Maybe[float64] { return p.SpentUSD })},
		{Name: "of it idle", Tone: toneWorse, Style: chart.Filled, Values: t.sums(func(p *store.Point) watchdog.Maybe[float64] { return p.IdleUSD })},
	}
	return []plot{ttft, tps, goodput, gpu, running, money}
}

// tokens are the lines of the rate of tokens: of rows, and of the servers' own counters where rows do not tell nearly all.
func (t timeline) tokens(r *Report) []chart.Line {
	ofRows := chart.Line{Name: "all", Tone: toneWhole, Values: t.values(func(p *store.Point) watchdog.Maybe[float64] { return t.rate(p.OutputTokens, p) })}
	good := chart.Line{Name: "within the SLA", Tone: toneGood, Style: chart.Filled, Values: t.values(func(p *store.Point) watchdog.Maybe[float64] { return t.graded(p.MetTokens, p) })}
	counted := chart.Line{Name: "counted by the servers", Tone: toneWorse, Style: chart.Dashed, Values: t.values(func(p *store.Point) watchdog.Maybe[float64] {
		if !p.GeneratedTokens.Known {
			return watchdog.Maybe[float64]{}
		}
		return per(p.GeneratedTokens.Value, p.Watched.Seconds())
	})}
	for i := range r.Days {
		f := &r.Days[i]
		if f.Coverage.Known && f.Coverage.Value < coverageEnough || f.Source.Value == FromCounters {
			return []chart.Line{counted, ofRows, good}
		}
	}
	return []chart.Line{ofRows, good}
}

// rate is a number out of rows for each second in which the watchdog looked on. It is unknown for a step in which the servers
// worked and no row tells of it.
func (t timeline) rate(n int64, p *store.Point) watchdog.Maybe[float64] {
	if p.Requests == 0 && (p.GeneratedTokens.Value > 0 || !t.asked) {
		return watchdog.Maybe[float64]{}
	}
	return per(float64(n), p.Watched.Seconds())
}

// seconds0 writes a promise, without digits that it does not have.
func seconds0(d time.Duration) string {
	if d < time.Second {
		return plain(float64(d)/float64(time.Millisecond)) + " ms"
	}
	return plain(d.Seconds()) + " s"
}

// pace names a step.
func pace(step time.Duration) string {
	switch {
	case step < time.Hour:
		return plain(step.Minutes()) + " min"
	case step == time.Hour:
		return "hour"
	case step < day:
		return plain(step.Hours()) + " hours"
	}
	return "day"
}
