package ingest

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

// noon is the time of every test that needs one.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// kept is a Sink that keeps each key once, in memory.
type kept struct {
	mu       sync.Mutex
	requests map[string]Request
	labels   []Labels
	phases   map[string]Phase
	adds     int
	// before is called before anything is kept; an error of it is that of Add.
	before func(context.Context, Batch) error
}

func (k *kept) Add(ctx context.Context, b Batch) error {
	if k.before != nil {
		if err := k.before(ctx, b); err != nil {
			return err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.requests == nil {
		k.requests, k.phases = map[string]Request{}, map[string]Phase{}
	}
	k.adds++
	for _, r := range b.Requests {
		k.requests[string(r.Source)+r.Key] = r
	}
	k.labels = append(k.labels, b.Labels...)
	for _, p := range b.Phases {
		k.phases[p.Key] = p
	}
	return nil
}

// phasesNamed returns the phases of a name.
func (k *kept) phasesNamed(name string) (named []Phase) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.phases {
		if p.Name == name {
			named = append(named, p)
		}
	}
	return named
}

func (k *kept) count() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.requests)
}

// taking starts a server and returns it with the address of its root.
func taking(t testing.TB, sink Sink, change ...func(*Config)) (*Server, string) {
	t.Helper()
	c := Config{Listen: "127.0.0.1:0", Sink: sink, Now: func() time.Time { return noon }}
	for _, f := range change {
		f(&c)
	}
	s := New(c)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	eventually.Holds(t, "the server listens", func() bool { return s.Address() != "" })
	return s, "http://" + s.Address()
}

// client speaks HTTP/1.1, or with h2 HTTP/2 without encryption.
func client(t testing.TB, h2 bool) *http.Client {
	t.Helper()
	var p http.Protocols
	p.SetHTTP1(!h2)
	p.SetUnencryptedHTTP2(h2)
	transport := &http.Transport{Protocols: &p, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// answered is what came back.
type answered struct {
	status int
	header http.Header
	body   string
}

func post(t testing.TB, url, kind string, body io.Reader, change ...func(*http.Request)) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	for _, f := range change {
		f(r)
	}
	response, err := client(t, false).Do(r)
	if err != nil {
		t.Fatalf("post to %s: %v", url, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("post to %s: %v", url, err)
	}
	return answered{response.StatusCode, response.Header, string(text)}
}

// export sends spans by somebody else's gRPC client.
func export(t testing.TB, base string, m *collectorpb.ExportTraceServiceRequest, options ...connect.ClientOption) (*collectorpb.ExportTraceServiceResponse, error) {
	t.Helper()
	c := connect.NewClient[collectorpb.ExportTraceServiceRequest, collectorpb.ExportTraceServiceResponse](
		client(t, true), base+ExportPath, append(options, connect.WithGRPC())...)
	response, err := c.CallUnary(t.Context(), connect.NewRequest(m))
	if err != nil {
		return nil, err
	}
	return response.Msg, nil
}

// served is a request span as vLLM 0.32 sends it, number i of a trace of its own.
func served(i int, change ...func(*tracepb.Span)) *tracepb.Span {
	s := &tracepb.Span{
		TraceId: id(fmt.Sprintf("%032x", i+1)), SpanId: id(fmt.Sprintf("%016x", i+1)), Name: "llm_request", Kind: tracepb.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: uint64(noon.Add(-2 * time.Second).UnixNano()), EndTimeUnixNano: uint64(noon.Add(-time.Second).UnixNano()),
		Flags: 256,
		Attributes: []*commonpb.KeyValue{
			double("gen_ai.latency.time_to_first_token", 0.025), double("gen_ai.latency.e2e", 0.5),
			double("gen_ai.latency.time_in_queue", 0.001), integer("gen_ai.usage.prompt_tokens", 60),
			integer("gen_ai.usage.completion_tokens", 41), double("gen_ai.latency.time_in_model_prefill", 0.02),
			double("gen_ai.latency.time_in_model_decode", 0.4), double("gen_ai.latency.time_in_model_inference", 0.42),
			text("gen_ai.request.id", fmt.Sprintf("cmpl-a%d-0", i)), double("gen_ai.request.top_p", 1),
			integer("gen_ai.request.max_tokens", 3000), integer("gen_ai.request.n", 1),
		},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

// with replaces an attribute of a span; nil takes it away.
func with(key string, value *commonpb.AnyValue) func(*tracepb.Span) {
	return func(s *tracepb.Span) {
		attributes := []*commonpb.KeyValue{}
		for _, a := range s.Attributes {
			if a.Key != key {
				attributes = append(attributes, a)
			}
		}
		if value != nil {
			attributes = append(attributes, &commonpb.KeyValue{Key: key, Value: value})
		}
		s.Attributes = attributes
	}
}

// exported is a message with these spans under one resource.
func exported(spans ...*tracepb.Span) *collectorpb.ExportTraceServiceRequest {
	return &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: []*commonpb.KeyValue{text("service.name", "unknown_service:python"), text("vllm.process_kind", "worker")}},
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "vllm.tracing.otel"}, Spans: spans}},
	}}}
}

