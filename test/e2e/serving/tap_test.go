package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const exportPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

func export(from, to int) *collectorpb.ExportTraceServiceRequest {
	var spans []*tracepb.Span
	for i := from; i < to; i++ {
		spans = append(spans, &tracepb.Span{
			Name: requestSpan, TraceId: bytes.Repeat([]byte{byte(i + 1)}, 16), SpanId: bytes.Repeat([]byte{1}, 8), EndTimeUnixNano: uint64(1000 + i),
			Attributes: []*commonpb.KeyValue{
				{Key: "gen_ai.request.id", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: fmt.Sprintf("cmpl-%d-0", i)}}},
				{Key: "gen_ai.latency.e2e", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: float64(i) / 3}}},
				{Key: "gen_ai.usage.completion_tokens", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(i)}}},
			},
		})
	}
	return &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}}}}}
}

// receiver takes exports of both protocols and says how many spans came.
func receiver(t *testing.T) (address string, taken func() int) {
	t.Helper()
	n := make(chan int, 100)
	mux := http.NewServeMux()
	mux.Handle(exportPath, connect.NewUnaryHandler(exportPath, func(_ context.Context, r *connect.Request[collectorpb.ExportTraceServiceRequest]) (*connect.Response[collectorpb.ExportTraceServiceResponse], error) {
		n <- len(r.Msg.ResourceSpans[0].ScopeSpans[0].Spans)
		return connect.NewResponse(&collectorpb.ExportTraceServiceResponse{}), nil
	}))
	mux.HandleFunc("/v1/traces", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		n <- 0
	})
	s := httptest.NewUnstartedServer(mux)
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	s.Config.Protocols = &both
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), func() int { return <-n }
}

// What passes the tap arrives whole, and is read from its bytes, each span once.
func TestTapReadsWhatItPasses(t *testing.T) {
	to, taken := receiver(t)
	tap, err := newTap(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer tap.close()
	var h2 http.Protocols
	h2.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &h2}
	defer transport.CloseIdleConnections()
	for _, options := range [][]connect.ClientOption{{connect.WithGRPC()}, {connect.WithGRPC(), connect.WithSendGzip()}} {
		c := connect.NewClient[collectorpb.ExportTraceServiceRequest, collectorpb.ExportTraceServiceResponse](&http.Client{Transport: transport}, "http://"+tap.address()+exportPath, options...)
		for _, part := range [][2]int{{0, 3}, {3, 120}} {
			if _, err := c.CallUnary(t.Context(), connect.NewRequest(export(part[0], part[1]))); err != nil {
				t.Fatal(err)
			}
			if n := taken(); n != part[1]-part[0] {
				t.Errorf("%d of %d spans arrived", n, part[1]-part[0])
			}
		}
	}
	body, err := proto.Marshal(export(120, 125))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(body)
	_ = z.Close()
	for _, one := range []struct {
		body   []byte
		header []string
	}{{body, nil}, {packed.Bytes(), []string{"Content-Encoding", "gzip"}}} {
		if status, _, err := send(t.Context(), "http://"+tap.address()+"/v1/traces", "application/x-protobuf", one.body, one.header...); err != nil || status != http.StatusOK {
			t.Fatal(status, err)
		}
		taken()
	}
	patient.CloseIdleConnections()
	spans, err := tap.spans()
	if err != nil || len(spans) != 125 {
		t.Fatalf("%d spans were read, %v", len(spans), err)
	}
	for _, s := range spans {
		i := int(s.end) - 1000
		if s.requestID != fmt.Sprintf("cmpl-%d-0", i) || s.number["gen_ai.latency.e2e"] != float64(i)/3 || s.number["gen_ai.usage.completion_tokens"] != float64(i) {
			t.Errorf("span %d was read as %+v", i, s)
		}
	}
}

// A message that is cut off is left out, and what came before it is read.
func TestTapLeavesOutWhatIsNotWhole(t *testing.T) {
	body, err := proto.Marshal(export(0, 7))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Appendf(nil, "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for cut := range len(text) {
		spans, err := spansIn(append(bytes.Clone(text), text[:cut]...))
		if err != nil || len(spans) != 7 {
			t.Fatalf("cut after %d of %d bytes: %d spans, %v", cut, len(text), len(spans), err)
		}
	}
}
