package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protopath"
	"google.golang.org/protobuf/reflect/protorange"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// taken is what a decoder made of a body.
type taken struct {
	Batch
	Rows, Aborted, Phases, Passed, Rejected uint64
}

// take decodes a body of spans and bounds what that may cost.
func take(t *testing.T, body []byte, decode func(io.Reader, *message) error) (taken, error) {
	t.Helper()
	var all taken
	m := &message{now: noon, put: func(b Batch) error {
		if len(b.Requests) > batchRows || len(b.Phases) > maxPhases {
			t.Errorf("a batch of %d requests and %d phases", len(b.Requests), len(b.Phases))
		}
		all.Requests = append(all.Requests, b.Requests...)
		all.Batch.Phases = append(all.Batch.Phases, b.Phases...)
		return nil
	}}
	original := bytes.Clone(body)
	before := allocated()
	err := decode(bytes.NewReader(body), m)
	if grown := allocated() - before; grown > 1<<20+64*uint64(len(body)) {
		t.Errorf("%d bytes were allocated for a body of %d", grown, len(body))
	}
	if !bytes.Equal(body, original) {
		t.Error("the body was written to")
	}
	if err != nil {
		return taken{}, err
	}
	if err := m.flush(); err != nil {
		t.Error(err)
	}
	all.Rows, all.Aborted, all.Phases, all.Passed, all.Rejected = m.rows, m.aborted, m.phases, m.passed, m.rejected
	for _, r := range all.Requests {
		checkSane(t, r)
	}
	for _, p := range all.Batch.Phases {
		checkKey(t, p.Key)
		if p.Name == "" || !finite(p.Seconds, longest.Seconds()) || p.Began.Year() < 2000 || p.TraceID != p.Key[:32] {
			t.Errorf("a phase %+v", p)
		}
	}
	return all, nil
}

// checkSane checks that a row can be what it says.
func checkSane(t *testing.T, r Request) {
	t.Helper()
	latencies := []watchdog.Maybe[float64]{r.Queue, r.Prefill, r.Decode, r.Total, r.TTFT, r.TPOT}
	for i, d := range latencies {
		if !finite(d.Value, longest.Seconds()) || !d.Known && d.Value != 0 || d.Known && r.Aborted {
			t.Errorf("latency %d of %+v", i, r)
		}
	}
	if !finite(r.TPS.Value, maxTokens) {
		t.Errorf("TPS of %+v", r)
	}
	for _, n := range []watchdog.Maybe[int64]{r.PromptTokens, r.OutputTokens} {
		if n.Value < 0 || n.Value > maxTokens {
			t.Errorf("tokens of %+v", r)
		}
	}
	if r.Key == "" || len(r.ID) > maxID || len(r.Model) > maxID || !strings.Contains(r.ID, r.Response) || r.FinishedAt.Year() < 2000 ||
		r.FinishedAt.After(noon.Add(24*time.Hour)) || len(r.Labels) > maxLabels || strings.ToValidUTF8(r.ID+r.Model, "") != r.ID+r.Model {
		t.Errorf("row %+v", r)
	}
	if r.Source == FromSpan {
		key, end, _ := strings.Cut(r.Key[33:], "-")
		checkKey(t, r.Key[:33]+key)
		if end != strconv.FormatInt(r.FinishedAt.UnixNano(), 16) {
			t.Errorf("the key %q of what ended at %v", r.Key, r.FinishedAt)
		}
		if n := r.OutputTokens; r.TPOT.Known && (!r.Decode.Known || n.Value < 2 || math.Abs(r.TPOT.Value*float64(n.Value-1)-r.Decode.Value) > 1e-9*r.Decode.Value) {
			t.Errorf("TPOT of %+v", r)
		}
	}
}

func checkKey(t *testing.T, key string) {
	t.Helper()
	if len(key) != 49 || key[32] != '-' || strings.Trim(key, "0123456789abcdef-") != "" {
		t.Errorf("the key %q", key)
	}
}

func finite(v, most float64) bool { return v >= 0 && v <= most && !math.Signbit(v) }

// byGenerated decodes a message as the generated code does, and makes its rows.
func byGenerated(in *collectorpb.ExportTraceServiceRequest) taken {
	var all taken
	m := &message{now: noon, put: func(b Batch) error {
		all.Requests = append(all.Requests, b.Requests...)
		all.Batch.Phases = append(all.Batch.Phases, b.Phases...)
		return nil
	}}
	for _, resource := range in.ResourceSpans {
		m.beginResource()
		of := valuesOf(resource.GetResource().GetAttributes())
		m.resource(of[attrProcess].text)
		for _, scope := range resource.ScopeSpans {
			for _, s := range scope.Spans {
				_ = m.add(&span{traceID: s.TraceId, spanID: s.SpanId, parentID: s.ParentSpanId, name: []byte(s.Name),
					start: s.StartTimeUnixNano, end: s.EndTimeUnixNano, values: valuesOf(s.Attributes)})
			}
		}
		m.endResource()
	}
	_ = m.flush()
	all.Rows, all.Aborted, all.Phases, all.Passed, all.Rejected = m.rows, m.aborted, m.phases, m.passed, m.rejected
	return all
}

func valuesOf(attributes []*commonpb.KeyValue) (values [numAttributes]value) {
	for _, a := range attributes {
		var is value
		switch v := a.GetValue().GetValue().(type) {
		case nil:
		case *commonpb.AnyValue_StringValue:
			is = value{kind: isText, text: []byte(v.StringValue)}
		case *commonpb.AnyValue_IntValue:
			is = value{kind: isInteger, integer: v.IntValue}
		case *commonpb.AnyValue_DoubleValue:
			is = value{kind: isDouble, double: v.DoubleValue}
		default:
			is = value{kind: isOther}
		}
		if i := attributeOf([]byte(a.Key)); i != notRead {
			values[i] = is
		}
	}
	return values
}

