package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// goodRow has every field of a posted row.
const goodRow = `{"request_id": "r-1", "model": "m", "finished_at": "2026-11-24T20:59:59.5+09:00", "queue_time_ms": 1, "prefill_time_ms": 20.5,
	"decode_time_ms": 400, "total_time_ms": 500, "ttft_ms": 25, "prompt_tokens": 60, "n_tokens": 41, "tpot_ms": 9.9, "tps": 80,
	"labels": {"restaurant_id": 12, "analysis_type": "감성"}}`

// changed replaces a field of goodRow by what stands for it in JSON; an empty text takes it away.
func changed(field, value string) string {
	var row map[string]json.RawMessage
	if err := json.Unmarshal([]byte(goodRow), &row); err != nil {
		panic(err)
	}
	if value == "" {
		delete(row, field)
	} else {
		row[field] = json.RawMessage(`"@"`)
	}
	out, err := json.Marshal(row)
	if err != nil {
		panic(err)
	}
	return strings.Replace(string(out), `"@"`, value, 1)
}

func postedRow() Request {
	return Request{
		Source: FromPost, Key: "r-1", ID: "r-1", Response: "r-1", Model: "m", FinishedAt: noon.Add(-500 * time.Millisecond),
		Queue: watchdog.Known(0.001), Prefill: watchdog.Known(0.0205), Decode: watchdog.Known(0.4), Total: watchdog.Known(0.5),
		TTFT: watchdog.Known(0.025), TPOT: watchdog.Known(0.0099), TPS: watchdog.Known(80.0),
		PromptTokens: watchdog.Known(int64(60)), OutputTokens: watchdog.Known(int64(41)),
		Labels: map[string]string{"restaurant_id": "12", "analysis_type": "감성"},
	}
}

func TestPostedRows(t *testing.T) {
	unknown := watchdog.Maybe[float64]{}
	for _, c := range []struct {
		name string
		row  string
		want func(*Request)
	}{
		{"every field", goodRow, func(*Request) {}},
		{"TPOT from decode and tokens", changed("tpot_ms", ""), func(r *Request) { r.TPOT = watchdog.Known(0.01) }},
		{"TPS from tokens and total", changed("tps", "null"), func(r *Request) { r.TPS = watchdog.Known(82.0) }},
		{"dated by its coming", changed("finished_at", ""), func(r *Request) { r.FinishedAt = noon }},
		{"no model, queue, TTFT, prompt", strings.NewReplacer(`"model": "m",`, "", `"queue_time_ms": 1,`, "", `"ttft_ms": 25,`, "", `"prompt_tokens": 60,`, "").Replace(goodRow),
			func(r *Request) {
				r.Model, r.Queue, r.TTFT, r.PromptTokens = "", unknown, unknown, watchdog.Maybe[int64]{}
			}},
		{"tokens as Python writes a float", changed("n_tokens", "41.0"), func(*Request) {}},
		{"no labels", changed("labels", "null"), func(r *Request) { r.Labels = nil }},
		{"a label with a long number", changed("labels", `{"x": 1e400, "y": -0.10}`), func(r *Request) { r.Labels = map[string]string{"x": "1e400", "y": "-0.10"} }},
		{"nothing measured", `{"request_id": "r-1", "prefill_time_ms": null, "decode_time_ms": null, "total_time_ms": null, "n_tokens": null}`, func(r *Request) {
			*r = Request{Source: FromPost, Key: "r-1", ID: "r-1", Response: "r-1", FinishedAt: noon}
		}},
		{"one token", `{"request_id": "r-1", "prefill_time_ms": 20.5, "decode_time_ms": 0, "total_time_ms": 0, "n_tokens": 1}`, func(r *Request) {
			*r = Request{Source: FromPost, Key: "r-1", ID: "r-1", Response: "r-1", FinishedAt: noon, Prefill: watchdog.Known(0.0205),
				Decode: watchdog.Known(0.0), Total: watchdog.Known(0.0), OutputTokens: watchdog.Known(int64(1))}
		}},
		{"minus nothing", changed("queue_time_ms", "-0.0"), func(r *Request) { r.Queue = watchdog.Known(0.0) }},
		{"an id like one of vLLM's", changed("request_id", `"cmpl-abc-0"`), func(r *Request) { r.Key, r.ID, r.Response = "cmpl-abc-0", "cmpl-abc-0", "cmpl-abc-0" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := postedRow()
			c.want(&want)
			sink := &kept{}
			s, base := taking(t, sink)
			a := post(t, base+RowsPath, "application/json", strings.NewReader(`{"requests": [`+c.row+`]}`))
			if a.status != http.StatusOK || a.body != "{\"accepted\":1}\n" || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("answered %d, %q", a.status, a.body)
			}
			if diff := cmp.Diff(want, sink.requests["post"+want.Key]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if activity(s) != 1 {
				t.Errorf("activity is %d", activity(s))
			}
		})
	}
}

