package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// sees is how late the watchdog may call a request work that nothing but its socket shows: it must have been owed an answer
// for a second, and then comes the next look.
const sees = time.Second + 2*interval

// working are the reasons that name requests.
var working = []string{"requests_in_flight", "tokens_moved", "connection_active"}

// firstRequest watches the first request from within: in some versions its kernels compile for seconds, and meanwhile no
// gauge and no counter of the server knows of it.
func (p *play) firstRequest(ctx context.Context) error {
	b := p.client.begin(ctx, 8, false)
	began := time.Now()
	var gauges []string
	every500 := time.NewTicker(interval)
	defer every500.Stop()
	for !b.over() {
		gauges = append(gauges, inFlight(ctx, p.server.URL))
		select {
		case <-b.done:
		case <-every500.C:
		}
	}
	if b.err != nil || b.answer.status != 200 {
		return fmt.Errorf("first request: %s, %w", b.answer, b.err)
	}
	ended := time.Now()
	took := fmt.Sprintf("the request took %.1f s", b.answer.took.Seconds())
	const name = "a first request whose kernels compile is never called quiet while it is in flight"
	if b.answer.took < 2*sees {
		p.report.Skip(name, took+": this version compiles nothing at its first request")
		return nil
	}
	inside := p.w.between(began.Add(sees), ended)
	holds, odd := all(inside, func(s sight) bool { return s.Activity == "busy" && s.Verdict == "hold" && s.names(working...) })
	evidence := []string{
		took,
		"gauges and /load meanwhile: " + counted(gauges),
		fmt.Sprintf("its first %.1f s: %s", sees.Seconds(), tally(p.w.between(began, began.Add(sees)))),
		"after that: " + tally(inside),
	}
	if len(inside) > 0 {
		evidence = append(evidence, "such as: "+inside[len(inside)/2].Reasons[0].Detail)
	}
	if !holds {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check(name, holds, evidence...)
	return nil
}

// streams keeps four long streams going, for more than twice the limit.
func (p *play) streams(ctx context.Context) error {
	const clients, tokens = 4, 1500
	began := time.Now()
	var all4 sync.WaitGroup
	answers := make([][]answer, clients)
	errs := make([]error, clients)
	for i := range clients {
		all4.Go(func() {
			for time.Since(began) < 2*limit+5*time.Second && errs[i] == nil && ctx.Err() == nil {
				var a answer
				a, errs[i] = p.client.complete(ctx, tokens, true)
				answers[i] = append(answers[i], a)
			}
		})
	}
	all4.Wait()
	ended := time.Now()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
	}
	inside := p.w.between(began.Add(sees), ended)
	holds, odd := all(inside, func(s sight) bool {
		return s.Activity == "busy" && s.Verdict == "hold" && s.Idle == 0 && s.names(working...)
	})
	named := slices.IndexFunc(inside, func(s sight) bool { return s.names("requests_in_flight") })
	evidence := []string{fmt.Sprintf("%d clients for %.1f s, first stream: %s", clients, ended.Sub(began).Seconds(), answers[0][0]), tally(inside)}
	if named >= 0 {
		evidence = append(evidence, "such as: "+inside[named].detail("requests_in_flight"))
	}
	if !holds {
		evidence = append(evidence, "unlike the others: "+odd.String())
	}
	p.report.Check("streams hold the pod, and the reasons name requests", holds && named >= 0, evidence...)
	p.report.Check("nobody asked for a stop under streams", len(p.w.stops()) == 0, "RunPod was asked: "+asked(p.w))
	return nil
}

// apart is the distance of two short requests: less than the limit, and more than the time after which a warning comes.
const apart = 8 * time.Second

// bursts sends requests that no gauge ever shows.
func (p *play) bursts(ctx context.Context) error {
	return p.short(ctx, "bursts of one-token requests keep the pod", func(ctx context.Context, _ int) (string, error) {
		for range 3 {
			a, err := p.client.complete(ctx, 1, false)
			if err != nil || a.status != 200 {
				return "", fmt.Errorf("%s: %w", a, err)
			}
		}
		return "3 requests of one token", nil
	})
}

// aborted sends requests whose clients hang up, in three ways in turn.
func (p *play) aborted(ctx context.Context) error {
	return p.short(ctx, "requests that their clients cut count as work", func(ctx context.Context, n int) (string, error) {
		b := p.client.begin(ctx, 3000, n%3 == 0)
		after, how := 300*time.Millisecond, "a stream, cut"
		switch n % 3 {
		case 1:
			how = "an answer in one piece, cut"
		case 2:
			after, how = 30*time.Millisecond, "a request, cut at once"
		}
		select {
		case <-b.done:
			return "", fmt.Errorf("the request was to be cut and ended before: %s, %w", b.answer, b.err)
		case <-time.After(after):
		}
		b.cut()
		<-b.done
		return how, nil
	})
}

// short plays six short signs of work: each must set the idle clock to 0, and no stop may come.
func (p *play) short(ctx context.Context, name string, once func(ctx context.Context, n int) (string, error)) error {
	if _, calm := p.w.until(ctx, limit, func(s sight) bool { return s.Activity == "quiet" }); !calm {
		return fmt.Errorf("the server is not called quiet: %s", tally(p.w.between(p.ready, time.Now())))
	}
	began := time.Now()
	var evidence []string
	holds := true
	for n := range 6 {
		at := time.Now()
		what, err := once(ctx, n)
		if err != nil {
			return err
		}
		ended := time.Now()
		stage.Rest(ctx, apart-time.Since(at))
		seen := p.w.between(at, ended.Add(3*interval))
		i := slices.IndexFunc(seen, func(s sight) bool { return s.Activity == "busy" && s.names(working...) })
		if i < 0 {
			holds = false
			evidence = append(evidence, fmt.Sprintf("%s: not seen; %s", what, tally(seen)))
			continue
		}
		evidence = append(evidence, fmt.Sprintf("%s: %s, %.1f s later; idle for %.1f s before the next", what, seen[i].Reasons[0].Code+" ("+seen[i].Reasons[0].Detail+")",
			max(0, seen[i].at.Sub(ended).Seconds()), longestIdle(p.w.between(ended.Add(sees), time.Now()))))
	}
	inside := p.w.between(began, time.Now())
	never, odd := all(inside, func(s sight) bool { return s.Verdict != "stop" && s.Idle < limit.Seconds() })
	if !never {
		evidence = append(evidence, "a stop was near: "+odd.String())
	}
	evidence = append(evidence, tally(inside), "RunPod was asked: "+asked(p.w))
	p.report.Check(name, holds && never && len(p.w.stops()) == 0, evidence...)
	return nil
}
