package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// youngContainer is how old the container may be for its age to count as the beginning of the start.
const youngContainer = 2 * time.Minute

// start begins with the watchdog, as a start script does, and then the server.
func (p *play) start(ctx context.Context) error {
	w := p.w
	before := w.begun
	if age := time.Duration(containerAge() * float64(time.Second)); age > 0 && age < youngContainer {
		before = time.Now().Add(-age)
	}
	if err := p.serve(ctx); err != nil {
		return err
	}
	if _, up := w.until(ctx, 5*time.Second, func(s sight) bool { return s.Reason != "server_loading" }); !up {
		return fmt.Errorf("the server is ready and the watchdog does not see it: %s", tally(w.between(p.ready, time.Now())))
	}
	loading := w.between(w.begun.Add(interval), p.ready)
	holds, odd := all(loading, func(s sight) bool {
		return s.Verdict == "hold" && s.Activity == "busy" && s.Reason == "server_loading"
	})
	evidence := []string{tally(loading)}
	if !holds {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check("a server that starts is server_loading, and holds the pod", holds, evidence...)

	truth := p.ready.Sub(before)
	measured := w.said("cold start measured", before)
	evidence = []string{fmt.Sprintf("first /health 200 was %.2f s after the watchdog began (%.2f s after vLLM was started)", truth.Seconds(), p.ready.Sub(p.server.Began).Seconds())}
	right := len(measured) == 1 && measured[0].text("kind") == "pod_start"
	for _, l := range measured {
		took := time.Duration(l.number("measured_seconds") * float64(time.Second))
		evidence = append(evidence, fmt.Sprintf("measured: %s of %.2f s, off by %+.2f s", l.text("kind"), took.Seconds(), (took-truth).Seconds()))
		// A tick later at most, and the time of the two pages that the look reads.
		right = right && took >= truth-100*time.Millisecond && took <= truth+interval+100*time.Millisecond
	}
	p.report.Check("the cold start is measured within a tick of the truth", right, evidence...)
	p.report.Check("nobody asked for a stop", len(w.stops()) == 0, fmt.Sprintf("RunPod was asked: %s", asked(w)))
	return nil
}

// nextStart finds what the run before left on the volume.
func (p *play) nextStart(ctx context.Context) error {
	w := p.w
	if _, quiet := w.until(ctx, 10*time.Second, func(s sight) bool { return s.Activity == "quiet" }); !quiet {
		return fmt.Errorf("the server is up and idle, and not called quiet: %s", tally(w.between(w.begun, time.Now())))
	}
	proven := w.said("the last stop is proven: this is a new start of the pod", w.begun.Add(-time.Minute))
	var evidence []string
	for _, l := range proven {
		evidence = append(evidence, fmt.Sprintf("%s, by %s, for %s after %.1f s idle", l.text("msg"), l.text("rung"), l.text("reason"), l.number("idle_seconds")))
	}
	p.report.Check("the next start of the pod proves the last stop", len(proven) == 1, evidence...)
	p.report.Check("a server that was up already is no measured start", len(w.said("cold start measured", w.begun)) == 0)
	first := w.between(w.begun, time.Now())
	p.report.Check("the idle clock begins at 0 in a new start", longestIdle(first) < 5, fmt.Sprintf("highest so far: %.1f s", longestIdle(first)))
	return nil
}

// asked names the calls that RunPod got, in their order without repetitions.
func asked(w *watched) string {
	var calls []string
	for _, r := range w.provider.Requests() {
		calls = append(calls, string(r.Call))
	}
	return fmt.Sprint(slices.Compact(calls))
}

// rightRequest says what is wrong with a request for a stop; empty where nothing is.
func rightRequest(r runpodtest.Request) string {
	for what, pair := range map[string][2]string{
		"method":        {r.Method, "POST"},
		"path":          {r.Path, "/v2/pods/" + podID + "/action"},
		"query":         {r.Query, ""},
		"authorization": {r.Header.Get("Authorization"), "Bearer " + apiKey},
		"content type":  {r.Header.Get("Content-Type"), "application/json"},
		"body":          {string(r.Body), `{"action":"stop"}`},
	} {
		if pair[0] != pair[1] {
			return fmt.Sprintf("%s is %q, not %q", what, pair[0], pair[1])
		}
	}
	if agent := r.Header.Get("User-Agent"); len(agent) < len("gpu-watchdog/x") || agent[:len("gpu-watchdog/")] != "gpu-watchdog/" {
		return fmt.Sprintf("user agent is %q", agent)
	}
	return ""
}
