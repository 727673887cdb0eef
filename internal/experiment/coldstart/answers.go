package coldstart

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

const (
	// healthEvery is how often a server that is not ready is asked, and so how late its readiness may be seen.
	healthEvery = 50 * time.Millisecond
	// healthMost bounds one such question.
	healthMost = 2 * time.Second
	// usualAfter is how many later requests make a usual time to the first token, as in the watchdog's own measure.
	usualAfter = 5
	// askedTokens is how many tokens each request asks for.
	askedTokens = 8
	// prompt is shorter than a block of any KV cache, so that no request finds it there.
	prompt = "Good morning"
)

// health asks one page of a server, each time on a connection of its own: one that is kept would be another stream to wait for.
type health struct {
	url    string
	client *http.Client
}

func newHealth(url string) health {
	return health{url, &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       healthMost,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// status is that of the answer, 0 where there is none.
func (h health) status(ctx context.Context) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url, nil)
	if err != nil {
		return 0
	}
	resp, err := h.client.Do(r)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// awaitReady returns with nil at the first 200, and with an error once the server has ended or ctx has.
func (h health) awaitReady(ctx context.Context, c *child) error {
	ticker := time.NewTicker(healthEvery)
	defer ticker.Stop()
	for {
		if h.status(ctx) == http.StatusOK {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("the server ended before it was ready: %s", c.howItEnded())
		case <-ctx.Done():
			return fmt.Errorf("the server was not ready after %s: %w", time.Since(c.exec).Round(time.Second), context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// firstTokens asks for a completion and then for usualAfter more, and returns their times to the first token, first that of the
// first. What it has is returned with an error, too.
func firstTokens(ctx context.Context, client *load.Client) (ttfts []time.Duration, err error) {
	models, err := client.Models(ctx)
	if err != nil {
		return nil, err
	}
	for range 1 + usualAfter {
		r := client.Complete(ctx, load.Request{Model: models[0], Prompt: prompt, MaxTokens: askedTokens, IgnoreEOS: true})
		if r.Err != nil {
			return ttfts, r.Err
		}
		ttfts = append(ttfts, r.TTFT)
	}
	return ttfts, nil
}

// beyondUsual is how much longer the first of these took than the mean of the others, at least 0; false where there are no
// others.
func beyondUsual(ttfts []time.Duration) (extra, usual time.Duration, known bool) {
	if len(ttfts) < 2 {
		return 0, 0, false
	}
	for _, t := range ttfts[1:] {
		usual += t
	}
	usual /= time.Duration(len(ttfts) - 1)
	return max(0, ttfts[0]-usual), usual, true
}

// askVersion asks the server for its version, unless it has told it.
func (e *experiment) askVersion(ctx context.Context, client *load.Client) {
	if e.version != "" {
		return
	}
	body, _, err := client.Page(ctx, "/version")
	var told struct {
		Version string `json:"version"`
	}
	if err == nil && json.Unmarshal(body, &told) == nil && len(told.Version) <= 64 {
		e.version = strings.ToValidUTF8(told.Version, "?")
	}
}
