package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// zipped packs a body and says so.
func zipped(t testing.TB, body string) (*bytes.Buffer, func(*http.Request)) {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &out, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }
}

// A transport is one way in which an exporter sends. It returns how many spans were rejected, and why.
type transport struct {
	name string
	send func(t *testing.T, base string, m *collectorpb.ExportTraceServiceRequest) (int64, string)
}

var transports = []transport{
	{"gRPC", overGRPC()},
	{"gRPC gzip", overGRPC(connect.WithSendGzip())},
	{"HTTP", func(t *testing.T, base string, m *collectorpb.ExportTraceServiceRequest) (int64, string) {
		return protoAnswer(t, post(t, base+TracesPath, "application/x-protobuf", strings.NewReader(encoded(t, m))))
	}},
	{"HTTP gzip", func(t *testing.T, base string, m *collectorpb.ExportTraceServiceRequest) (int64, string) {
		body, packed := zipped(t, encoded(t, m))
		return protoAnswer(t, post(t, base+TracesPath, "application/x-protobuf", body, packed))
	}},
	{"HTTP/2", func(t *testing.T, base string, m *collectorpb.ExportTraceServiceRequest) (int64, string) {
		r, err := client(t, true).Post(base+TracesPath, "application/x-protobuf", strings.NewReader(encoded(t, m)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		return protoAnswer(t, answered{r.StatusCode, r.Header, body.String()})
	}},
	{"JSON", func(t *testing.T, base string, m *collectorpb.ExportTraceServiceRequest) (int64, string) {
		return jsonAnswer(t, post(t, base+TracesPath, "application/json; charset=utf-8", strings.NewReader(asJSON(m))))
	}},
	{"JSON gzip", func(t *testing.T, base string, m *collectorpb.ExportTraceServiceRequest) (int64, string) {
		body, packed := zipped(t, asJSON(m))
		return jsonAnswer(t, post(t, base+TracesPath, "application/json", body, packed))
	}},
}

func overGRPC(options ...connect.ClientOption) func(*testing.T, string, *collectorpb.ExportTraceServiceRequest) (int64, string) {
	return func(t *testing.T, base string, m *collectorpb.ExportTraceServiceRequest) (int64, string) {
		response, err := export(t, base, m, options...)
		if err != nil {
			t.Fatalf("export: %v", err)
		}
		return response.GetPartialSuccess().GetRejectedSpans(), response.GetPartialSuccess().GetErrorMessage()
	}
}

func protoAnswer(t *testing.T, a answered) (int64, string) {
	t.Helper()
	var response collectorpb.ExportTraceServiceResponse
	if err := proto.Unmarshal([]byte(a.body), &response); err != nil || a.status != http.StatusOK || a.header.Get("Content-Type") != "application/x-protobuf" {
		t.Fatalf("answered %d, %q, %q: %v", a.status, a.header.Get("Content-Type"), a.body, err)
	}
	return response.GetPartialSuccess().GetRejectedSpans(), response.GetPartialSuccess().GetErrorMessage()
}

func jsonAnswer(t *testing.T, a answered) (int64, string) {
	t.Helper()
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" {
		t.Fatalf("answered %d, %q, %q", a.status, a.header.Get("Content-Type"), a.body)
	}
	if a.body == "{}\n" {
		return 0, ""
	}
	_, rest, ok := strings.Cut(a.body, `"rejectedSpans":"`)
	if !ok {
		t.Fatalf("answered %q", a.body)
	}
	number, _, _ := strings.Cut(rest, `"`)
	return int64(len(number) * int(number[0]-'0')), a.body
}

// wanted is the row of served(0).
func wanted() Request {
	return Request{
		Source: FromSpan, Key: "00000000000000000000000000000001-0000000000000001-" + fmt.Sprintf("%x", noon.Add(-time.Second).UnixNano()), ID: "cmpl-a0-0", Response: "cmpl-a0",
		FinishedAt: noon.Add(-time.Second), Queue: watchdog.Known(0.001), Prefill: watchdog.Known(0.02), Decode: watchdog.Known(0.4),
		Total: watchdog.Known(0.5), TTFT: watchdog.Known(0.025), TPOT: watchdog.Known(0.01), TPS: watchdog.Known(82.0),
		PromptTokens: watchdog.Known(int64(60)), OutputTokens: watchdog.Known(int64(41)),
	}
}

// A batch with good, broken, foreign and loading spans means the same by every way.
func TestTransports(t *testing.T) {
	mixed := exported(
		served(0),
		served(1, with("gen_ai.usage.completion_tokens", textValue("many"))),
		&tracepb.Span{TraceId: id(strings.Repeat("ab", 16)), SpanId: id("0102030405060708"), Name: "GET /v1/models", EndTimeUnixNano: uint64(noon.UnixNano())},
		served(2),
		served(3, func(s *tracepb.Span) { s.SpanId = nil }),
		loading("Load model", 1, 0, noon.Add(-time.Minute), time.Second),
	)
	for _, way := range transports {
		t.Run(way.name, func(t *testing.T) {
			sink := &kept{}
			s, base := taking(t, sink)
			rejected, why := way.send(t, base, mixed)
			if rejected != 2 || !strings.Contains(why, "2 of 6 spans") || !strings.Contains(why, "gen_ai.usage.completion_tokens") {
				t.Errorf("%d spans were rejected: %q", rejected, why)
			}
			if diff := cmp.Diff(wanted(), sink.requests["span"+wanted().Key]); diff != "" || len(sink.requests) != 2 {
				t.Errorf("%d requests were kept; the first (-want +got):\n%s", len(sink.requests), diff)
			}
			if p := sink.phasesNamed("Load model"); len(p) != 1 || p[0].Seconds != 1 || p[0].Process != "worker" || len(sink.phases) != 1 {
				t.Errorf("the phases are %+v", sink.phases)
			}
			want := Counts{Rows: 2, Kept: 2, Phases: 1, PassedOver: 1, Rejected: 2}
			if got := s.Counts(); got != want || activity(s) != 2 {
				t.Errorf("counted %+v, want %+v; activity %d", got, want, activity(s))
			}
			if rejected, why := way.send(t, base, exported()); rejected != 0 || why != "" {
				t.Errorf("of an empty batch %d spans were rejected: %q", rejected, why)
			}
		})
	}
}

// Only what the Sink has made durable is acknowledged.
func TestAcknowledgement(t *testing.T) {
	t.Run("waits for the sink", func(t *testing.T) {
		for _, way := range transports {
			reached, release := make(chan struct{}), make(chan struct{})
			sink := &kept{before: func(context.Context, Batch) error {
				reached <- struct{}{}
				<-release
				return nil
			}}
			_, base := taking(t, sink)
			done := make(chan struct{})
			go func() {
				defer close(done)
				way.send(t, base, exported(served(0)))
			}()
			<-reached
			select {
			case <-done:
				t.Fatalf("%s: acknowledged before the sink had it", way.name)
			case <-time.After(20 * time.Millisecond):
			}
			close(release)
			<-done
		}
	})
	for _, failure := range []struct {
		name  string
		err   error
		retry string
	}{
		{"sink is full", ErrBusy, "1"},
		{"sink is broken", errors.New("disk I/O error: /secret/path"), "5"},
	} {
		t.Run(failure.name, func(t *testing.T) {
			s, base := taking(t, &kept{before: func(context.Context, Batch) error { return failure.err }})
			_, err := export(t, base, exported(served(0)))
			if connect.CodeOf(err) != connect.CodeUnavailable || strings.Contains(err.Error(), "secret") {
				t.Errorf("gRPC: %v", err)
			}
			for path, body := range map[string]string{TracesPath: asJSON(exported(served(0))), RowsPath: `{"requests": [` + goodRow + `]}`} {
				a := post(t, base+path, "application/json", strings.NewReader(body))
				if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != failure.retry || strings.Contains(a.body, "secret") || !strings.Contains(a.body, "again") {
					t.Errorf("%s: answered %d, Retry-After %q, %q", path, a.status, a.header.Get("Retry-After"), a.body)
				}
			}
			if want := (Counts{Rows: 3, FailedBatches: 3, Refused: 3}); s.Counts() != want {
				t.Errorf("counted %+v, want %+v", s.Counts(), want)
			}
			if activity(s) != 3 {
				t.Errorf("three requests were served, and activity is %d", activity(s))
			}
		})
	}
}

// What is sent twice bears the same key, and a long message is handed on in batches that are all safe before it is
// acknowledged.
func TestLongMessagesAndRepetition(t *testing.T) {
	sink := &kept{before: func(_ context.Context, b Batch) error {
		if len(b.Requests) > batchRows {
			return errors.New("too many at once")
		}
		return nil
	}}
	s, base := taking(t, sink)
	spans := many(3*batchRows + 100)
	for range 2 {
		if _, err := export(t, base, exported(spans...)); err != nil {
			t.Fatal(err)
		}
	}
	if sink.count() != len(spans) || sink.adds != 8 || activity(s) != uint64(2*len(spans)) {
		t.Errorf("%d of %d rows were kept in %d batches, activity %d", sink.count(), len(spans), sink.adds, activity(s))
	}

	failsLate := &kept{}
	failsLate.before = func(context.Context, Batch) error {
		if failsLate.count() >= 2*batchRows {
			return ErrBusy
		}
		return nil
	}
	_, base = taking(t, failsLate)
	if _, err := export(t, base, exported(spans...)); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("the last batch of a message was not kept, and the answer is %v", err)
	}
}

// An engine that is one process with its worker gives the same ids after every start; its requests are still others.
func TestIDsThatComeAgain(t *testing.T) {
	sink := &kept{}
	_, base := taking(t, sink)
	later := func(s *tracepb.Span) { s.EndTimeUnixNano += uint64(time.Millisecond) }
	for _, s := range []*tracepb.Span{served(0), served(0, later), served(0), served(0, later)} {
		if _, err := export(t, base, exported(s)); err != nil {
			t.Fatal(err)
		}
	}
	if sink.count() != 2 {
		t.Errorf("two requests with the same ids, each sent twice, are %d", sink.count())
	}
}
