package ingest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// decoded decodes spans, in both encodings where JSON can say them, and returns the rows and the reason of a rejection.
func decoded(t *testing.T, spans ...*tracepb.Span) (Batch, string) {
	t.Helper()
	run := func(decode func(*message) error) (Batch, string) {
		var all Batch
		m := &message{now: noon, put: func(b Batch) error {
			all.Requests = append(all.Requests, b.Requests...)
			all.Phases = append(all.Phases, b.Phases...)
			return nil
		}}
		if err := decode(m); err != nil {
			t.Fatal(err)
		}
		if err := m.flush(); err != nil {
			t.Fatal(err)
		}
		return all, m.reason
	}
	batch, why := run(func(m *message) error { return decodeProto(strings.NewReader(encoded(t, exported(spans...))), m) })
	text := asJSON(exported(spans...))
	for _, beyond := range []string{"NaN", "+Inf", "-Inf"} {
		text = strings.ReplaceAll(text, beyond, `"`+strings.Replace(strings.TrimPrefix(beyond, "+"), "Inf", "Infinity", 1)+`"`)
	}
	again, whyAgain := run(func(m *message) error { return decodeJSON(strings.NewReader(text), m) })
	if diff := cmp.Diff(batch, again); diff != "" || why != whyAgain {
		t.Errorf("JSON differs from protobuf (%q, %q):\n%s", why, whyAgain, diff)
	}
	return batch, why
}

func TestSpansBecomeRows(t *testing.T) {
	const e2e, prefill, decode, ttft, queue = "gen_ai.latency.e2e", "gen_ai.latency.time_in_model_prefill",
		"gen_ai.latency.time_in_model_decode", "gen_ai.latency.time_to_first_token", "gen_ai.latency.time_in_queue"
	const prompt, output, requestID = "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "gen_ai.request.id"
	unknown := watchdog.Maybe[float64]{}
	noLatencies := func(r *Request) {
		r.Queue, r.Prefill, r.Decode, r.Total, r.TTFT, r.TPOT, r.TPS = unknown, unknown, unknown, unknown, unknown, unknown, unknown
	}
	for _, c := range []struct {
		name   string
		change []func(*tracepb.Span)
		want   func(*Request)
	}{
		{"as vLLM sends it", nil, func(*Request) {}},
		{"one token has no TPOT", []func(*tracepb.Span){with(output, integerValue(1)), with(decode, doubleValue(0))},
			func(r *Request) {
				r.OutputTokens, r.Decode, r.TPOT, r.TPS = watchdog.Known(int64(1)), watchdog.Known(0.0), unknown, watchdog.Known(2.0)
			}},
		{"several tokens in one step", []func(*tracepb.Span){with(output, integerValue(3)), with(decode, doubleValue(0))},
			func(r *Request) {
				r.OutputTokens, r.Decode, r.TPOT, r.TPS = watchdog.Known(int64(3)), watchdog.Known(0.0), watchdog.Known(0.0), watchdog.Known(6.0)
			}},
		{"whole numbers of seconds", []func(*tracepb.Span){with(e2e, integerValue(1))},
			func(r *Request) { r.Total, r.TPS = watchdog.Known(1.0), watchdog.Known(41.0) }},
		{"aborted in the queue", []func(*tracepb.Span){with(output, integerValue(0)), with(ttft, doubleValue(1.5589)), with(e2e, doubleValue(1.5589)),
			with(queue, doubleValue(0)), with(prefill, doubleValue(2933.85)), with(decode, doubleValue(0))},
			func(r *Request) { noLatencies(r); r.OutputTokens, r.Aborted = watchdog.Known(int64(0)), true }},
		{"aborted, with negative differences", []func(*tracepb.Span){with(output, integerValue(0)), with(queue, doubleValue(-2933.85))},
			func(r *Request) { noLatencies(r); r.OutputTokens, r.Aborted = watchdog.Known(int64(0)), true }},
		{"prefill longer than the whole", []func(*tracepb.Span){with(prefill, doubleValue(0.501))},
			func(r *Request) { noLatencies(r); r.Aborted = true }},
		{"the clock was set back", []func(*tracepb.Span){with(e2e, doubleValue(-3599)), with(ttft, doubleValue(-3599.5))}, noLatencies},
		{"a negative part", []func(*tracepb.Span){with(queue, doubleValue(-0.5))}, noLatencies},
		{"a part far longer than the whole", []func(*tracepb.Span){with(decode, doubleValue(0.6))}, noLatencies},
		{"a part slightly longer, by the other clock", []func(*tracepb.Span){with(decode, doubleValue(0.501))},
			func(r *Request) { r.Decode, r.TPOT = watchdog.Known(0.501), watchdog.Known(0.501/40) }},
		{"the clock was set forward by years", []func(*tracepb.Span){with(e2e, doubleValue(1.7e9)), with(ttft, doubleValue(1.7e9))}, noLatencies},
		{"an engine of the first kind, without phases", []func(*tracepb.Span){with(prefill, nil), with(decode, nil), with("gen_ai.response.model", textValue("m"))},
			func(r *Request) { r.Prefill, r.Decode, r.TPOT, r.Model = unknown, unknown, unknown, "m" }},
		{"nothing but its end", []func(*tracepb.Span){func(s *tracepb.Span) { s.Attributes = nil }},
			func(r *Request) {
				noLatencies(r)
				r.ID, r.Response, r.PromptTokens, r.OutputTokens = "", "", watchdog.Maybe[int64]{}, watchdog.Maybe[int64]{}
			}},
		{"no end-to-end time", []func(*tracepb.Span){with(e2e, nil)}, func(r *Request) { r.Total, r.TPS = unknown, unknown }},
		{"no time passed", []func(*tracepb.Span){with(e2e, doubleValue(0)), with(prefill, nil), with(decode, nil), with(ttft, nil), with(queue, nil)},
			func(r *Request) { noLatencies(r); r.Total = watchdog.Known(0.0) }},
		{"another attribute of any kind", []func(*tracepb.Span){with("something.else", nil), with("something.else", textValue("ü"))}, func(*Request) {}},
		{"an attribute twice: the last counts", []func(*tracepb.Span){func(s *tracepb.Span) { s.Attributes = append(s.Attributes, integer(prompt, 7)) }},
			func(r *Request) { r.PromptTokens = watchdog.Known(int64(7)) }},
		{"an endless id is cut", []func(*tracepb.Span){with(requestID, textValue(strings.Repeat("x", 255)+"öx"))},
			func(r *Request) { r.ID = strings.Repeat("x", 255); r.Response = r.ID }},
		{"a child of the client's span", []func(*tracepb.Span){func(s *tracepb.Span) { s.ParentSpanId = id("b7ad6b7169203331") }}, func(*Request) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := wanted()
			c.want(&want)
			batch, why := decoded(t, served(0, c.change...))
			if diff := cmp.Diff([]Request{want}, batch.Requests); diff != "" || why != "" {
				t.Errorf("rejected for %q; (-want +got):\n%s", why, diff)
			}
		})
	}
}

