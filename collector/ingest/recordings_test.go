package ingest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRecordings replays what real servers sent and compares every row with the truth beside it. The recordings are too
// large for the project; INGEST_RECORDINGS names a folder of NAME.pb (messages, each led by its length as a varint), with
// NAME.spans.jsonl (one span a line) and NAME-client.json (what the client knows of each of its requests), where they are.
func TestRecordings(t *testing.T) {
	folder := os.Getenv("INGEST_RECORDINGS")
	if folder == "" {
		t.Skip("INGEST_RECORDINGS names no folder of recordings")
	}
	recordings, err := filepath.Glob(filepath.Join(folder, "*.pb"))
	if err != nil || len(recordings) == 0 {
		t.Fatalf("no *.pb in %s: %v", folder, err)
	}
	for _, path := range recordings {
		name := strings.TrimSuffix(filepath.Base(path), ".pb")
		t.Run(name, func(t *testing.T) {
			sink := &kept{}
			m := &message{now: time.Now(), put: func(b Batch) error { return sink.Add(t.Context(), b) }}
			messages := 0
			for range 2 { // everything comes twice
				messages = replay(t, path, m)
			}
			if m.rejected > 0 {
				t.Errorf("%d spans were rejected: %s", m.rejected, m.reason)
			}
			requests, phases := compareSpans(t, strings.TrimSuffix(path, ".pb")+".spans.jsonl", sink)
			if m.rows != 2*uint64(requests) || m.phases != 2*uint64(phases) || m.passed != 0 {
				t.Errorf("%d rows, %d phases, %d passed over, of twice %d and %d", m.rows, m.phases, m.passed, requests, phases)
			}
			t.Logf("%d messages, %d request spans → %d rows (%d aborted), %d loading spans → %d phases",
				messages, requests, sink.count(), m.aborted/2, phases, len(sink.phases))
			compareClient(t, strings.TrimSuffix(path, ".pb")+"-client.json", sink)
		})
	}
}

func replay(t *testing.T, path string, m *message) (messages int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) > 0; messages++ {
		length, n := binary.Uvarint(b)
		if n <= 0 || int(length) > len(b)-n {
			t.Fatalf("%s is cut off", path)
		}
		if err := decodeProto(bytes.NewReader(b[n:n+int(length)]), m); err != nil {
			t.Fatal(err)
		}
		if err := m.flush(); err != nil {
			t.Fatal(err)
		}
		b = b[n+int(length):]
	}
	return messages
}

// compareSpans holds each row to the attributes of its span.
func compareSpans(t *testing.T, path string, sink *kept) (requests, phases int) {
	t.Helper()
	lines := bufio.NewScanner(opened(t, path))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s struct {
			Name       string
			TraceID    string `json:"trace_id"`
			SpanID     string `json:"span_id"`
			End        float64
			Start      float64
			Attributes map[string]any
			Resource   map[string]any
		}
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s.Name != requestSpan {
			phases++
			p := sink.phases[s.TraceID+"-"+s.SpanID]
			if process, _ := s.Resource["vllm.process_kind"].(string); p.Name != s.Name || p.Process != process || !near(p.Seconds, s.End-s.Start, 1e-5) {
				t.Errorf("the phase %+v of %+v", p, s)
			}
			continue
		}
		requests++
		var r Request
		ok := false
		for key, candidate := range sink.requests {
			if strings.HasPrefix(key, "span"+s.TraceID+"-"+s.SpanID+"-") {
				r, ok = candidate, true
			}
		}
		number := func(key string) float64 { v, _ := s.Attributes["gen_ai."+key].(float64); return v }
		n := number("usage.completion_tokens")
		switch {
		case !ok:
			t.Errorf("no row of %+v", s)
		case r.ID != s.Attributes["gen_ai.request.id"] || float64(r.OutputTokens.Value) != n || float64(r.PromptTokens.Value) != number("usage.prompt_tokens") ||
			!near(float64(r.FinishedAt.UnixNano())/1e9, s.End, 1e-5):
			t.Errorf("the row %+v of %+v", r, s)
		case n == 0 || number("latency.time_in_model_prefill") > number("latency.e2e"):
			if !r.Aborted || r.Total.Known || r.TTFT.Known || r.Prefill.Known {
				t.Errorf("the aborted row %+v", r)
			}
		case r.Total.Value != number("latency.e2e") || r.TTFT.Value != number("latency.time_to_first_token") || r.Queue.Value != number("latency.time_in_queue") ||
			r.Prefill.Value != number("latency.time_in_model_prefill") || r.Decode.Value != number("latency.time_in_model_decode"),
			n > 1 && r.TPOT.Value != number("latency.time_in_model_decode")/(n-1), n == 1 && r.TPOT.Known, !near(r.TPS.Value, n/number("latency.e2e"), 1e-9*n):
			t.Errorf("the row %+v of %+v", r, s)
		}
	}
	if lines.Err() != nil {
		t.Fatal(lines.Err())
	}
	return requests, phases
}