func TestLabelRows(t *testing.T) {
	sink := &kept{}
	s, base := taking(t, sink)
	body, packed := zipped(t, `{"requests": [{"labels": {"restaurant_id": 7}, "request_id": "cmpl-1"}, `+goodRow+`, {"request_id": "cmpl-2", "labels": {"a": "b"}}]}`)
	a := post(t, base+RowsPath, "application/json", body, packed)
	if a.status != http.StatusOK || a.body != "{\"accepted\":3}\n" || activity(s) != 1 {
		t.Errorf("answered %d, %q, activity %d", a.status, a.body, activity(s))
	}
	want := []Labels{{ID: "cmpl-1", Labels: map[string]string{"restaurant_id": "7"}}, {ID: "cmpl-2", Labels: map[string]string{"a": "b"}}}
	if diff := cmp.Diff(want, sink.labels); diff != "" || sink.count() != 1 {
		t.Errorf("%d requests, (-want +got):\n%s", sink.count(), diff)
	}
	if a := post(t, base+RowsPath, "application/json", strings.NewReader(`{"requests": []}`)); a.status != http.StatusOK || a.body != "{\"accepted\":0}\n" || sink.adds != 1 {
		t.Errorf("for no rows answered %d, %q, and the sink was asked %d times", a.status, a.body, sink.adds)
	}
}

