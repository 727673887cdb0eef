package panel

import (
	"fmt"
	"math"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// serving shows how requests were served lately.
func (p *sheet) serving(s status.Status) {
	w := s.Serving
	p.head("serving")
	switch {
	case !w.Source.Known:
		p.row("requests", words.Dim, unknown+":", "no server's histograms were read lately, and no rows came in")
	case unasked(w):
		p.row("requests", words.Plain, "no requests "+lately(w.WindowSeconds), "")
	default:
		p.row("requests", words.Plain, write(w.Requests, count), "finished "+lately(w.WindowSeconds)+", "+toldBy(w.Source.Value))
		p.row("TTFT", words.Plain, "p50 "+p50(w)+", p95 "+p95(w), "")
		p.row("SLA", words.Plain, sla(w), "of first tokens "+inTime(w.SLATTFTSeconds))
		p.row("goodput", words.Plain, between(w.GoodputRequestsPerSecond, w.GoodputRequestsPerSecondLow, w.GoodputRequestsPerSecondHigh, "requests/s"), "")
		p.row("output", words.Plain, write(w.OutputTokensPerSecond, tokensPerSecond), whileServing(w))
	}
	if price := s.Money.USDPerMillionTokens; price.Known {
		p.row("token price", words.Plain, words.USD(price.Value), "for a million output tokens, over the last day")
	}
}

// unasked: it is known that nothing was served.
func unasked(w serving.Summary) bool {
	return w.Requests.Known && w.Requests.Value == 0 && w.OutputTokensPerSecond.Value == 0 && !w.TTFT.P95Low.Known
}

// lately names a window that ends now. The windows of a running watchdog roll by the slot, so five minutes may be 288 s.
func lately(seconds watchdog.Maybe[float64]) string {
	switch {
	case !seconds.Known:
		return "lately"
	case seconds.Value < 90:
		return fmt.Sprintf("in the last %.0f seconds", seconds.Value)
	}
	return fmt.Sprintf("in the last %.0f minutes", math.Round(seconds.Value/60))
}

// toldBy says where figures come from.
func toldBy(source string) string {
	switch source {
	case serving.FromHistograms:
		return "by vLLM's histograms (bounds)"
	case serving.FromSpans:
		return "by vLLM's spans"
	case serving.FromRows:
		return "by posted rows"
	}
	return "by " + clean(source)
}

// p50 is the median of the time to the first token; histograms only let it be guessed.
func p50(w serving.Summary) string {
	out := write(w.TTFT.P50, func(v float64) string { return figure(v) + " s" })
	if w.TTFT.P50.Known && w.Source.Value == serving.FromHistograms {
		return "about " + out
	}
	return out
}

// p95 leaves out the guess that histograms allow: the bounds are what is known.
func p95(w serving.Summary) string {
	value := w.TTFT.P95
	if w.Source.Value == serving.FromHistograms {
		value.Known = false
	}
	return between(value, w.TTFT.P95Low, w.TTFT.P95High, "s")
}

// sla is the share of first tokens that came in time. 100 % are all of them, so nothing is rounded up to that.
func sla(w serving.Summary) string {
	if v := w.SLAPercent; v.Known {
		return rounded(v.Value, decimals(v.Value), math.Floor) + " %"
	}
	return between(w.SLAPercent, w.SLAPercentLow, w.SLAPercentHigh, "%")
}

// inTime says how soon a first token was promised.
func inTime(ttft watchdog.Maybe[float64]) string {
	if !ttft.Known {
		return "in time"
	}
	return "within " + asGiven(ttft.Value) + " s"
}

// asGiven writes a setting as a person wrote it.
func asGiven(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func whileServing(w serving.Summary) string {
	if !w.ServingTokensPerSecond.Known {
		return ""
	}
	out := figure(w.ServingTokensPerSecond.Value) + " while serving"
	switch {
	case !w.SLARateMet.Known:
	case w.SLARateMet.Value:
		out += ", the SLA of " + asGiven(w.SLATokensPerSecond.Value) + " kept"
	default:
		out += ", below the SLA of " + asGiven(w.SLATokensPerSecond.Value)
	}
	return "(" + out + ")"
}

func tokensPerSecond(v float64) string { return figure(v) + " tokens/s" }
