package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

var (
	dialer = &net.Dialer{Timeout: time.Second}
	// patient is for requests that take as long as they take; ctx ends them.
	patient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
)

// client asks a server for completions.
type client struct{ url string }

// ask is one request. vLLM makes the id of its answer from id.
type ask struct {
	id     string
	tokens int
	n      int
}

// complete asks for exactly so many tokens and returns the id of the answer.
func (c client) complete(ctx context.Context, a ask) (id string, err error) {
	status, body, err := post(ctx, c.url+"/v1/completions", map[string]any{
		"model": stage.ModelName, "prompt": "say something about nothing", "max_tokens": a.tokens, "n": max(1, a.n), "ignore_eos": true,
		"temperature": 0.7,
	}, "X-Request-Id", a.id)
	if err != nil {
		return "", err
	}
	var answer struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || status != http.StatusOK {
		return "", fmt.Errorf("request %s: HTTP %d: %.200s", a.id, status, body)
	}
	return answer.ID, nil
}

// post sends a value as JSON and returns what is answered.
func post(ctx context.Context, url string, value any, header ...string) (status int, answer []byte, err error) {
	body, err := json.Marshal(value)
	if err != nil {
		return 0, nil, err
	}
	return send(ctx, url, "application/json", body, header...)
}

func send(ctx context.Context, url, kind string, body []byte, header ...string) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", kind)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := patient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, answer, err
}