// A wrong row is named, with its field, and none of its message is taken.
func TestWrongRows(t *testing.T) {
	labels := make([]string, maxLabels+1)
	for i := range labels {
		labels[i] = fmt.Sprintf(`"l%d": 1`, i)
	}
	for _, c := range []struct{ name, row, field, why string }{
		{"no id", changed("request_id", ""), "request_id", "is missing"},
		{"empty id", changed("request_id", `""`), "request_id", "is empty"},
		{"id null", changed("request_id", "null"), "request_id", "is null, where a text belongs"},
		{"id is a number", changed("request_id", "17"), "request_id", "is the number 17, where a text belongs"},
		{"endless id", changed("request_id", `"`+strings.Repeat("x", 257)+`"`), "request_id", "257 bytes long, more than 256"},
		{"model is an object", changed("model", "{}"), "model", "is an object, where a text belongs"},
		{"prefill missing", changed("prefill_time_ms", ""), "prefill_time_ms", "is missing; write null"},
		{"decode missing", changed("decode_time_ms", ""), "decode_time_ms", "is missing"},
		{"total missing", changed("total_time_ms", ""), "total_time_ms", "is missing"},
		{"tokens missing", changed("n_tokens", ""), "n_tokens", "is missing"},
		{"neither measures nor labels", `{"request_id": "x"}`, "prefill_time_ms", "a row without measures has labels"},
		{"no measures and empty labels", `{"request_id": "x", "labels": {}}`, "prefill_time_ms", "has labels"},
		{"duration is a text", changed("total_time_ms", `"500"`), "total_time_ms", `is the text "500", where a number belongs`},
		{"duration is true", changed("total_time_ms", `true`), "total_time_ms", "is true, where a number belongs"},
		{"duration is an array", changed("total_time_ms", `[1]`), "total_time_ms", "is an array, where a number belongs"},
		{"negative duration", changed("queue_time_ms", `-0.001`), "queue_time_ms", "is -0.001, less than 0"},
		{"infinite duration", changed("ttft_ms", `1e999`), "ttft_ms", "is 1e999, more than"},
		{"NaN", changed("tpot_ms", `NaN`), "tpot_ms", "write null"},
		{"a point in time, as the wrong example stores it", changed("prefill_time_ms", `1795500929878.7`), "prefill_time_ms", "a point in time is no duration"},
		{"Infinity behind labels", `{"labels": {"a": "b", "c": 1}, "request_id": "x", "tps": -Infinity}`, "tps", "write null"},
		{"NaN in labels", `{"request_id": "x", "labels": {"a": NaN}, "tps": 1}`, "labels", "write null"},
		{"half a token", changed("n_tokens", `40.5`), "n_tokens", "no whole number"},
		{"fewer tokens than none", changed("prompt_tokens", `-1`), "prompt_tokens", "less than 0"},
		{"more tokens than ever", changed("n_tokens", `1e12`), "n_tokens", "more than"},
		{"impossible rate", changed("tps", `1e12`), "tps", "more than"},
		{"no time", changed("finished_at", `"yesterday"`), "finished_at", `is the text "yesterday", where a time like`},
		{"time without a zone", changed("finished_at", `"2026-11-24T12:00:00"`), "finished_at", "where a time like"},
		{"time as a number", changed("finished_at", `1795500929`), "finished_at", "where a time like"},
		{"will have ended", changed("finished_at", `"2026-11-26T12:00:00Z"`), "finished_at", "in the future"},
		{"ended long ago", changed("finished_at", `"1999-11-26T12:00:00Z"`), "finished_at", "before 2000"},
		{"unknown field", changed("restaurant_id", `5`), "restaurant_id", "belongs into labels"},
		{"labels are an array", changed("labels", `["a"]`), "labels", "is an array, where an object belongs"},
		{"label is null", changed("labels", `{"a": null}`), "labels.a", "is null, where a text or a number belongs"},
		{"label is an object", changed("labels", `{"a": {}}`), "labels.a", "is an object"},
		{"label without a name", changed("labels", `{"": 1}`), "labels", "name of 0 bytes"},
		{"label with an endless name", changed("labels", `{"`+strings.Repeat("n", 65)+`": 1}`), "labels", "name of 65 bytes"},
		{"endless label", changed("labels", `{"a": "`+strings.Repeat("n", 257)+`"}`), "labels.a", "257 bytes long"},
		{"too many labels", changed("labels", "{"+strings.Join(labels, ",")+"}"), "labels", "are more than 16"},
		{"row is a text", `"r-1"`, "", `is the text "r-1", where an object belongs`},
		{"row is null", `null`, "", "is null, where an object belongs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := &kept{}
			s, base := taking(t, sink)
			a := post(t, base+RowsPath, "application/json", strings.NewReader(`{"requests": [`+goodRow+`,`+goodRow+`,`+c.row+`]}`))
			var said struct {
				Error string
				Row   *int
				Field string
			}
			if err := json.Unmarshal([]byte(a.body), &said); err != nil || a.status != http.StatusBadRequest {
				t.Fatalf("answered %d, %q: %v", a.status, a.body, err)
			}
			if said.Row == nil || *said.Row != 2 || said.Field != c.field || !strings.Contains(said.Error, "row 2") ||
				!strings.Contains(said.Error, c.field) || !strings.Contains(said.Error, c.why) {
				t.Errorf("said %q, want row 2, %q, %q", a.body, c.field, c.why)
			}
			if sink.count() != 0 || activity(s) != 0 {
				t.Errorf("%d rows of a wrong message were kept, activity %d", sink.count(), activity(s))
			}
		})
	}
}

