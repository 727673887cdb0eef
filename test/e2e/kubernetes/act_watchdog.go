//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

const (
	// stopMost is how long the watchdog may take until the stop, the draining included.
	stopMost = 90 * time.Second
	// heldFor is how long it is watched doing nothing: several idle limits.
	heldFor = 4 * idleLimit
	// undoer is who undoes stops here.
	undoer = "argocd-controller"
)

// watching stands a workload for an act with the watchdog, or says why there is none here.
func (p *play) watching(ctx context.Context, namespace string) (*workload, error) {
	if err := p.able(ctx); errors.Is(err, errNoStage) {
		p.report.Skip(namespace, err.Error())
		return nil, nil
	}
	return p.stand(ctx, namespace)
}

func (p *play) idle(ctx context.Context) error {
	w, err := p.watching(ctx, "idle")
	if w == nil {
		return err
	}
	dog, err := p.watch(ctx, w, nil)
	if err != nil {
		return err
	}
	stopped := stage.Until(ctx, stopMost, func() bool { return w.wanted(ctx) == 0 })
	_, details := dog.reasons(ctx)
	p.report.Check("an idle replica is scaled to none", stopped, append(details, stage.Tail(dog.log))...)
	writes := dog.tap.seen(asked.writes)
	p.report.Check("with one request", len(writes) == 1, lines(writes)...)
	if len(writes) == 1 {
		failed := dog.failedReadiness()
		p.report.Check("after its readiness failed", !failed.IsZero() && failed.Before(writes[0].at), fmt.Sprintf("%s before", writes[0].at.Sub(failed)))
	}
	refused := dog.tap.seen(func(a asked) bool { return a.status == http.StatusForbidden || a.status == http.StatusUnauthorized })
	p.report.Check("and without being refused anything", len(refused) == 0, lines(refused)...)
	p.report.Show("all that it asked", lines(dog.tap.seen(nil))...)
	var events []string
	told := stage.Until(ctx, 5*time.Second, func() bool {
		said, err := p.admin.must(ctx, http.MethodGet, eventsPath(w.namespace), nil)
		items, _ := at(said.fields, "items").([]any)
		events = nil
		for _, e := range items {
			if at(e, "reportingController") == "gpu-watchdog" && at(e, "regarding", "name") == watchedName {
				events = append(events, fmt.Sprint(at(e, "reason"), ": ", at(e, "note")))
			}
		}
		return err == nil && len(events) == 1
	})
	p.report.Check("one event on the Deployment tells of it, and why", told && strings.Contains(events[0], "threshold_reached"), events...)
	code := dog.close()
	p.report.Check("and ends when it is told to", code == 0, fmt.Sprint("exit code ", code))
	return w.end(ctx)
}

func (p *play) three(ctx context.Context) error {
	w, err := p.watching(ctx, "three")
	if w == nil {
		return err
	}
	if err := errors.Join(w.scale(ctx, 3, "e2e"), w.there(ctx, 3)); err != nil {
		return err
	}
	dog, err := p.watch(ctx, w, nil, "WATCHDOG_WARN_BEFORE=1s")
	if err != nil {
		return err
	}
	defer dog.close()
	details, said := dog.says(ctx, 30*time.Second, "target_refused")
	p.report.Check("three replicas are a target that it refuses", said, append(details, stage.Tail(dog.log))...)
	stage.Rest(ctx, heldFor)
	writes := dog.tap.seen(asked.writes)
	p.report.Check("and leaves alone", w.wanted(ctx) == 3 && len(writes) == 0, append(lines(writes), fmt.Sprint(w.wanted(ctx), " replicas"))...)
	var announced []string
	for line := range strings.Lines(stage.Whole(dog.log)) {
		if strings.Contains(line, "earliest_stop") || strings.Contains(line, `"verdict":"warn"`) || strings.Contains(line, `"verdict":"stop"`) {
			announced = append(announced, line)
		}
	}
	p.report.Check("and announces no stop of them", len(announced) == 0, announced...)
	return nil
}

