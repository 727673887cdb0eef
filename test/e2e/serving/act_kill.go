package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// kill kills the watchdog at random instants while applications post rows, exporters send spans and vLLM serves.
func (p *play) kill(ctx context.Context) error {
	if p.server == nil {
		if err := p.stand(ctx, overGRPC); err != nil {
			return err
		}
	}
	var acknowledged []string
	var served []string
	for round := range p.config.kills {
		ids, answers, err := p.killOnce(ctx, round)
		if err != nil {
			return err
		}
		acknowledged, served = append(acknowledged, ids...), append(served, answers...)
	}
	count := func() (map[string]int, error) {
		rows, err := p.w.rows(ctx)
		n := map[string]int{}
		for _, r := range rows {
			n[r.response]++
		}
		return n, err
	}
	n, err := count()
	if err != nil {
		return err
	}
	lost, twice := 0, 0
	for _, id := range acknowledged {
		switch n[id] {
		case 0:
			lost++
		case 1:
		default:
			twice++
		}
	}
	whole, err := one[string](ctx, p.w, "PRAGMA integrity_check")
	p.report.Check("after each kill every acknowledged row is there, once, and the file is whole", err == nil && lost == 0 && twice == 0 && whole == "ok" && len(acknowledged) > 0,
		fmt.Sprintf("%d kills, %d rows acknowledged before them: %d lost, %d twice; integrity_check: %s (%v)", p.config.kills, len(acknowledged), lost, twice, whole, err))

	// The exporter sends again what was not acknowledged.
	there := func() (found, more int) {
		n, err = count()
		for _, id := range served {
			if n[id] > 0 {
				found++
			}
			more += max(0, n[id]-1)
		}
		return found, more
	}
	stage.Until(ctx, spanMost, func() bool { found, _ := there(); return err == nil && found == len(served) })
	found, more := there()
	p.report.Check("vLLM's own requests of that time are rows, once each: its exporter sends again what was not acknowledged", err == nil && found == len(served) && more == 0 && found > 0,
		fmt.Sprintf("%d requests were served, %d are rows, %d of them twice (%v)", len(served), found, more, err))
	return nil
}

// killOnce kills the watchdog once, starts it again, and returns what was acknowledged and what vLLM served.
func (p *play) killOnce(ctx context.Context, round int) (acknowledged, served []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var mu sync.Mutex
	var senders sync.WaitGroup
	first := make(chan struct{}, 1)
	for sender := range 4 {
		senders.Go(func() {
			for n := 0; ; n++ {
				ids := make([]string, 1+rand.IntN(20))
				for i := range ids {
					ids[i] = fmt.Sprintf("kill-%d-%d-%d-%d", round, sender, n, i)
				}
				put := p.postRows
				if sender%2 == 1 {
					put = p.exportSpans
				}
				if put(ctx, ids) != nil {
					return // it has been killed
				}
				mu.Lock()
				acknowledged = append(acknowledged, ids...)
				mu.Unlock()
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
	}
	var failed error
	var serving sync.WaitGroup
	serving.Go(func() {
		for i := range 10 {
			var id string
			if id, failed = p.client.complete(ctx, ask{id: fmt.Sprintf("served-%d-%d", round, i), tokens: 16}); failed != nil {
				return
			}
			served = append(served, id)
		}
	})
	select {
	case <-first:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("nothing was acknowledged: %w", ctx.Err())
	}
	stage.Rest(ctx, time.Duration(rand.Int64N(int64(700*time.Millisecond))))
	p.w.kill()
	senders.Wait()
	if err := p.w.start(ctx); err != nil {
		return nil, nil, err
	}
	serving.Wait()
	return acknowledged, served, failed
}

// postRows posts rows as an application does. It returns nil once they are acknowledged.
func (p *play) postRows(ctx context.Context, ids []string) error {
	rows := make([]map[string]any, len(ids))
	for i, id := range ids {
		rows[i] = map[string]any{"request_id": id, "prefill_time_ms": 20, "decode_time_ms": 400, "total_time_ms": 430, "n_tokens": 41, "labels": map[string]any{"restaurant_id": i}}
	}
	status, answer, err := post(ctx, "http://"+p.w.ingest+"/v1/requests", map[string]any{"requests": rows})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %.200s", status, answer)
	}
	return err
}

// exportSpans sends spans as an exporter does. It returns nil once they are acknowledged.
func (p *play) exportSpans(ctx context.Context, ids []string) error {
	now := uint64(time.Now().UnixNano())
	spans := make([]*tracepb.Span, len(ids))
	for i, id := range ids {
		spans[i] = &tracepb.Span{Name: requestSpan, TraceId: random(16), SpanId: random(8), StartTimeUnixNano: now - 430e6, EndTimeUnixNano: now, Attributes: []*commonpb.KeyValue{
			{Key: "gen_ai.request.id", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: id}}},
			{Key: "gen_ai.usage.completion_tokens", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: 41}}},
			{Key: "gen_ai.latency.e2e", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: .43}}},
		}}
	}
	body, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}}}}})
	if err != nil {
		return err
	}
	status, answer, err := send(ctx, "http://"+p.w.ingest+"/v1/traces", "application/x-protobuf", body)
	if err == nil && (status != http.StatusOK || len(answer) > 0) {
		err = fmt.Errorf("HTTP %d: %s", status, hex.EncodeToString(answer))
	}
	return err
}

func random(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(1 + rand.IntN(255))
	}
	return b
}