func TestWrongBodies(t *testing.T) {
	_, base := taking(t, &kept{before: func(context.Context, Batch) error { t.Error("a wrong body reached the sink"); return nil }})
	for _, c := range []struct{ path, body, why string }{
		{RowsPath, ``, "ends in the middle"},
		{RowsPath, `{}`, "no key \\\"requests\\\""},
		{RowsPath, `[]`, "the body is an array, where an object belongs"},
		{RowsPath, `{"requests": {}}`, "requests is an object, where an array belongs"},
		{RowsPath, `{"rows": []}`, "the key \\\"rows\\\", which is not known"},
		{RowsPath, `{"requests": [` + goodRow + `]`, "ends in the middle"},
		{RowsPath, `{"requests": [` + goodRow + `]} x`, "no JSON near byte"},
		{RowsPath, `{"requests": [` + goodRow + `]} {}`, "something follows behind the JSON"},
		{RowsPath, `{"requests": [` + goodRow + ` ` + goodRow + `]}`, "no JSON near byte"},
		{RowsPath, `request_id=1`, "no JSON near byte 1"},
		{TracesPath, ``, "ends in the middle"},
		{TracesPath, `[]`, "the body is an array, where an object belongs"},
		{TracesPath, `{"resourceSpans": 5}`, "resourceSpans is the number 5, where an array belongs"},
		{TracesPath, `{"resourceSpans": [[]]}`, "an element of resourceSpans is an array"},
		{TracesPath, `{"resourceSpans": [{"scopeSpans": {}}]}`, "scopeSpans is an object, where an array belongs"},
		{TracesPath, `{"resourceSpans": [{"scopeSpans": [{"spans": true}]}]}`, "spans is true, where an array belongs"},
		{TracesPath, `{"resourceSpans": [{"resource": {"attributes": 5}}]}`, "attributes is the number 5"},
		{TracesPath, `{"resourceSpans": [{"resource": 5}]}`, "a resource is the number 5"},
		{TracesPath, `{"resourceSpans": [`, "ends in the middle"},
		{TracesPath, `{"resourceSpans": [] ]`, "no JSON near byte"},
		{TracesPath, `{"resourceSpans": []} 1`, "something follows"},
	} {
		a := post(t, base+c.path, "application/json", strings.NewReader(c.body))
		if a.status != http.StatusBadRequest || !strings.Contains(a.body, c.why) {
			t.Errorf("%s %s: answered %d, %q, want %q", c.path, c.body, a.status, a.body, c.why)
		}
	}
}

// Spans of wrong types in good JSON are rejected one by one.
func TestWrongSpansInJSON(t *testing.T) {
	good := strings.TrimSuffix(strings.TrimPrefix(asJSON(exported(served(0))), `{"resourceSpans": [`), `]}`)
	_, span, _ := strings.Cut(good, `"spans": [`)
	span, _, _ = strings.Cut(span, `]}], "resource"`)
	for _, c := range []struct{ from, to, why string }{
		{`"traceId": "`, `"traceId": "zz`, "where an id in hexadecimal belongs"},
		{`"spanId": "0000000000000001"`, `"spanId": 1`, "spanId is the number 1, where a text belongs"},
		{`"name": "llm_request"`, `"name": 5`, "name is the number 5"},
		{`"endTimeUnixNano": "`, `"endTimeUnixNano": "-`, "where a number of nanoseconds belongs"},
		{`"intValue": "41"`, `"intValue": "41.5"`, "where an integer belongs"},
		{`"doubleValue": 0.5`, `"doubleValue": {}`, "doubleValue is an object, where a number belongs"},
		{`"attributes": [`, `"attributes": [5, `, "an attribute is the number 5"},
		{`"attributes": [`, `"attributes": {}, "x": [`, "attributes is an object, where an array belongs"},
		{`{"traceId"`, `7, {"traceId"`, "a span is the number 7"},
		{`{"traceId"`, `{}, {"traceId"`, ""},
	} {
		broken := strings.Replace(span, c.from, c.to, 1)
		if broken == span {
			t.Fatalf("%q is not in %s", c.from, span)
		}
		sink := &kept{}
		m := &message{now: noon, put: func(b Batch) error { return sink.Add(t.Context(), b) }}
		err := decodeJSON(strings.NewReader(`{"resourceSpans": [{"scopeSpans": [{"spans": [`+broken+`, `+strings.Replace(span, `"spanId": "0000000000000001"`, `"spanId": "0000000000000002"`, 1)+`]}]}]}`), m)
		if err == nil {
			err = m.flush()
		}
		if err != nil || sink.count() == 0 {
			t.Errorf("%s: %v, %d kept", c.to, err, sink.count())
		}
		if c.why == "" && m.passed == 1 {
			continue // an empty span is of no kind
		}
		if m.rejected != 1 || !strings.Contains(m.reason, c.why) {
			t.Errorf("%s: %d rejected for %q, want %q", c.to, m.rejected, m.reason, c.why)
		}
	}
}

