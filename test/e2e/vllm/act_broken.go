package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// long is how many tokens a request asks for that must still be in flight when the server stands still.
const long = 3500

// pause freezes the scheduler under a stream: nothing moves, and nothing is broken.
func (p *play) pause(ctx context.Context) error {
	const name = "a paused request holds the pod, and is called stalled after BROKEN_LIMIT"
	w := p.w
	b, err := p.streaming(ctx)
	if err != nil {
		return err
	}
	defer b.cut()
	status := p.server.Post(ctx, "/pause?mode=keep")
	at := time.Now()
	stage.Rest(ctx, 2*time.Second)
	if status != 200 || b.over() {
		p.report.Skip(name, fmt.Sprintf("/pause?mode=keep answers %d, and the request went on or ended: this version has no such mode", status))
		p.server.Post(ctx, "/resume")
		return nil
	}
	stalled, yes := w.until(ctx, brokenLimit+10*time.Second, func(s sight) bool { return s.names("server_stalled") })
	held := w.between(at, stalled.at.Add(-time.Millisecond))
	// A reading that comes too late on a busy machine is unknown, which holds as well.
	holds, odd := all(held, func(s sight) bool { return s.Activity != "quiet" && s.Verdict == "hold" })
	after := stalled.at.Sub(at)
	evidence := []string{fmt.Sprintf("paused for %.1f s: %s", after.Seconds(), tally(held)), "then: " + stalled.String(), stalled.detail("server_stalled")}
	if !holds {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check(name, yes && holds && after >= brokenLimit-time.Second, evidence...)

	p.server.Post(ctx, "/resume")
	resumed := time.Now()
	alive, yes := w.until(ctx, 5*time.Second, func(s sight) bool { return s.Activity == "busy" && s.names(working...) })
	b.cut()
	<-b.done
	p.report.Check("after the pause it is work again", yes && len(w.stops()) == 0, fmt.Sprintf("%.1f s after /resume: %s", alive.at.Sub(resumed).Seconds(), alive))
	return nil
}

// streaming begins a long stream and returns when its first token is there.
func (p *play) streaming(ctx context.Context) (*begun, error) {
	b := p.client.begin(ctx, long, true)
	if _, seen := p.w.until(ctx, 10*time.Second, func(s sight) bool { return s.names(working...) }); !seen || b.over() {
		b.cut()
		<-b.done
		return nil, fmt.Errorf("a long stream was not seen, or ended early: %s, %w", b.answer, b.err)
	}
	return b, nil
}

// hang stops the engine under a stream whose client then leaves: the gauge says running for ever.
func (p *play) hang(ctx context.Context) error {
	w := p.w
	b, err := p.streaming(ctx)
	if err != nil {
		return err
	}
	defer b.cut()
	engine, err := p.server.Engine()
	if err != nil {
		return err
	}
	if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("stop the engine: %w", err)
	}
	defer func() { _ = syscall.Kill(engine, syscall.SIGCONT) }() // at the latest
	b.cut()
	<-b.done
	at := time.Now()
	stalled, yes := w.until(ctx, brokenLimit+10*time.Second, func(s sight) bool { return s.names("server_stalled") })
	page := inFlight(ctx, p.server.URL)
	seen := w.between(at.Add(interval), stalled.at.Add(-time.Millisecond))
	p.report.Check("an engine that hangs without clients is called stalled, not work for ever", yes && stalled.at.Sub(at) <= brokenLimit+3*time.Second,
		fmt.Sprintf("%.1f s after the hang: %s", stalled.at.Sub(at).Seconds(), stalled), stalled.detail("server_stalled"), "until then: "+tally(seen), "its page: "+page)

	if err := syscall.Kill(engine, syscall.SIGCONT); err != nil {
		return fmt.Errorf("let the engine go on: %w", err)
	}
	a, err := p.client.complete(ctx, 4, false)
	if err != nil || a.status != 200 {
		return fmt.Errorf("request after the hang: %s, %w", a, err)
	}
	again, yes := w.until(ctx, 5*time.Second, func(s sight) bool { return s.Activity == "busy" && s.names("tokens_moved") && s.Idle == 0 })
	stage.Rest(ctx, 8*interval)
	later := w.between(again.at.Add(3*interval), time.Now())
	clean, odd := all(later, func(s sight) bool { return !s.names("server_stalled") && s.Activity == "quiet" })
	evidence := []string{"its first request: " + a.String(), again.String(), "and then: " + tally(later)}
	if !clean {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check("an engine that goes on is alive again", yes && clean && len(w.stops()) == 0, evidence...)
	return nil
}

// death kills the engine: /health says so for some seconds, and then the port refuses.
func (p *play) death(ctx context.Context) error {
	w := p.w
	engine, err := p.server.Engine()
	if err != nil {
		return err
	}
	stops := len(w.stops())
	if err := syscall.Kill(engine, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill the engine: %w", err)
	}
	at := time.Now()
	dead, yes := w.until(ctx, 5*time.Second, func(s sight) bool { return s.Reason == "server_dead" })
	p.report.Check("a killed engine is server_dead", yes && dead.Activity == "broken",
		fmt.Sprintf("%.1f s after the kill: %s", dead.at.Sub(at).Seconds(), dead), dead.detail("server_dead"))

	stage.Rest(ctx, brokenLimit-2*time.Second-time.Since(dead.at))
	after := w.between(dead.at, time.Now())
	holds, odd := all(after, func(s sight) bool {
		return s.Activity == "broken" && (s.Verdict == "hold" || s.Verdict == "warn") && s.Reason == "server_dead"
	})
	evidence := []string{tally(after), fmt.Sprintf("by now /health answers %d (0: the port refuses)", p.server.Status(ctx, "/health"))}
	if !holds {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check("a dead server is held and announced within BROKEN_LIMIT: no stop, no quiet", holds && len(w.stops()) == stops, evidence...)
	_, stopped := w.until(ctx, 12*time.Second, func(sight) bool { return len(w.stops()) > stops })
	p.report.Check("and stopped after it", stopped, fmt.Sprintf("asked for %.1f s after it was called dead, at a limit of %s", time.Since(dead.at).Seconds(), brokenLimit))
	const alarm = "the pod costs money and serves nobody"
	var alarms []string
	for _, l := range w.said("alarm", at) {
		if l.text("alarm") == "server_dead" && strings.Contains(l.text("detail"), alarm) {
			alarms = append(alarms, "log: "+l.text("detail"))
		}
	}
	logged := len(alarms) > 0
	shown, _ := all(after[len(after)-1:], func(s sight) bool {
		return slices.ContainsFunc(s.Warnings, func(text string) bool { return strings.Contains(text, alarm) })
	})
	p.report.Check("a dead server raises an alarm, in the log and in /status", logged && shown, append(alarms, "/status: "+strings.Join(after[len(after)-1].Warnings, " | "))...)
	return nil
}
