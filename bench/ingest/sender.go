//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"connectrpc.com/connect"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// exportPath is OTLP's method over gRPC.
const exportPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

// fullBatch is the most spans that OpenTelemetry's Python exporter puts into a message; it does not wait longer for them.
const fullBatch = 512

// sender exports spans at a steady rate, as the exporter in vLLM does: one message at a time, each with what has come in since
// the last one.
type sender struct {
	client    *connect.Client[collectorpb.ExportTraceServiceRequest, collectorpb.ExportTraceServiceResponse]
	transport *http.Transport
	interval  time.Duration
	// batch is the spans of a message, bytes their size in it.
	batch, bytes int

	// acknowledged counts spans, messages the exports that they came in; took is their time in all, worst that of the slowest.
	acknowledged, messages int
	took, worst            time.Duration
}

func newSender(address string, rate float64, delay time.Duration) (*sender, error) {
	batch := min(fullBatch, int(rate*delay.Seconds()))
	if batch < 1 {
		return nil, fmt.Errorf("%g spans/s make no message in %s", rate, delay)
	}
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &p}
	s := &sender{transport: transport, batch: batch, interval: time.Duration(float64(batch) / rate * float64(time.Second))}
	s.client = connect.NewClient[collectorpb.ExportTraceServiceRequest, collectorpb.ExportTraceServiceResponse](
		&http.Client{Transport: transport, Timeout: 10 * time.Second}, "http://"+address+exportPath, connect.WithGRPC())
	s.bytes = proto.Size(spanOf(time.Now()))
	return s, nil
}

func (s *sender) close() { s.transport.CloseIdleConnections() }

func (s *sender) meanMS() float64 { return s.took.Seconds() * 1e3 / float64(max(1, s.messages)) }

// run exports until ctx ends. A message that is not taken is an error, and so is falling behind.
func (s *sender) run(ctx context.Context) error {
	began := time.Now()
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			if behind := time.Since(began) - time.Duration(s.messages+1)*s.interval; behind > 2*time.Second+s.interval {
				return fmt.Errorf("the sender fell %s behind: the machine is too slow for this rate", behind.Round(time.Millisecond))
			}
			return nil
		case <-ticker.C:
		}
		spans := make([]*tracepb.Span, s.batch)
		now := time.Now()
		for i := range spans {
			spans[i] = spanOf(now.Add(-time.Duration(rand.Int64N(int64(s.interval)))))
		}
		sent := time.Now()
		// What is on its way when the time is over is waited for: it counts.
		answer, err := s.client.CallUnary(context.WithoutCancel(ctx), connect.NewRequest(&collectorpb.ExportTraceServiceRequest{
			ResourceSpans: []*tracepb.ResourceSpans{{
				Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "unknown_service:python"), text("vllm.process_id", "4711"), text("vllm.instrumenting_module_name", "vllm.llm_engine")}},
				ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "vllm.tracing.otel"}, Spans: spans}},
			}},
		}))
		if err == nil && answer.Msg.GetPartialSuccess().GetRejectedSpans() > 0 {
			err = errors.New(answer.Msg.GetPartialSuccess().GetErrorMessage())
		}
		if err != nil {
			return fmt.Errorf("export %d: %w", n, err)
		}
		took := time.Since(sent)
		s.took, s.worst = s.took+took, max(s.worst, took)
		s.messages++
		s.acknowledged += s.batch
	}
}

// spanOf is a span as vLLM 0.32 sends it, of a request that ended then.
func spanOf(ended time.Time) *tracepb.Span {
	trace := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, rand.Uint64()|1), rand.Uint64())
	queue, prefill, decode := rand.ExpFloat64()*.01, .02+rand.ExpFloat64()*.05, rand.ExpFloat64()*.8
	total := .005 + queue + prefill + decode
	tokens := int64(2 + rand.IntN(200))
	return &tracepb.Span{
		TraceId: trace, SpanId: binary.BigEndian.AppendUint64(nil, rand.Uint64()|1), Name: "llm_request", Kind: tracepb.Span_SPAN_KIND_SERVER, Flags: 256,
		StartTimeUnixNano: uint64(ended.Add(-time.Duration(total * float64(time.Second))).UnixNano()), EndTimeUnixNano: uint64(ended.UnixNano()),
		Attributes: []*commonpb.KeyValue{
			double("gen_ai.latency.time_to_first_token", .005+queue+prefill), double("gen_ai.latency.e2e", total),
			double("gen_ai.latency.time_in_queue", queue), whole("gen_ai.usage.prompt_tokens", int64(10+rand.IntN(500))),
			whole("gen_ai.usage.completion_tokens", tokens), double("gen_ai.latency.time_in_model_prefill", prefill),
			double("gen_ai.latency.time_in_model_decode", decode), double("gen_ai.latency.time_in_model_inference", prefill+decode),
			text("gen_ai.request.id", fmt.Sprintf("cmpl-%016x%016x-0", rand.Uint64(), rand.Uint64())), double("gen_ai.request.top_p", 1),
			whole("gen_ai.request.max_tokens", tokens), double("gen_ai.request.temperature", .7), whole("gen_ai.request.n", 1),
		},
	}
}

func double(key string, v float64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v}}}
}

func whole(key string, v int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: v}}}
}

func text(key, v string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}}}
}