// foreign says that a message holds fields that the generated code does not know.
func foreign(m proto.Message) bool {
	found := errors.New("found")
	return errors.Is(protorange.Range(m.ProtoReflect(), func(p protopath.Values) error {
		if v, ok := p.Index(-1).Value.Interface().(protoreflect.Message); ok && len(v.GetUnknown()) > 0 {
			return found
		}
		return nil
	}), found)
}

// FuzzProto: whatever comes, memory is bounded, and every row that is made can be what it says. What the generated code
// reads is read here, and is the same.
func FuzzProto(f *testing.F) {
	seeds := []*collectorpb.ExportTraceServiceRequest{
		exported(), exported(served(0)), exported(served(0, with("gen_ai.usage.completion_tokens", integerValue(0)))),
		exported(loading("Load model", 2, 1, noon.Add(-time.Hour), time.Second), loading("Overall Loading", 1, 0, noon.Add(-time.Hour), time.Minute)),
		exported(served(0, with("gen_ai.latency.e2e", doubleValue(math.NaN()))), served(1, with("gen_ai.request.id", textValue(strings.Repeat("x", 300))))),
	}
	for _, seed := range seeds {
		f.Add([]byte(encoded(f, seed)))
	}
	f.Add([]byte("\x0b\x0c"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := take(t, body, decodeProto)
		var reference collectorpb.ExportTraceServiceRequest
		if proto.Unmarshal(body, &reference) != nil {
			return
		}
		// Only groups, which OTLP does not have, are read by the generated code and refused here.
		if err != nil && !foreign(&reference) {
			t.Errorf("the generated code reads it, and here: %v", err)
		}
		want := byGenerated(&reference)
		if err == nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-generated +own):\n%s", diff)
			}
		}
		if got, err := take(t, []byte(encoded(t, &reference)), decodeProto); err == nil {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("written again (-generated +own):\n%s", diff)
			}
		}
	})
}

// FuzzJSON: the same for the other encoding, except that there is no second decoder to ask.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"resourceSpans": [{"resource": {"attributes": null}, "scopeSpans": [{"spans": [{}, null, 5]}], "x": [[{}]]}], "y": "\\\""}`))
	f.Add([]byte(asJSON(exported(served(0), loading("Load model", 2, 1, noon.Add(-time.Hour), time.Second)))))
	f.Add([]byte(strings.ReplaceAll(asJSON(exported(served(0))), `"doubleValue": 0.5`, `"doubleValue": "NaN"`)))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := take(t, body, decodeJSON)
		if err != nil {
			return
		}
		// Blanks between the parts of JSON mean nothing.
		if again, err := take(t, spaced(body), decodeJSON); err != nil || cmp.Diff(got, again) != "" {
			t.Errorf("with more blanks: %v\n%s", err, cmp.Diff(got, again))
		}
	})
}

// spaced puts a blank around every sign of JSON that stands outside of texts.
func spaced(body []byte) []byte {
	var out []byte
	inText := false
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case inText && c == '\\':
			out = append(out, c)
			i++
			c = body[i]
		case c == '"':
			inText = !inText
		case !inText && strings.IndexByte("{}[]:,", c) >= 0:
			out = append(out, ' ', c, '\n')
			continue
		}
		out = append(out, c)
	}
	return out
}

// FuzzRows: whatever is posted, memory is bounded, and it is refused with the place of the mistake, or every row of it can
// be what it says.
func FuzzRows(f *testing.F) {
	f.Add([]byte(`{"requests": [` + goodRow + `, {"request_id": "x", "labels": {"a": 1, "b": "\u00e4\ud800"}}]}`))
	f.Add([]byte(`{"requests": [` + changed("tps", "") + `,` + changed("n_tokens", "1e2") + `]}`))
	f.Add([]byte(`{"requests": [{"request_id": "x", "tps": NaN}]}`))
	f.Add([]byte(`{"requests": null, "requests": [ ]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		held := 0
		before := allocated()
		batch, err := decodeRows(bytes.NewReader(body), noon, func(n int) error { held += n; return nil })
		grown := allocated() - before
		if grown > 1<<20+64*uint64(len(body)) {
			t.Errorf("%d bytes were allocated for a body of %d", grown, len(body))
		}
		if err != nil {
			if r := refusalOf(err); r.status != 400 && r.status != 413 || len(r.text) > 600 || r.text == "" {
				t.Errorf("refused with %d, %q", r.status, r.text)
			}
			return
		}
		if least := (len(batch.Requests) + len(batch.Labels)) * rowCost; held < least {
			t.Errorf("%d bytes are called held for %d rows", held, len(batch.Requests)+len(batch.Labels))
		}
		for _, r := range batch.Requests {
			checkSane(t, r)
			if r.ID == "" || r.Key != r.ID || r.Aborted {
				t.Errorf("row %+v", r)
			}
		}
		for _, l := range batch.Labels {
			if l.ID == "" || len(l.ID) > maxID || len(l.Labels) == 0 || len(l.Labels) > maxLabels {
				t.Errorf("labels %+v", l)
			}
		}
		again, err := decodeRows(bytes.NewReader(spaced(body)), noon, func(int) error { return nil })
		if diff := cmp.Diff(batch, again); err != nil || diff != "" {
			t.Error(fmt.Errorf("with more blanks: %w", err), diff)
		}
	})
}