func TestBrokenSpansAreRejected(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*tracepb.Span)
		why    string
	}{
		{"no trace id", func(s *tracepb.Span) { s.TraceId = nil }, "trace id"},
		{"half a trace id", func(s *tracepb.Span) { s.TraceId = s.TraceId[:8] }, "trace id"},
		{"a trace id of zeros", func(s *tracepb.Span) { s.TraceId = make([]byte, 16) }, "trace id"},
		{"no span id", func(s *tracepb.Span) { s.SpanId = nil }, "span id"},
		{"a span id of zeros", func(s *tracepb.Span) { s.SpanId = make([]byte, 8) }, "span id"},
		{"not ended", func(s *tracepb.Span) { s.EndTimeUnixNano = 0 }, "no time of its end"},
		{"ended beyond all time", func(s *tracepb.Span) { s.EndTimeUnixNano = math.MaxUint64 }, "no time of its end"},
		{"ended in 1970", func(s *tracepb.Span) { s.EndTimeUnixNano = 1e9 }, "before 2000"},
		{"will have ended", func(s *tracepb.Span) { s.EndTimeUnixNano = uint64(noon.Add(25 * time.Hour).UnixNano()) }, "future"},
		{"latency is a text", with("gen_ai.latency.e2e", textValue("0.5")), "gen_ai.latency.e2e is no finite"},
		{"latency is no number", with("gen_ai.latency.e2e", doubleValue(math.NaN())), "gen_ai.latency.e2e is no finite"},
		{"latency is infinite", with("gen_ai.latency.time_in_queue", doubleValue(math.Inf(1))), "time_in_queue is no finite"},
		{"latency is infinitely negative", with("gen_ai.latency.time_in_queue", doubleValue(math.Inf(-1))), "time_in_queue is no finite"},
		{"tokens are a text", with("gen_ai.usage.prompt_tokens", textValue("60")), "prompt_tokens is no number of tokens"},
		{"half a token", with("gen_ai.usage.completion_tokens", doubleValue(40.5)), "completion_tokens is no number of tokens"},
		{"fewer tokens than none", with("gen_ai.usage.completion_tokens", integerValue(-1)), "completion_tokens is no number of tokens"},
		{"more tokens than ever", with("gen_ai.usage.completion_tokens", integerValue(math.MaxInt64)), "completion_tokens is no number of tokens"},
		{"id is a number", with("gen_ai.request.id", integerValue(5)), "gen_ai.request.id is no text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			batch, why := decoded(t, served(0), served(1, c.change), served(2))
			if len(batch.Requests) != 2 || batch.Requests[0].ID != "cmpl-a0-0" || batch.Requests[1].ID != "cmpl-a2-0" {
				t.Errorf("the good ones did not come through: %+v", batch.Requests)
			}
			if !strings.Contains(why, c.why) {
				t.Errorf("rejected for %q, not for %q", why, c.why)
			}
		})
	}
}

func TestResponseID(t *testing.T) {
	for got, want := range map[string]string{
		"cmpl-a7a3a673b2c0c6de-0":    "cmpl-a7a3a673b2c0c6de",     // a completion
		"cmpl-a7a3a673b2c0c6de-11":   "cmpl-a7a3a673b2c0c6de",     // the twelfth prompt of one body
		"cmpl-my-own-id-1-0":         "cmpl-my-own-id-1",          // with the client's X-Request-Id
		"chatcmpl-881a39eb9e56ea32":  "chatcmpl-881a39eb9e56ea32", // a chat
		"chatcmpl-881a39eb9e56-32":   "chatcmpl-881a39eb9e56-32",
		"1_cmpl-193d6d2c00aa4e93-0":  "cmpl-193d6d2c00aa4e93", // the second of n = 2, up to 0.12
		"10_chatcmpl-193d6d2c00aa4e": "chatcmpl-193d6d2c00aa4e",
		"1_something-0":              "1_something-0",
		"cmpl-0":                     "cmpl-0",
		"cmpl--0":                    "cmpl--0",
		"cmpl-x-":                    "cmpl-x-",
		"7":                          "7", // offline
		"":                           "",
	} {
		if id := responseID(got); id != want {
			t.Errorf("the response of %q is %q, want %q", got, id, want)
		}
	}
}
