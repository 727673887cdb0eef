package ingest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

func mustAddress(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// endless repeats a text for so many bytes, after a beginning.
func endless(beginning, repeated string, n int64) io.Reader {
	return io.MultiReader(strings.NewReader(beginning), io.LimitReader(&repeating{text: repeated}, n))
}

type repeating struct {
	text string
	at   int
}

func (r *repeating) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		step := copy(b[n:], r.text[r.at:])
		r.at = (r.at + step) % len(r.text)
		n += step
	}
	return n, nil
}

// bomb is a gzip of so many bytes.
func bomb(t *testing.T, beginning, repeated string, n int64) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := io.Copy(z, endless(beginning, repeated, n)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// allocated is how many bytes the program has allocated so far.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

const gigabyte = 1 << 30

// However much comes, little of it is held: even what is allocated and freed again over a whole message is bounded.
func TestHostileBodies(t *testing.T) {
	longSpan := encoded(t, exported(served(0), served(1, with("x", textValue(strings.Repeat("x", maxValue)))), served(2)))
	deep := strings.Repeat("[", 100_000)
	packed := func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }
	announced := func(r *http.Request) { r.ContentLength = gigabyte }
	sink := &kept{}
	s, base := taking(t, sink)
	for _, c := range []struct {
		name, path, kind string
		body             io.Reader
		change           func(*http.Request)
		status           int
		why              string
		most             uint64
	}{
		{"a gigabyte, announced", RowsPath, "application/json", endless("", " ", gigabyte), announced, 413, "more than 4194304 bytes", 1 << 20},
		{"a gigabyte, not announced", RowsPath, "application/json", endless(`{"requests": [`, goodRow+",", gigabyte), nil, 413, "", 80 << 20},
		{"a gigabyte of protobuf", TracesPath, "application/x-protobuf", endless("", longSpan, gigabyte), nil, 413, "more than 4194304 bytes", 4 << 20},
		{"a bomb of rows", RowsPath, "application/json", bytes.NewReader(bomb(t, `{"requests": [`, goodRow+",", 16<<20)), packed, 413, "", 80 << 20},
		{"a bomb of blanks", RowsPath, "application/json", bytes.NewReader(bomb(t, `{"requests": [`, " ", 16<<20)), packed, 413, "one value of the body is longer", 2 << 20},
		{"a bomb of protobuf", TracesPath, "application/x-protobuf", bytes.NewReader(bomb(t, "", "\x10\x00", 16<<20)), packed, 413, "more than 4194304 bytes", 2 << 20},
		{"a bomb of JSON", TracesPath, "application/json", bytes.NewReader(bomb(t, `{"resourceSpans": [`, `{},`, 16<<20)), packed, 413, "more than 4194304 bytes", 80 << 20},
		{"one endless text", RowsPath, "application/json", endless(`{"requests": [{"request_id": "`, "x", gigabyte), nil, 413, "one value of the body is longer than 256 kB", 4 << 20},
		{"one endless number", RowsPath, "application/json", endless(`{"requests": [{"n_tokens": `, "1", gigabyte), nil, 413, "one value of the body is longer", 4 << 20},
		{"one endless span in JSON", TracesPath, "application/json", endless(`{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "`, "x", gigabyte), nil, 413, "one value", 4 << 20},
		{"deep rows", RowsPath, "application/json", strings.NewReader(`{"requests": [` + deep), nil, 400, "row 0 is no JSON near byte 10011: invalid character '[' exceeded max depth", 1 << 20},
		{"deep field", RowsPath, "application/json", strings.NewReader(`{"requests": [{"labels": ` + deep), nil, 400, "row 0: labels is no JSON near byte 10021: invalid character '[' exceeded max depth", 1 << 20},
		{"deep spans", TracesPath, "application/json", strings.NewReader(`{"x": ` + deep), nil, 400, "exceeded max depth", 4 << 20},
		{"deep attributes", TracesPath, "application/json", strings.NewReader(`{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"value": {"arrayValue": ` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}}]}]}]}]}`), nil, 200, "", 4 << 20},
		{"empty attributes", TracesPath, "application/json", strings.NewReader(`{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [` + strings.Repeat("{},", 80_000) + `{}]}]}]}]}`), nil, 200, "", 40 << 20},
		{"damaged gzip", RowsPath, "application/json", bytes.NewReader(bomb(t, `{"requests": [`, " ", 1000)[:30]), packed, 400, "damaged", 1 << 20},
		{"no gzip", RowsPath, "application/json", strings.NewReader(`{"requests": []}`), packed, 400, "no gzip", 1 << 20},
		{"one long span among others", TracesPath, "application/x-protobuf", strings.NewReader(longSpan), nil, 200, "longer than 256 kB", 4 << 20},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink.requests = nil
			before := allocated()
			a := refusedOrAnswered(t, base+c.path, c.kind, c.body, c.change)
			if grown := allocated() - before; grown > c.most {
				t.Errorf("%d kB were allocated", grown>>10)
			}
			if a.status != c.status || !strings.Contains(a.body, c.why) {
				t.Errorf("answered %d, %q", a.status, a.body)
			}
			eventually.Holds(t, "the server has done", func() bool { return len(s.slots.inside) == 0 })
			if kept := sink.count(); c.status == 413 && c.path == RowsPath && kept != 0 || c.name == "one long span among others" && kept != 2 {
				t.Errorf("%d rows were kept", kept)
			}
			if held := s.held.Load(); held != 0 {
				t.Errorf("%d bytes are still called held", held)
			}
		})
	}
}

// refusedOrAnswered posts; a server that refuses may hang up before all has been sent, so the answer is read beside it.
func refusedOrAnswered(t *testing.T, url, kind string, body io.Reader, change func(*http.Request)) answered {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	if change != nil {
		change(r)
	}
	response, err := client(t, false).Do(r)
	if err != nil {
		t.Fatalf("post: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header, string(text)}
}

// A bomb over gRPC is refused like one over HTTP, and a long span among others does not spoil them.
func TestHostileCalls(t *testing.T) {
	s, base := taking(t, &kept{})
	huge := exported(served(0, with("x", textValue(strings.Repeat("x", 5<<20)))))
	for _, option := range []connect.ClientOption{connect.WithSendGzip(), connect.WithSendMaxBytes(64 << 20)} {
		if _, err := export(t, base, huge, option); connect.CodeOf(err) != connect.CodeResourceExhausted {
			t.Errorf("5 MB in a call: %v", err)
		}
	}
	r, err := export(t, base, exported(served(0), served(1, with("x", textValue(strings.Repeat("x", maxValue)))), served(2)))
	if err != nil || r.GetPartialSuccess().GetRejectedSpans() != 1 || activity(s) != 2 {
		t.Errorf("one long span: %v, %v, activity %d", r, err, activity(s))
	}
}

// The frame around spans can be broken in itself; then nothing of it is taken. Broken bytes within one span are its own.
func TestBrokenBytes(t *testing.T) {
	span := encoded(t, served(1))
	whole := encoded(t, exported(served(0), served(1), served(2)))
	at := strings.Index(whole, span)
	for _, c := range []struct {
		name     string
		body     string
		kept     int
		rejected uint64
		status   int
	}{
		{"whole", whole, 3, 0, 200},
		{"broken within a span", whole[:at] + "\x0f" + whole[at+1:], 2, 1, 200},
		{"a name of wrong bytes", strings.Replace(whole, "cmpl-a1-0", "cmpl-\xff1-0", 1), 2, 1, 200},
		{"cut off", whole[:len(whole)-5], 0, 0, 400},
		{"a length beyond the end", "\x0a\xff\x01" + whole[3:], 0, 0, 400},
		{"a varint without an end", strings.Repeat("\xff", 11), 0, 0, 400},
		{"a field without a number", "\x00\x00", 0, 0, 400},
		{"a group", "\x0b\x0c", 0, 0, 400},
		{"another field of any kind", "\x10\x05\x1d\x01\x02\x03\x04\x21\x01\x02\x03\x04\x05\x06\x07\x08\x2a\x01x" + whole, 3, 0, 200},
		{"a resource that is none", "\x0a\x04\x0a\x02\x0a\x05", 0, 0, 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			sink := &kept{}
			s, base := taking(t, sink)
			a := post(t, base+TracesPath, "application/x-protobuf", strings.NewReader(c.body))
			if a.status != c.status || sink.count() != c.kept || s.Counts().Rejected != c.rejected {
				t.Errorf("answered %d, %q, %d kept, %d rejected", a.status, a.body, sink.count(), s.Counts().Rejected)
			}
		})
	}
}

// Twenty messages at once wait for each other: while the sink has all it gets, only a few are in memory.
func TestBurst(t *testing.T) {
	const messages, spans = 20, 512
	release := make(chan struct{})
	var mu sync.Mutex
	inside, most := 0, 0
	sink := &kept{before: func(context.Context, Batch) error {
		mu.Lock()
		inside++
		most = max(most, inside)
		mu.Unlock()
		<-release
		mu.Lock()
		inside--
		mu.Unlock()
		return nil
	}}
	s, base := taking(t, sink, func(c *Config) { c.Patience = time.Minute }) // a busy machine takes its time to count the heap
	body := encoded(t, exported(many(spans)...))
	live := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := live()
	c := client(t, true)
	var all sync.WaitGroup
	for range messages {
		all.Go(func() {
			r, err := c.Post(base+TracesPath, "application/x-protobuf", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Body.Close()
			if r.StatusCode != http.StatusOK {
				t.Errorf("answered %d", r.StatusCode)
			}
		})
	}
	eventually.Holds(t, "all slots are taken and the others wait", func() bool {
		return len(s.slots.inside) == defaultConcurrency && len(s.slots.waiting) == messages-defaultConcurrency
	})
	if grown := live() - before; grown > 6<<20 {
		t.Errorf("a burst holds %d kB", grown>>10)
	}
	close(release)
	all.Wait()
	if most > defaultConcurrency || activity(s) != messages*spans || sink.count() != spans {
		t.Errorf("%d were in the sink at once, activity %d, %d kept", most, activity(s), sink.count())
	}
}

// Whoever finds all slots taken is asked to come again; a full waiting room says so at once.
func TestFullHouse(t *testing.T) {
	release := make(chan struct{})
	s, base := taking(t, &kept{before: func(context.Context, Batch) error { <-release; return nil }},
		func(c *Config) { c.Concurrency = 1; c.Timeout = 100 * time.Millisecond })
	defer close(release)
	body := `{"requests": [` + goodRow + `]}`
	go func() { _, _ = http.Post(base+RowsPath, "application/json", strings.NewReader(body)) }()
	eventually.Holds(t, "the slot is taken", func() bool { return len(s.slots.inside) == 1 })
	if a := post(t, base+RowsPath, "application/json", strings.NewReader(body)); a.status != 503 || a.header.Get("Retry-After") != "1" || !strings.Contains(a.body, "1 messages are being taken in") {
		t.Errorf("answered %d, %q", a.status, a.body)
	}
	for range maxWaiting {
		s.slots.waiting <- struct{}{}
	}
	if _, err := s.slots.enter(t.Context()); err == nil {
		t.Error("a full waiting room lets somebody in")
	}
	for range maxWaiting {
		<-s.slots.waiting
	}
}

// Rows of several posts share one bound of memory.
func TestRowsInMemoryAreBounded(t *testing.T) {
	release := make(chan struct{})
	s, base := taking(t, &kept{before: func(context.Context, Batch) error { <-release; return nil }})
	rows := func(n int) string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf(`{"request_id":"%d","prefill_time_ms":1,"decode_time_ms":1,"total_time_ms":2,"n_tokens":1}`, i)
		}
		return `{"requests":[` + strings.Join(out, ",") + `]}`
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if a := post(t, base+RowsPath, "application/json", strings.NewReader(rows(15_000))); a.status != 200 || a.body != "{\"accepted\":15000}\n" {
			t.Errorf("answered %d, %q", a.status, a.body)
		}
	}()
	eventually.Holds(t, "the first rows are held", func() bool { return activity(s) == 15_000 })
	if a := post(t, base+RowsPath, "application/json", strings.NewReader(rows(15_000))); a.status != 503 || a.header.Get("Retry-After") != "1" {
		t.Errorf("with other rows in memory: answered %d, %q", a.status, a.body)
	}
	close(release)
	<-done
	if a := post(t, base+RowsPath, "application/json", strings.NewReader(rows(30_000))); a.status != 413 || !strings.Contains(a.body, "in parts") {
		t.Errorf("too many rows: answered %d, %q", a.status, a.body)
	}
	if held := s.held.Load(); held != 0 {
		t.Errorf("%d bytes are still called held", held)
	}
}

// A client that does not send what it announced gives its slot back.
func TestSlowClients(t *testing.T) {
	s, base := taking(t, &kept{}, func(c *Config) { c.Timeout = 100 * time.Millisecond; c.Concurrency = 1 })
	c, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", RowsPath)
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, _ := io.ReadAll(c)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 408") || !strings.Contains(string(answer), "did not come in time") {
		t.Errorf("over HTTP/1.1 answered %q", answer)
	}

	slow, feed := io.Pipe()
	defer feed.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", base+ExportPath, slow)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	response, err := client(t, true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if got := response.Trailer.Get("Grpc-Status"); got != "4" {
		t.Errorf("over HTTP/2 the status is %q, %q", got, response.Trailer.Get("Grpc-Message"))
	}
	eventually.Holds(t, "the slot is free", func() bool { return len(s.slots.inside) == 0 })
}

// A connection that sends now and then is kept: gRPC's clients use one for their whole life.
func TestQuietConnectionsAreKept(t *testing.T) {
	var connections sync.Map
	s, base := taking(t, &kept{}, func(c *Config) { c.Timeout = 50 * time.Millisecond })
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &p, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		connections.Store(c, true)
		return c, err
	}}
	defer transport.CloseIdleConnections()
	body := encoded(t, exported(served(0)))
	for range 3 {
		r, err := (&http.Client{Transport: transport}).Post(base+TracesPath, "application/x-protobuf", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		<-time.After(120 * time.Millisecond)
	}
	n := 0
	connections.Range(func(any, any) bool { n++; return true })
	if n != 1 || activity(s) != 3 {
		t.Errorf("%d connections for %d messages", n, activity(s))
	}
}

// Spans of other programs are passed over, whatever they bring.
func TestForeignSpans(t *testing.T) {
	s, base := taking(t, &kept{})
	foreign := &tracepb.Span{Name: "llm_request2", Attributes: []*commonpb.KeyValue{
		{Key: "gen_ai.latency.e2e", Value: textValue("long")},
		{Key: "list", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: []*commonpb.AnyValue{integerValue(1)}}}}},
	}, Events: []*tracepb.Span_Event{{Name: "prompt"}}}
	r, err := export(t, base, exported(foreign, served(0)))
	if err != nil || r.GetPartialSuccess() != nil {
		t.Errorf("%v, %v", r, err)
	}
	if want := (Counts{Rows: 1, Kept: 1, PassedOver: 1}); s.Counts() != want {
		t.Errorf("counted %+v", s.Counts())
	}
}