func (p *play) race(ctx context.Context) error {
	w, err := p.watching(ctx, "race")
	if w == nil {
		return err
	}
	var scaled error
	dog, err := p.watch(ctx, w, func(ctx context.Context) { scaled = w.scale(ctx, 2, "e2e") })
	if err != nil {
		return err
	}
	defer dog.close()
	met := stage.Until(ctx, stopMost, func() bool { return len(dog.tap.seen(asked.writes)) > 0 })
	if !met || scaled != nil {
		return errors.Join(scaled, fmt.Errorf("the watchdog did not try to stop, or nobody scaled up; the end of its log:\n%s", stage.Tail(dog.log)))
	}
	writes := dog.tap.seen(asked.writes)
	p.report.Check("its stop meets a conflict", writes[0].status == http.StatusConflict, lines(writes)...)
	stage.Rest(ctx, heldFor)
	accepted := dog.tap.seen(func(a asked) bool { return a.writes() && a.status < http.StatusMultipleChoices })
	p.report.Check("two replicas stay", w.wanted(ctx) == 2 && len(accepted) == 0, append(lines(accepted), fmt.Sprint(w.wanted(ctx), " replicas"))...)
	details, said := dog.says(ctx, 10*time.Second, "target_refused")
	p.report.Check("and are a target that it refuses from then on", said && !dog.process.ended(), details...)
	return nil
}

func (p *play) orders(ctx context.Context) error {
	w, err := p.watching(ctx, "orders")
	if w == nil {
		return err
	}
	dog, err := p.watch(ctx, w, nil, "WATCHDOG_IDLE_LIMIT=8s")
	if err != nil {
		return err
	}
	defer dog.close()
	text, err := dog.order(ctx, "hold", "2h", "the play")
	p.report.Check("it takes a hold in its container", err == nil, text, fmt.Sprint(err), stage.Tail(dog.log))
	details, said := dog.says(ctx, 10*time.Second, "hold_lease")
	p.report.Check("and says so", said, details...)
	text, err = dog.order(ctx, "stop", "--rehearse")
	p.report.Check("a rehearsed stop is accepted by the API server", err == nil && strings.Contains(text, "nothing was changed"), text)
	stage.Rest(ctx, heldFor)
	writes := dog.tap.seen(asked.writes)
	p.report.Check("and nothing is stopped meanwhile", w.wanted(ctx) == 1 && len(writes) == 0 && dog.failedReadiness().IsZero(), lines(writes)...)
	text, err = dog.order(ctx, "release")
	stopped := stage.Until(ctx, stopMost, func() bool { return w.wanted(ctx) == 0 })
	p.report.Check("released, it is stopped", err == nil && stopped, text, fmt.Sprint(w.wanted(ctx), " replicas"))
	return nil
}

func (p *play) reverted(ctx context.Context) error {
	w, err := p.watching(ctx, "reverted")
	if w == nil {
		return err
	}
	// Two undone stops are enough to disarm it; whether the second counts at its stop or at the start after it is not told. A stop within
	// seconds of the start is none that could be: the memory of a pod before is taken over once nobody else writes it, for 15 s.
	const most = 4
	for stops := range most {
		dog, err := p.watch(ctx, w, nil, "WATCHDOG_IDLE_LIMIT=8s")
		if err != nil {
			return err
		}
		var codes, details []string
		stage.Until(ctx, stopMost, func() bool {
			codes, details = dog.reasons(ctx)
			return slices.Contains(codes, "stop_reverted") || w.wanted(ctx) == 0
		})
		if slices.Contains(codes, "stop_reverted") {
			stage.Rest(ctx, heldFor)
			p.report.Check("after two undone stops it stops no more", stops >= 2 && w.wanted(ctx) == 1, append(details, fmt.Sprintf("%d stops", stops))...)
			p.report.Check("and names who undid them", strings.Contains(strings.Join(details, " ")+stage.Whole(dog.log), undoer), details...)
			dog.close()
			return nil
		}
		stopped := w.wanted(ctx) == 0
		dog.close()
		if !stopped {
			return fmt.Errorf("start %d neither stopped nor held for undone stops: %s; the end of its log:\n%s", stops+1, details, stage.Tail(dog.log))
		}
		if err := errors.Join(w.end(ctx), w.undo(ctx, undoer), w.start(ctx)); err != nil {
			return err
		}
	}
	p.report.Check("after two undone stops it stops no more", false, fmt.Sprintf("it stopped %d times", most))
	return nil
}
