package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// loading is a span of a server's start, number i of its trace, within number parent; 0 is none.
func loading(name string, i, parent int, began time.Time, took time.Duration) *tracepb.Span {
	s := &tracepb.Span{
		TraceId: id(strings.Repeat("0b", 16)), SpanId: id(fmt.Sprintf("%016x", i)), Name: name, Kind: tracepb.Span_SPAN_KIND_INTERNAL,
		StartTimeUnixNano: uint64(began.UnixNano()), EndTimeUnixNano: uint64(began.Add(took).UnixNano()),
		Attributes: []*commonpb.KeyValue{text("code.function", "f"), text("code.namespace", "vllm.v1.engine.core"), text("code.lineno", "259")},
	}
	if parent != 0 {
		s.ParentSpanId = id(fmt.Sprintf("%016x", parent))
	}
	return s
}

// A start tells its phases in several messages: the parts before the whole, each process on its own.
func TestPhases(t *testing.T) {
	began := noon.Add(-2 * time.Minute)
	key := func(i int) string { return fmt.Sprintf("%s-%016x", strings.Repeat("0b", 16), i) }
	sink := &kept{}
	_, base := taking(t, sink)
	send := func(process string, spans ...*tracepb.Span) {
		m := exported(spans...)
		m.ResourceSpans[0].Resource = &resourcepb.Resource{}
		if process != "" {
			m.ResourceSpans[0].Resource.Attributes = []*commonpb.KeyValue{text("vllm.process_kind", process)}
		}
		if _, err := export(t, base, m); err != nil {
			t.Fatal(err)
		}
	}
	send("worker", loading("Load weights", 5, 4, began.Add(20*time.Second), 1500*time.Millisecond), loading("Load model", 4, 3, began.Add(19*time.Second), 3*time.Second))
	send("engine_core", loading("Executor init", 3, 2, began.Add(10*time.Second), 12*time.Second))
	send("", loading("AsyncMPClient init", 2, 1, began, 66*time.Second), loading("Overall Loading", 1, 0, began, 66*time.Second+time.Millisecond))

	trace := strings.Repeat("0b", 16)
	want := map[string]Phase{
		key(5): {Key: key(5), ParentKey: key(4), Name: "Load weights", Process: "worker", Began: began.Add(20 * time.Second), Seconds: 1.5, TraceID: trace, ParentName: "Load model"},
		key(4): {Key: key(4), ParentKey: key(3), Name: "Load model", Process: "worker", Began: began.Add(19 * time.Second), Seconds: 3, TraceID: trace},
		key(3): {Key: key(3), ParentKey: key(2), Name: "Executor init", Process: "engine_core", Began: began.Add(10 * time.Second), Seconds: 12, TraceID: trace},
		key(2): {Key: key(2), ParentKey: key(1), Name: "AsyncMPClient init", Began: began, Seconds: 66, TraceID: trace, ParentName: "Overall Loading"},
		key(1): {Key: key(1), Name: "Overall Loading", Began: began, Seconds: 66.001, TraceID: trace},
	}
	if diff := cmp.Diff(want, sink.phases); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if sink.count() != 0 {
		t.Errorf("%d requests were made of loading spans", sink.count())
	}
}

func TestWhatIsAPhase(t *testing.T) {
	began := noon.Add(-time.Minute)
	for _, c := range []struct {
		name   string
		change func(*tracepb.Span)
		phase  bool
		why    string
	}{
		{"as vLLM sends it", func(*tracepb.Span) {}, true, ""},
		{"the one without a namespace", func(s *tracepb.Span) { s.Attributes = []*commonpb.KeyValue{double("dynamo.time_seconds", 3)} }, true, ""},
		{"of another program", with("code.namespace", textValue("myapp.loader")), false, ""},
		{"without attributes", func(s *tracepb.Span) { s.Attributes = nil }, false, ""},
		{"before it began", func(s *tracepb.Span) { s.EndTimeUnixNano = s.StartTimeUnixNano - 1 }, false, "start is no time before its end"},
		{"without a start", func(s *tracepb.Span) { s.StartTimeUnixNano = 0 }, false, "start is no time before its end"},
		{"without a name", func(s *tracepb.Span) { s.Name = "" }, false, "name of 0 bytes"},
		{"with an endless name", func(s *tracepb.Span) { s.Name = strings.Repeat("x", 200) }, false, "name of 200 bytes"},
		{"with a parent that is none", func(s *tracepb.Span) { s.ParentSpanId = []byte("abc") }, false, "parent is not one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := loading("Load model", 4, 3, began, time.Second)
			c.change(s)
			batch, why := decoded(t, s)
			if (len(batch.Phases) == 1) != c.phase || !strings.Contains(why, c.why) || (c.why == "") != (why == "") {
				t.Errorf("%d phases, rejected for %q", len(batch.Phases), why)
			}
		})
	}
}
