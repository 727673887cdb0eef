package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// idle leaves the server alone, but for the scrapers, until the stop.
func (p *play) idle(ctx context.Context) error {
	w := p.w
	// The last work is this request, whatever came before.
	if a, err := p.client.complete(ctx, 1, false); err != nil || a.status != 200 {
		return fmt.Errorf("last request: %s, %w", a, err)
	}
	began := time.Now()
	at, stopped := w.awaitStops(ctx, 1, limit+30*time.Second)
	inside := w.between(began, at)
	scraped := fmt.Sprintf("meanwhile /metrics and /health were read once a second by another process, which runs: %t", stage.Alive(p.scraper.Process.Pid))
	p.report.Check("scrapes and health checks of a third side do not keep the pod awake", stopped, scraped, tally(inside))
	if !stopped {
		return nil
	}
	after := at.Sub(began)
	unknown := slices.DeleteFunc(slices.Clone(inside), func(s sight) bool { return s.Activity != "unknown" })
	// A final look that catches a scrape half-way holds, and is taken again from its beginning.
	again := w.said("decision", began)
	again = slices.DeleteFunc(again, func(l line) bool { return l.text("at") != "final_look" || l.text("verdict") != "hold" })
	lost := time.Duration(len(unknown))*sampling + time.Duration(len(again))*(finalLook+interval)
	most := limit + finalLook + 3*interval + lost
	p.report.Check("the stop comes after the limit, within the final look and three ticks", after >= limit && after <= most,
		append([]string{fmt.Sprintf("asked for %.2f s after the last answer; at least %.1f s, at most %.1f s, of which %.1f s for %d unknown looks and %d final looks that met a scrape",
			after.Seconds(), limit.Seconds(), most.Seconds(), lost.Seconds(), len(unknown), len(again))}, decisionsOf(again)...)...)

	warned := slices.IndexFunc(inside, func(s sight) bool { return s.Verdict == "warn" })
	evidence := []string{"never"}
	if warned >= 0 {
		evidence = []string{inside[warned].String()}
	}
	p.report.Check("the stop was announced before", warned >= 0, evidence...)

	// Had another one been asked, it would come with the next ticks.
	stage.Rest(ctx, 4*interval)
	stops := w.stops()
	r := stops[0]
	wrong := rightRequest(r)
	evidence = []string{fmt.Sprintf("%s %s %s, User-Agent %s, answered %d", r.Method, r.Path, r.Body, r.Header.Get("User-Agent"), r.Status)}
	if wrong != "" {
		evidence = append(evidence, wrong)
	}
	p.report.Check("RunPod got exactly the right request, once", wrong == "" && len(stops) == 1 && w.provider.Status() == runpodtest.Exited,
		append(evidence, fmt.Sprintf("%d request(s) for a stop, the pod is %s", len(stops), w.provider.Status()))...)
	p.report.Check("the watchdog does not exit after its stop", stage.Alive(w.cmd.Process.Pid), decisionsOf(w.said("decision", at.Add(-3*time.Second)))...)
	w.kill() // as the end of the container does
	return nil
}

// warning sends work while a stop is announced.
func (p *play) warning(ctx context.Context) error {
	w := p.w
	warned, announced := w.until(ctx, limit+10*time.Second, func(s sight) bool { return s.Verdict == "warn" })
	if !announced {
		return fmt.Errorf("no warning: %s", tally(w.between(w.begun, time.Now())))
	}
	if a, err := p.client.complete(ctx, 1, false); err != nil || a.status != 200 {
		return fmt.Errorf("request under warning: %s, %w", a, err)
	}
	at := time.Now()
	lapsed, yes := w.until(ctx, 3*interval, func(s sight) bool { return s.Verdict == "hold" && s.Activity == "busy" && s.Idle == 0 })
	stage.Rest(ctx, warnBefore+2*time.Second)
	after := w.between(at.Add(3*interval), time.Now())
	held, odd := all(after, func(s sight) bool { return s.Verdict == "hold" })
	evidence := []string{"announced: " + warned.String(), "after one request: " + lapsed.String(), fmt.Sprintf("until %.0f s later: %s", time.Since(at).Seconds(), tally(after))}
	if !held {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check("a warning lapses with work", yes && held && len(w.stops()) == 0, evidence...)
	return nil
}

// overtaken lets RunPod accept a stop that then does not come, and sends work.
func (p *play) overtaken(ctx context.Context) error {
	w := p.w
	asked0, accepted := w.awaitStops(ctx, 1, limit+30*time.Second)
	if !accepted {
		return fmt.Errorf("no stop: %s", tally(w.between(w.begun, time.Now())))
	}
	waiting, unproven := w.until(ctx, 5*time.Second, func(s sight) bool { return s.Reason == "stop_unproven" })
	p.report.Check("an accepted stop waits for its proof", unproven, waiting.String(), waiting.detail("stop_unproven"))
	if a, err := p.client.complete(ctx, 1, false); err != nil || a.status != 200 {
		return fmt.Errorf("request after acceptance: %s, %w", a, err)
	}
	at := time.Now()
	stage.Rest(ctx, 4*interval)
	var lines []line
	for _, l := range w.said("decision", asked0) {
		if l.text("reason") == "overtaken" {
			lines = append(lines, l)
		}
	}
	told := w.said("stop attempt", at.Add(-interval))
	ended := slices.ContainsFunc(told, func(l line) bool { return l.text("result") == "overtaken" })
	evidence := decisionsOf(lines)
	for _, l := range told {
		evidence = append(evidence, "stop attempt: "+l.text("result")+", "+l.text("detail"))
	}
	p.report.Check("work between acceptance and the end is overtaken", len(lines) == 1 && ended, evidence...)

	again, more := w.awaitStops(ctx, 2, limit+30*time.Second)
	after := w.between(at.Add(3*interval), again)
	held, odd := all(after, func(s sight) bool {
		return s.Idle < limit.Seconds()+finalLook.Seconds()+1 && !s.names("overtaken", "stop_unproven")
	})
	evidence = []string{tally(after), fmt.Sprintf("asked again %.2f s after that work, by %s", again.Sub(at).Seconds(), w.stops()[len(w.stops())-1].Call)}
	if !held {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check("after that the attempt is over: the next stop takes a whole limit of its own", more && held && again.Sub(at) >= limit, evidence...)
	still, _ := all(after, func(s sight) bool { return slices.Contains(s.Warnings, unprovenAlarm) })
	p.report.Check("the alarm stays until a stop is proven", still, unprovenAlarm)
	return nil
}

const unprovenAlarm = "a stop of this pod was accepted, and it still runs and costs money: look at the provider's console"

// decisionsOf shows decision lines for people.
func decisionsOf(lines []line) (out []string) {
	for _, l := range lines {
		out = append(out, fmt.Sprintf("%s %s %s, idle %.1f s (%s)", l.text("at"), l.text("verdict"), l.text("reason"), l.number("idle_seconds"), l.text("detail")))
	}
	return out
}
