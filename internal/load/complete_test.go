package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// good is a stream as vLLM 0.32 sends it: three chunks, the last one of two tokens, a usage, the end.
const good = `data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" a","logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":6,"completion_tokens":1}}

data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null}],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2}}

data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[{"index":0,"text":" b","logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":5,"total_tokens":9,"completion_tokens":4}}

data: {"id":"cmpl-1","object":"text_completion","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":5,"total_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":3}}}

data: [DONE]

`

// serve plays a server with one handler for completions, and a client for it.
func serve(t *testing.T, cfg Config, handle http.HandlerFunc) (*Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	if cfg.URL == "" {
		cfg.URL = s.URL
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, s
}

func answering(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
	}
}

var plain = Request{Model: "m", Prompt: "the prompt", MaxTokens: 4}

// TestCompleteMeasures lets a server send its chunks one by one, each when the test says so, and holds the record against the
// moments at which it did.
func TestCompleteMeasures(t *testing.T) {
	send := make(chan string)
	c, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		for part := range send {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
		}
	})
	events := strings.SplitAfter(good, "\n\n")
	events = events[:len(events)-1]
	done := make(chan Record)
	q := plain
	q.EachChunk = true
	before := time.Now()
	go func() { done <- c.Complete(t.Context(), q) }()
	sent := make([]time.Time, len(events))
	for i, event := range events {
		sent[i] = time.Now()
		send <- event
	}
	close(send)
	r := <-done
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if r.PromptTokens != 5 || r.OutputTokens != 4 || r.CachedTokens.Value != 3 || !r.CachedTokens.Known || r.FinishReason != "length" {
		t.Errorf("have %+v", r)
	}
	if !slices.Equal(r.ChunkTokens, []int{1, 1, 2}) || len(r.ITLs) != 2 {
		t.Errorf("chunks of %v tokens, gaps %v", r.ChunkTokens, r.ITLs)
	}
	// A chunk cannot come before it was sent. (How long after it is the machine's; TestStreamKeepsTime is exact.)
	for i, at := range []time.Time{r.Start.Add(r.TTFT), r.Start.Add(r.TTFT + r.ITLs[0]), r.Start.Add(r.Latency)} {
		if at.Before(sent[i]) {
			t.Errorf("chunk %d was sent at %v and came at %v", i, sent[i].Sub(before), at.Sub(before))
		}
	}
	if sum := r.TTFT + r.ITLs[0] + r.ITLs[1]; sum != r.Latency {
		t.Errorf("TTFT and gaps are %v, the latency is %v", sum, r.Latency)
	}
	if r.End().Before(sent[4]) || r.Latency >= r.Elapsed {
		t.Errorf("it ended at %v, with the end sent at %v", r.End().Sub(before), sent[4].Sub(before))
	}
	if tpot, want := r.TPOT(), (r.Latency-r.TTFT).Seconds()/3; !tpot.Known || tpot.Value != want {
		t.Errorf("TPOT %v, want %v", tpot, want)
	}
}

// TestStreamKeepsTime has a clock of its own.
func TestStreamKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		go func() {
			for i, event := range slices.DeleteFunc(strings.SplitAfter(good, "\n\n"), func(s string) bool { return s == "" }) {
				time.Sleep(time.Duration(i+1) * time.Millisecond)
				_, _ = io.WriteString(to, event)
			}
			to.Close()
		}()
		r := Record{Start: time.Now()}
		s := stream{record: &r, from: newEvents(from), most: 100}
		if err := errors.Join(s.read(), s.verdict()); err != nil {
			t.Fatal(err)
		}
		if r.TTFT != time.Millisecond || !slices.Equal(r.ITLs, []time.Duration{2 * time.Millisecond, 3 * time.Millisecond}) || r.Latency != 6*time.Millisecond {
			t.Errorf("TTFT %v, gaps %v, latency %v: the usage is no chunk", r.TTFT, r.ITLs, r.Latency)
		}
		if now := time.Since(r.Start); now != 15*time.Millisecond {
			t.Errorf("read to %v", now)
		}
		if r.ChunkTokens != nil {
			t.Error("tokens of chunks, which nobody asked for")
		}
	})
}

