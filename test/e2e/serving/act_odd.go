package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// odd plays the requests that are not one span with all its figures.
func (p *play) odd(ctx context.Context) error {
	if p.server == nil {
		if err := p.stand(ctx, overGRPC); err != nil {
			return err
		}
	}
	if err := p.twoAnswers(ctx); err != nil {
		return err
	}
	if err := p.labels(ctx); err != nil {
		return err
	}
	return p.aborted(ctx)
}

// twoAnswers asks for n=2.
func (p *play) twoAnswers(ctx context.Context) error {
	id, err := p.client.complete(ctx, ask{id: "odd-two", tokens: 24, n: 2})
	if err != nil {
		return err
	}
	rows, err := p.await(ctx, "odd-two", 2)
	if err != nil {
		return err
	}
	good := len(rows) == 2
	var evidence []string
	for _, r := range rows {
		good = good && r.response == id && r.output.Int64 == 24 && r.ttft.Valid && !r.aborted
		evidence = append(evidence, fmt.Sprintf("row %s, response %s: %d tokens, %.3f s", r.request, r.response, r.output.Int64, r.total.Float64))
	}
	p.report.Check("n=2 is two rows under the one id of its answer", good, append(evidence, "the client got "+id)...)
	return nil
}

// labels are posted for one request before it is sent, and for another when its row is there.
func (p *play) labels(ctx context.Context) error {
	label := func(id, restaurant string) error {
		status, answer, err := post(ctx, "http://"+p.w.ingest+"/v1/requests", map[string]any{"requests": []any{map[string]any{
			"request_id": id, "labels": map[string]any{"restaurant_id": restaurant, "analysis_type": "sentiment"}}}})
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("post labels: HTTP %d: %s", status, answer)
		}
		return err
	}
	if err := label("cmpl-odd-before", "41"); err != nil {
		return err
	}
	var ids []string
	for _, id := range []string{"odd-before", "odd-after"} {
		answer, err := p.client.complete(ctx, ask{id: id, tokens: 8})
		if err != nil {
			return err
		}
		ids = append(ids, answer)
		if _, err := p.await(ctx, id, 1); err != nil {
			return err
		}
	}
	if err := label(ids[1], "42"); err != nil {
		return err
	}
	seen := map[string]string{}
	for _, id := range []string{"odd-before", "odd-after"} {
		v, err := one[string](ctx, p.w, `SELECT coalesce(group_concat(restaurant_id || ' ' || analysis_type || ' ' || n_tokens), '') FROM vllm_metrics WHERE request_id LIKE ?`, "%"+id+"%")
		if err != nil {
			return err
		}
		seen[id] = v
	}
	p.report.Check("labels are joined to their span, whichever comes first", ids[0] == "cmpl-odd-before" && seen["odd-before"] == "41 sentiment 8" && seen["odd-after"] == "42 sentiment 8",
		fmt.Sprintf("before: %q, after: %q, under the ids that the client got: %s", seen["odd-before"], seen["odd-after"], strings.Join(ids, ", ")))
	return nil
}

// aborted lets the server abort what runs and what waits.
func (p *play) aborted(ctx context.Context) error {
	const name, long, clients = "a request that the server aborted is a row without latencies", 3500, 6 // four run, two wait
	var group sync.WaitGroup
	defer group.Wait()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for i := range clients {
		group.Go(func() {
			_, _ = p.client.complete(ctx, ask{id: fmt.Sprintf("odd-abort-%d", i), tokens: long}) // how it ends is not the question here
		})
	}
	waits := func() bool {
		page := metrics(ctx, p.server.URL)
		return total(page, "vllm:num_requests_running") == 4 && total(page, "vllm:num_requests_waiting") == clients-4
	}
	if !stage.Until(ctx, 20*time.Second, waits) {
		return fmt.Errorf("%d requests do not fill the server", clients)
	}
	status, _, err := send(ctx, p.server.URL+"/pause?mode=abort", "application/json", nil)
	if err != nil || status != http.StatusOK {
		p.report.Skip(name, fmt.Sprintf("/pause?mode=abort answers %d (%v): this version has no such mode", status, err))
		cancel()
		return nil
	}
	group.Wait()
	if status, _, err := send(ctx, p.server.URL+"/resume", "application/json", nil); err != nil || status != http.StatusOK {
		return errors.Join(fmt.Errorf("resume: HTTP %d", status), err)
	}
	rows, err := p.await(ctx, "odd-abort", clients)
	if err != nil {
		return err
	}
	spans, err := p.tap.spans()
	if err != nil {
		return err
	}
	good, garbage, plain := len(rows) == clients, 0, 0
	var evidence []string
	for _, r := range rows {
		i := slices.IndexFunc(spans, func(s span) bool { return s.requestID == r.request })
		if i < 0 {
			good = false
			continue
		}
		told := spans[i].number
		blank := !r.queue.Valid && !r.prefill.Valid && !r.decode.Valid && !r.total.Valid && !r.ttft.Valid && !r.tpot.Valid
		if told["gen_ai.usage.completion_tokens"] == 0 {
			garbage++
			good = good && r.aborted && blank && r.output.Valid && r.output.Int64 == 0
			evidence = append(evidence, fmt.Sprintf("%s: the span has 0 tokens, prefill %.1f s, TTFT %.3f s; the row is aborted %t, without latencies %t",
				r.request, told["gen_ai.latency.time_in_model_prefill"], told["gen_ai.latency.time_to_first_token"], r.aborted, blank))
		} else {
			plain++
			good = good && !r.aborted && r.ttft.Valid
		}
	}
	p.report.Check(name, good && garbage > 0, append(evidence, fmt.Sprintf("%d had tokens when they were aborted and keep their latencies", plain))...)
	return nil
}
