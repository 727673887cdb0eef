package report

import (
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// ratio adds up a figure and what it is divided by, over the days that know both: a day whose goodput nobody knows must not
// lower that of the others.
type ratio struct{ n, d float64 }

func (r *ratio) add(figure watchdog.Maybe[float64], by float64) {
	if figure.Known {
		r.n += figure.Value * by
		r.d += by
	}
}

func (r ratio) value() watchdog.Maybe[float64] { return per(r.n, r.d) }

// ofAll makes the figures of all days together. Percentiles come from the store, which takes them from all values.
func ofAll(days []Figures, all store.Day) Figures {
	t := Figures{
		Open: all.Open, AverageTPS: all.TPS, TTFT: all.TTFT, TPOT: all.TPOT, Watched: all.Watched, Idle: all.Quiet,
		SpentUSD: all.SpentUSD, IdleUSD: all.IdleUSD, GPUPercentMean: all.GPUPercentMean, GPUPercentMax: all.GPUPercentMax,
	}
	var tps, goodTPS, goodRPS, compliance, coverage, cost ratio
	var sources []string
	for i := range days {
		f := &days[i]
		watched := f.Watched.Seconds()
		for _, sum := range []struct{ to, of *watchdog.Maybe[int64] }{
			{&t.Requests, &f.Requests}, {&t.Met, &f.Met}, {&t.Missed, &f.Missed}, {&t.Undecided, &f.Undecided}, {&t.Aborted, &f.Aborted},
			{&t.Tokens, &f.Tokens}, {&t.MetTokens, &f.MetTokens}, {&t.PromptTokens, &f.PromptTokens},
		} {
			plus(sum.to, *sum.of)
		}
		plus(&t.RequestSeconds, f.RequestSeconds)
		tps.add(f.ThroughputTPS, watched)
		goodTPS.add(f.GoodputTPS, watched)
		goodRPS.add(f.GoodputRPS, watched)
		compliance.add(f.Compliance, float64(f.Tokens.Value))
		if f.Coverage.Known && f.Coverage.Value > 0 {
			told := float64(f.PromptTokens.Value + f.Tokens.Value)
			coverage.add(f.Coverage, told/f.Coverage.Value)
		}
		if f.SpentUSD.Known && f.Tokens.Known { // a day without a token costs, too
			cost.n += 1e6 * f.SpentUSD.Value
			cost.d += float64(f.Tokens.Value)
		}
		if f.Source.Known {
			sources = append(sources, strings.Split(f.Source.Value, "+")...)
		}
	}
	if t.Met.Known && t.Missed.Known {
		t.SLAPercent = per(100*float64(t.Met.Value), float64(t.Met.Value+t.Missed.Value))
	}
	t.ThroughputTPS, t.GoodputTPS, t.GoodputRPS = tps.value(), goodTPS.value(), goodRPS.value()
	t.Compliance, t.Coverage, t.USDPerMillion = compliance.value(), coverage.value(), cost.value()
	if len(sources) > 0 {
		slices.SortFunc(sources, func(a, b string) int { return rankOf(a) - rankOf(b) })
		t.Source = watchdog.Known(strings.Join(slices.Compact(sources), "+"))
	}
	return t
}

// rankOf puts the sources in order, the most exact one first.
func rankOf(source string) int {
	return slices.Index([]string{FromSpans, FromRows, FromCounters}, source)
}

func plus[T int64 | float64](to *watchdog.Maybe[T], v watchdog.Maybe[T]) {
	if v.Known {
		to.Known = true
		to.Value += v.Value
	}
}