func TestCompleteSendsWhatIsAskedFor(t *testing.T) {
	var asked map[string]any
	var header http.Header
	c, _ := serve(t, Config{APIKey: secret.New("k3y"), UserAgent: "gpu-watchdog/test"}, func(w http.ResponseWriter, r *http.Request) {
		asked, header = nil, r.Header.Clone()
		if r.Method != http.MethodPost || r.URL.Path != "/v1/completions" {
			t.Errorf("asked for %s %s", r.Method, r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			t.Error(err)
		}
		answering(good)(w, r)
	})
	q := Request{Model: "m", Prompt: `a "prompt" 음식`, MaxTokens: 4, IgnoreEOS: true, CacheSalt: "s", EachChunk: true, ID: "id-1"}
	if r := c.Complete(t.Context(), q); r.Err != nil {
		t.Fatal(r.Err)
	}
	want := map[string]any{
		"model": "m", "prompt": q.Prompt, "max_tokens": 4.0, "stream": true, "ignore_eos": true, "cache_salt": "s",
		"stream_options": map[string]any{"include_usage": true, "continuous_usage_stats": true},
	}
	if fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("have %v\nwant %v", asked, want)
	}
	for key, value := range map[string]string{"Authorization": "Bearer k3y", "User-Agent": "gpu-watchdog/test", "X-Request-Id": "id-1"} {
		if header.Get(key) != value {
			t.Errorf("%s: %q, want %q", key, header.Get(key), value)
		}
	}
	if r := c.Complete(t.Context(), plain); r.Err != nil {
		t.Fatal(r.Err)
	}
	for _, own := range []string{"ignore_eos", "cache_salt"} {
		if _, there := asked[own]; there {
			t.Errorf("%s is sent to a server that may not know it", own)
		}
	}
}

func TestCompleteFails(t *testing.T) {
	first, _, _ := strings.Cut(good, "\n\n")
	first += "\n\n"
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		handle http.HandlerFunc
		is     error
		says   string
		came   bool // a first token came
	}{
		{"a model that is not there", status(404, `{"error":{"message":"The model m does not exist","code":404}}`), nil, "status 404: the server says: The model m does not exist", false},
		{"an old form of errors", status(400, `{"object":"error","message":"too long","code":400}`), nil, "status 400: the server says: too long", false},
		{"a detail", status(404, `{"detail":"Not Found"}`), nil, "status 404: the server says: Not Found", false},
		{"a page", status(502, "<html>\n Bad\tgateway </html>"), nil, "status 502: the server says: <html> Bad gateway </html>", false},
		{"no reason", status(503, ""), nil, "status 503: the server gives no reason", false},
		{"a redirect", status(307, ""), nil, "status 307", false},
		{"an error in the stream", answering(first + `data: {"error":{"message":"EngineCore encountered an issue","code":500}}` + "\n\ndata: [DONE]\n\n"), nil, "status 500: the server says: EngineCore", true},
		{"aborted", answering(strings.ReplaceAll(good, `"length"`, `"abort"`)), ErrAborted, "aborted", true},
		{"no end", answering(strings.ReplaceAll(good, "data: [DONE]\n\n", "")), ErrCut, "broke off", true},
		{"half a chunk", answering(good[:300]), ErrCut, "broke off", true},
		{"no token", answering("data: [DONE]\n\n"), ErrEmpty, "no token", false},
		{"no usage", answering(strings.ReplaceAll(good, `"usage"`, `"abuse"`)), ErrNoUsage, "usage", true},
		{"no JSON", answering("data: {oops\n\n"), nil, "a chunk that is not one: {oops", false},
		{"too many chunks", answering(strings.Repeat(first, 100)), ErrTooMuch, "more than 72 chunks", true},
		{"cut by the server", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, first)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, ErrCut, "broke off", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, _ := serve(t, Config{}, c.handle)
			r := client.Complete(t.Context(), plain)
			if r.Err == nil || c.is != nil && !errors.Is(r.Err, c.is) || !strings.Contains(r.Err.Error(), c.says) {
				t.Fatalf("have the error %v, want %v, %q", r.Err, c.is, c.says)
			}
			if c.came != (r.TTFT > 0) {
				t.Errorf("TTFT %v", r.TTFT)
			}
			if r.TPOT().Known {
				t.Error("a failure has a TPOT")
			}
			if r.Elapsed <= 0 {
				t.Error("it took no time")
			}
		})
	}
}