// many are n request spans.
func many(n int) []*tracepb.Span {
	spans := make([]*tracepb.Span, n)
	for i := range spans {
		spans[i] = served(i)
	}
	return spans
}

func encoded(t testing.TB, m proto.Message) string {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func double(key string, v float64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: doubleValue(v)}
}

func doubleValue(v float64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v}}
}

func integer(key string, v int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: integerValue(v)}
}

func integerValue(v int64) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: v}}
}

func text(key, v string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: textValue(v)}
}

func textValue(v string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}}
}

func id(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}

// asJSON writes a message as OTLP's JSON, whose ids are hexadecimal.
func asJSON(m *collectorpb.ExportTraceServiceRequest) string {
	attributes := func(kvs []*commonpb.KeyValue) string {
		var out []string
		for _, kv := range kvs {
			value := ""
			switch v := kv.Value.GetValue().(type) {
			case *commonpb.AnyValue_StringValue:
				value = fmt.Sprintf(`"stringValue": %q`, v.StringValue)
			case *commonpb.AnyValue_IntValue:
				value = fmt.Sprintf(`"intValue": "%d"`, v.IntValue)
			case *commonpb.AnyValue_DoubleValue:
				value = fmt.Sprintf(`"doubleValue": %v`, v.DoubleValue)
			}
			out = append(out, fmt.Sprintf(`{"key": %q, "value": {%s}}`, kv.Key, value))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	var resources []string
	for _, r := range m.ResourceSpans {
		var scopes []string
		for _, s := range r.ScopeSpans {
			var spans []string
			for _, sp := range s.Spans {
				spans = append(spans, fmt.Sprintf(`{"traceId": "%x", "spanId": "%x", "parentSpanId": "%x", "name": %q, "kind": %d, "startTimeUnixNano": "%d", "endTimeUnixNano": "%d", "attributes": %s, "status": {}, "flags": 256}`,
					sp.TraceId, sp.SpanId, sp.ParentSpanId, sp.Name, sp.Kind, sp.StartTimeUnixNano, sp.EndTimeUnixNano, attributes(sp.Attributes)))
			}
			scopes = append(scopes, fmt.Sprintf(`{"scope": {"name": %q}, "spans": [%s]}`, s.GetScope().GetName(), strings.Join(spans, ", ")))
		}
		resources = append(resources, fmt.Sprintf(`{"scopeSpans": [%s], "resource": {"attributes": %s}}`, strings.Join(scopes, ", "), attributes(r.GetResource().GetAttributes())))
	}
	return fmt.Sprintf(`{"resourceSpans": [%s]}`, strings.Join(resources, ", "))
}
