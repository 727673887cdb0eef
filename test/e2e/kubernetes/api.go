//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// api is the API server as one of its users sees it.
type api struct {
	base, token string
	client      *http.Client
	// header is sent with each request.
	header map[string]string
}

// answer is what it said.
type answer struct {
	status int
	fields map[string]any
	body   []byte
}

// The two forms of a PATCH.
const (
	mergePatch = "application/merge-patch+json"
	applyPatch = "application/apply-patch+yaml"
)

// do sends one request, with a body as JSON. A PATCH is a merge patch; one that is forced is applied instead.
func (a api) do(ctx context.Context, method, path string, body any) (answer, error) {
	var payload io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return answer{}, err
		}
		payload = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, payload)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", mergePatch)
		if strings.Contains(path, "force=true") {
			req.Header.Set("Content-Type", applyPatch)
		}
	}
	for key, value := range a.header {
		req.Header.Set(key, value)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	out := answer{status: resp.StatusCode}
	if out.body, err = io.ReadAll(io.LimitReader(resp.Body, 8<<20)); err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", method, path, err)
	}
	_ = json.Unmarshal(out.body, &out.fields) // what is no JSON has no fields
	return out, nil
}

// must is do, where anything but success is an error.
func (a api) must(ctx context.Context, method, path string, body any) (answer, error) {
	out, err := a.do(ctx, method, path, body)
	if err == nil && out.status >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s", method, path, out)
	}
	return out, err
}

func (a answer) String() string {
	if message := a.text("message"); message != "" {
		return strconv.Itoa(a.status) + ": " + message
	}
	return fmt.Sprintf("%d: %.300s", a.status, a.body)
}

// at follows keys into objects; nil where there is nothing.
func at(value any, keys ...string) any {
	for _, key := range keys {
		fields, _ := value.(map[string]any)
		value = fields[key]
	}
	return value
}

func (a answer) text(keys ...string) string {
	text, _ := at(a.fields, keys...).(string)
	return text
}

// number is one of the answer; 0 is left out by Kubernetes.
func (a answer) number(keys ...string) int {
	n, _ := at(a.fields, keys...).(float64)
	return int(n)
}