func TestCompleteEndsInTime(t *testing.T) {
	left := make(chan struct{}, 8)
	handle := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "data: {\"choices\":[{}]}\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		left <- struct{}{}
	}
	t.Run("deadline", func(t *testing.T) {
		c, _ := serve(t, Config{Deadline: 50 * time.Millisecond}, handle)
		r := c.Complete(t.Context(), plain)
		if !errors.Is(r.Err, ErrLate) || r.TTFT <= 0 || r.Elapsed < 50*time.Millisecond {
			t.Errorf("after %v, first token at %v: %v", r.Elapsed, r.TTFT, r.Err)
		}
		<-left
	})
	t.Run("cancelled", func(t *testing.T) {
		c, _ := serve(t, Config{}, handle)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		time.AfterFunc(50*time.Millisecond, cancel)
		r := c.Complete(ctx, plain)
		if !errors.Is(r.Err, context.Canceled) || errors.Is(r.Err, ErrLate) {
			t.Errorf("have %v", r.Err)
		}
		<-left
	})
	t.Run("a connection that stays open behind the end", func(t *testing.T) {
		c, _ := serve(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			answering(good)(w, r)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		began := time.Now()
		r := c.Complete(t.Context(), plain)
		if r.Err != nil || time.Since(began) > 5*endMost || r.Elapsed > endMost/2 {
			t.Errorf("after %v (%v): %v", time.Since(began), r.Elapsed, r.Err)
		}
	})
	t.Run("nothing to ask for", func(t *testing.T) {
		c, _ := serve(t, Config{}, answering(good))
		if r := c.Complete(t.Context(), Request{Prompt: "x"}); r.Err == nil {
			t.Error("a completion without tokens went well")
		}
	})
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, err := New(Config{URL: "http://user:hush@" + address})
	if err != nil {
		t.Fatal(err)
	}
	r := c.Complete(t.Context(), plain)
	_, models := c.Models(t.Context())
	for _, err := range []error{r.Err, models} {
		if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), plain.Prompt) {
			t.Errorf("have %v", err)
		}
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(answering(good))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	c, err := New(Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	const workers, each = 4, 25
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				if r := c.Complete(t.Context(), plain); r.Err != nil {
					t.Error(r.Err)
				}
			}
		})
	}
	all.Wait()
	if n := opened.Load(); n > 2*workers {
		t.Errorf("%d connections for %d requests of %d workers", n, workers*each, workers)
	}
}

func TestModels(t *testing.T) {
	for _, c := range []struct{ body, want, says string }{
		{`{"object":"list","data":[{"id":"a"},{"id":""},{"id":"b"}]}`, "[a b]", ""},
		{`{"data":[]}`, "[]", "names no model"},
		{`<html>`, "[]", "is not a list of models"},
	} {
		client, _ := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.body) })
		have, err := client.Models(t.Context())
		if fmt.Sprint(have) != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: have %v, %v", c.body, have, err)
		}
	}
}

func TestPageIsBounded(t *testing.T) {
	c, _ := serve(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		for range pageLimit>>16 + 2 {
			_, _ = w.Write(make([]byte, 1<<16))
		}
	})
	if body, _, err := c.Page(t.Context(), "/metrics"); err == nil || !strings.Contains(err.Error(), "larger than") || body != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ url, says string }{
		{"127.0.0.1:8000", "cannot be read"}, {"ftp://x", "scheme"}, {"http://", "no host"}, {"http://x?k=hush", "query"},
		{"http://u:hush@x/v1", "part of its API"}, {"http://u:hush@%zz", "cannot be read"},
	} {
		_, err := New(Config{URL: c.url})
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: have %v, want %q", c.url, err, c.says)
		}
	}
	c, err := New(Config{URL: "http://u:hush@x:1/below/"})
	if err != nil || c.URL() != "http://x:1/below" {
		t.Errorf("have %v, %v", c, err)
	}
}
