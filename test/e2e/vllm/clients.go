package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// client asks the server for completions, over connections that it keeps.
type client struct {
	url  string
	http *http.Client
}

func newClient(url string) client {
	return client{url, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
}

// answer is what a request came to.
type answer struct {
	status int
	// chunks counts the events of a stream; first is when the first one came.
	chunks int
	first  time.Time
	began  time.Time
	took   time.Duration
}

func (a answer) String() string {
	if a.chunks > 0 {
		return fmt.Sprintf("HTTP %d, %d chunks in %.1f s", a.status, a.chunks, a.took.Seconds())
	}
	return fmt.Sprintf("HTTP %d in %.2f s", a.status, a.took.Seconds())
}

// complete asks for exactly so many tokens. Ending ctx is a client that hangs up.
func (c client) complete(ctx context.Context, tokens int, stream bool) (a answer, err error) {
	a.began = time.Now()
	defer func() { a.took = time.Since(a.began) }()
	body, err := json.Marshal(map[string]any{
		"model": stage.ModelName, "prompt": "say something about nothing", "max_tokens": tokens, "ignore_eos": true, "stream": stream,
	})
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return a, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	a.status = resp.StatusCode
	if !stream {
		_, err = io.Copy(io.Discard, resp.Body)
		return a, err
	}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: {") {
			if a.chunks++; a.chunks == 1 {
				a.first = time.Now()
			}
		}
	}
	return a, lines.Err()
}

// begun is a request that runs beside the play.
type begun struct {
	done   chan struct{}
	cut    context.CancelFunc
	answer answer
	err    error
}

// begin starts a request. cut hangs up; done is closed when it is over.
func (c client) begin(ctx context.Context, tokens int, stream bool) *begun {
	ctx, cancel := context.WithCancel(ctx)
	b := &begun{done: make(chan struct{}), cut: cancel}
	go func() {
		defer close(b.done)
		defer cancel()
		b.answer, b.err = c.complete(ctx, tokens, stream)
	}()
	return b
}

func (b *begun) over() bool {
	select {
	case <-b.done:
		return true
	default:
		return false
	}
}

// scrape is the third side: another program that reads /metrics and checks /health, as Prometheus and a kubelet do. It runs
// until ctx ends.
func scrape(ctx context.Context, url string, interval time.Duration) {
	c := &http.Client{Timeout: 5 * time.Second}
	stage.Every(ctx, interval, func() {
		for _, path := range []string{"/metrics", "/health"} {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+path, nil)
			if err != nil {
				return
			}
			req.Header.Set("User-Agent", "third-side")
			if resp, err := c.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body) // it may be half a page of a server that dies
				resp.Body.Close()
			}
		}
	})
}
