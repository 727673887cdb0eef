package doctor

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// providers are the names that people know.
var providers = map[string]string{config.StopRunpod: "RunPod", config.StopKubernetes: "Kubernetes"}

// providersPrice is the first price that a provider tells, and who does.
func (e *examination) providersPrice(ctx context.Context) (watchdog.Maybe[float64], string) {
	for i, t := range e.Targets {
		if a := e.told(ctx, i); a.pod.PriceUSDPerHour.Known {
			return a.pod.PriceUSDPerHour, providers[t.Kind]
		}
	}
	return watchdog.Maybe[float64]{}, ""
}

// effectivePrice is the one that decisions would rest on.
func (e *examination) effectivePrice(ctx context.Context) watchdog.Maybe[float64] {
	if e.Config.Price.Known {
		return e.Config.Price
	}
	price, _ := e.providersPrice(ctx)
	return price
}

func (e *examination) price(ctx context.Context) []Finding {
	theirs, who := e.providersPrice(ctx)
	ours := e.Config.Price
	const tolerable = 0.05 // of the provider's price
	switch {
	case ours.Known && theirs.Known && math.Abs(ours.Value-theirs.Value) > tolerable*theirs.Value:
		return []Finding{{Verdict: Warning, Detail: fmt.Sprintf("WATCHDOG_PRICE says %s/h, and %s charges %s/h: the former counts", words.USD(ours.Value), who, words.USD(theirs.Value)),
			Remedy: "unset WATCHDOG_PRICE, unless it holds what the provider does not know"}}
	case ours.Known:
		return []Finding{{Verdict: OK, Detail: words.USD(ours.Value) + "/h, from WATCHDOG_PRICE"}}
	case theirs.Known:
		return []Finding{{Verdict: OK, Detail: fmt.Sprintf("%s/h, from %s", words.USD(theirs.Value), who)}}
	}
	return []Finding{{Verdict: Warning, Detail: "nobody knows what an hour costs: the limit rests on times alone, and amounts of money stay unknown",
		Remedy: "WATCHDOG_PRICE=1.50, with what your provider charges an hour"}}
}

// quote prices this moment as the watchdog would, with the starts that it remembers.
func (e *examination) quote(ctx context.Context) (q watchdog.Quote, samples int) {
	kept := memory.Peek(e.Config.Dir, e.Config.Name, e.TempDir, e.began).Contents
	cold, samples := costmodel.ColdStart(e.Config.ColdStart, e.Config.ColdStartUnseen, kept.Starts)
	return e.Tariff.Quote(e.effectivePrice(ctx), cold), samples
}

// limitNow is the idle time after which the pod would be stopped, as far as is known without waiting.
func (e *examination) limitNow() (time.Duration, bool) {
	q, _ := e.quote(noWaiting())
	return e.Policy.Threshold(q), !q.NoSaving
}

// limit says when the pod would be stopped, why then, and what that saves.
func (e *examination) limit(ctx context.Context) []Finding {
	q, samples := e.quote(ctx)
	t := e.Policy.Threshold(q)
	if q.NoSaving {
		return []Finding{{Verdict: Warning, Detail: fmt.Sprintf("a stopped hour costs %s, and a running one no more: idleness never stops this pod", words.USD(e.Config.StorageStopped)),
			Remedy: "correct WATCHDOG_PRICE, WATCHDOG_STORAGE_RUNNING and WATCHDOG_STORAGE_STOPPED"}}
	}
	cold := fmt.Sprintf("%s as assumed by WATCHDOG_COLD_START", span(q.ColdStart))
	if samples > 0 {
		cold = fmt.Sprintf("%s, from %s", span(q.ColdStart), count(samples, "measured start", "measured starts"))
	}
	cold += fmt.Sprintf(", and %s of it for the people who wait", e.Config.ColdStartPenalty)
	if e.Config.ColdStartPenalty.IsUSD {
		cold = strings.Replace(cold, " of it for", " for", 1)
	}
	f := Finding{Verdict: OK, Detail: fmt.Sprintf("a stop pays after %s without work", span(t))}
	switch {
	case e.Policy.Name != costmodel.BreakEven:
		f.Detail = fmt.Sprintf("the stop comes after %s without work (WATCHDOG_POLICY is %s)", span(t), e.Policy.Name)
	case q.ColdStartUSD.Known && t.Round(time.Second) == q.BreakEven.Round(time.Second):
		f.Detail += fmt.Sprintf(": idling has then cost %s, which is what a cold start costs (%s)", words.USD(q.ColdStartUSD.Value), cold)
	case q.ColdStartUSD.Known:
		f.Detail += fmt.Sprintf(": a cold start costs %s (%s), as much as %s of idling, which WATCHDOG_IDLE_MIN or WATCHDOG_IDLE_MAX bounds", words.USD(q.ColdStartUSD.Value), cold, span(q.BreakEven))
	default:
		f.Detail += fmt.Sprintf(", which is what a cold start takes (%s)", cold)
	}
	out := []Finding{f}
	if night := 10 * time.Hour; q.PriceUSDPerHour.Known && t < night {
		running := (q.PriceUSDPerHour.Value + e.Config.StorageRunning) * night.Hours()
		out[0].Detail += fmt.Sprintf("; an idle night of 10h costs %s instead of %s", words.USD(running-q.SavingUSDPerHour.Value*(night-t).Hours()), words.USD(running))
	}
	return append(out, e.exceptions()...)
}

// exceptions are hours and caps that overrule the limit.
func (e *examination) exceptions() (out []Finding) {
	c := e.Config
	if len(c.KeepHours) > 0 {
		detail := fmt.Sprintf("WATCHDOG_KEEP_HOURS (%s) does not keep it right now", c.KeepHours)
		if until, keep := c.KeepHours.Until(e.began); keep {
			detail = fmt.Sprintf("WATCHDOG_KEEP_HOURS (%s) keeps it until %s", c.KeepHours, until.Format("Mon 15:04 MST"))
		}
		out = append(out, Finding{Verdict: OK, Detail: detail})
	}
	if c.MaxRuntime > 0 {
		out = append(out, Finding{Verdict: Note, Detail: fmt.Sprintf("WATCHDOG_MAX_RUNTIME stops it %s after its start, whatever it does", span(c.MaxRuntime))})
	}
	if c.MaxSpendPerDay > 0 {
		out = append(out, Finding{Verdict: Note, Detail: fmt.Sprintf("WATCHDOG_MAX_SPEND_PER_DAY stops it at %s a day (UTC), whatever it does", words.USD(float64(c.MaxSpendPerDay)))})
	}
	return out
}