// Rows that were held back, or are sent again for ever, tell of no work now, and labels of none at all; they are kept all the same.
func TestRowsOfLongAgoAreNoActivity(t *testing.T) {
	sink := &kept{}
	s, base := taking(t, sink)
	for i, ended := range []time.Duration{time.Hour, recent, recent - 10*time.Second} {
		row := fmt.Sprintf(`{"requests": [{"request_id": "r%d", "prefill_time_ms": 1, "decode_time_ms": 2, "total_time_ms": 3, "n_tokens": 4, "finished_at": %q}]}`,
			i, noon.Add(-ended).Format(time.RFC3339))
		if a := post(t, base+RowsPath, "application/json", strings.NewReader(row)); a.status != http.StatusOK {
			t.Fatalf("row %d: %+v", i, a)
		}
	}
	if activity(s) != 1 || sink.count() != 3 {
		t.Errorf("activity %d, want 1; %d rows kept, want 3", activity(s), sink.count())
	}
}

// activity is how many rows the next look will be told of.
func activity(s *Server) uint64 {
	w := &s.counts.worked
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rows
}

// Each look is told of the rows since the one before it, and of the largest among them, if all say how large they are.
func TestActivityTellsTheLargestRow(t *testing.T) {
	s, base := taking(t, &kept{})
	unknown := watchdog.Maybe[float64]{}
	for i, c := range []struct {
		rows           []string
		prompt, output watchdog.Maybe[float64]
	}{
		{nil, unknown, unknown},
		{[]string{`"prompt_tokens": 7, "n_tokens": 1`}, watchdog.Known(7.), watchdog.Known(1.)},
		{[]string{`"prompt_tokens": 3, "n_tokens": 90`, `"prompt_tokens": 70, "n_tokens": 1`}, watchdog.Known(70.), watchdog.Known(90.)},
		{[]string{`"prompt_tokens": 3, "n_tokens": 4`, `"n_tokens": 1`, `"prompt_tokens": 1, "n_tokens": 2`}, unknown, watchdog.Known(4.)},
		{[]string{`"n_tokens": 1`, `"prompt_tokens": 7, "n_tokens": 1`}, unknown, watchdog.Known(1.)},
		{nil, unknown, unknown},
	} {
		for n, row := range c.rows {
			body := fmt.Sprintf(`{"requests": [{"request_id": "r%d-%d", "prefill_time_ms": 1, "decode_time_ms": 2, "total_time_ms": 3, %s}]}`, i, n, row)
			if a := post(t, base+RowsPath, "application/json", strings.NewReader(body)); a.status != http.StatusOK {
				t.Fatalf("row %d: %+v", n, a)
			}
		}
		if rows, prompt, output := s.Activity(); rows != uint64(len(c.rows)) || prompt != c.prompt || output != c.output {
			t.Errorf("look %d is told of %d rows, %+v and %+v, want %d, %+v and %+v", i, rows, prompt, output, len(c.rows), c.prompt, c.output)
		}
	}
}