// compareClient holds the rows to what the client saw of its requests, where that was written down.
func compareClient(t *testing.T, path string, sink *kept) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return
	}
	var truth []struct {
		Name    string
		ID      string
		Status  int
		Aborted bool
		Finish  []string
		E2E     float64
		TTFT    float64
		Headers map[string]string
		Usage   struct {
			Prompt int64 `json:"prompt_tokens"`
			Output int64 `json:"completion_tokens"`
		}
	}
	if err := json.NewDecoder(opened(t, path)).Decode(&truth); err != nil {
		t.Fatal(err)
	}
	rows := map[string][]Request{}
	for _, r := range sink.requests {
		rows[r.Response] = append(rows[r.Response], r)
	}
	ended, sequences, spanless, worst := 0, 0, 0, 0.0
	for _, c := range truth {
		got := rows[c.ID]
		delete(rows, c.ID)
		if c.Status != 200 || c.Aborted {
			if len(got) != 0 {
				t.Errorf("%s ended badly and has %d rows", c.Name, len(got))
			}
			continue
		}
		ended++
		sequences += len(c.Finish)
		if len(got) == 0 && strings.HasSuffix(c.Headers["traceparent"], "-00") {
			spanless++ // the client told the server not to trace it
			continue
		}
		output, prompt := int64(0), int64(0)
		for _, r := range got {
			output += r.OutputTokens.Value
			prompt += r.PromptTokens.Value
			if d := c.E2E - r.Total.Value; d < 0 || d > 0.5 {
				t.Errorf("%s took the client %.3f s and the server %.3f s", c.Name, c.E2E, r.Total.Value)
			} else {
				worst = max(worst, d)
			}
			if c.TTFT > 0 && (c.TTFT < r.TTFT.Value || c.TTFT > r.TTFT.Value+0.5) {
				t.Errorf("%s had its first token after %.3f s, by the server after %.3f s", c.Name, c.TTFT, r.TTFT.Value)
			}
		}
		each := int64(1) // n = 2 counts its prompt twice
		if c.Name == "n2" {
			each = 2
		}
		if len(got) != len(c.Finish) || output != c.Usage.Output || prompt != each*c.Usage.Prompt {
			t.Errorf("%s: %d rows with %d and %d tokens; the client has %d sequences with %d and %d", c.Name, len(got), prompt, output, len(c.Finish), each*c.Usage.Prompt, c.Usage.Output)
		}
	}
	if len(rows) > 0 {
		t.Errorf("rows of which the client does not know: %v", rows)
	}
	t.Logf("of the client's %d requests %d ended well in %d sequences, %d of them not traced; all others have their rows, tokens equal; end to end the client's is up to %.1f ms longer",
		len(truth), ended, sequences, spanless, 1000*worst)
}

// opened opens a file, or its packed form.
func opened(t *testing.T, path string) io.Reader {
	t.Helper()
	f, err := os.Open(path)
	if err == nil {
		t.Cleanup(func() { f.Close() })
		return f
	}
	if f, err = os.Open(path + ".gz"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func near(a, b, within float64) bool { return a-b <= within && b-a <= within }
