package conformity

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Transport checks every request to REST v2 that goes through it, and every answer unless LaxAnswers is set, as it
// must be where a script plays faults that the document does not know. Other paths (GraphQL) pass unchecked.
type Transport struct {
	// Base does the work.
	Base       http.RoundTripper
	Document   *Document
	LaxAnswers bool

	mu      sync.Mutex
	faults  []error
	checked int
}

// RoundTrip never changes what it sees.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(req.URL.Path, "/v2/") {
		return t.Base.RoundTrip(req)
	}
	body, err := drain(&req.Body)
	if err != nil {
		return nil, err
	}
	t.note("request", req, t.Document.Request(req, body))
	res, err := t.Base.RoundTrip(req)
	if err != nil || t.LaxAnswers {
		return res, err
	}
	answer, err := drain(&res.Body)
	if err != nil {
		return nil, err
	}
	t.note("answer", req, t.Document.Answer(req, res.StatusCode, res.Header, answer))
	return res, nil
}

// Faults are the violations so far; Checked counts what was looked at, so that a test can see that something was.
func (t *Transport) Faults() (faults []error, checked int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.faults, t.checked
}

func (t *Transport) note(what string, req *http.Request, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.checked++
	if err != nil {
		t.faults = append(t.faults, fmt.Errorf("%s of %s %s: %w", what, req.Method, req.URL.Path, err))
	}
}

// drain reads a body and puts a copy in its place.
func drain(body *io.ReadCloser) ([]byte, error) {
	if *body == nil {
		return nil, nil
	}
	defer func(b io.Closer) { _ = b.Close() }(*body)
	all, err := io.ReadAll(*body)
	*body = io.NopCloser(bytes.NewReader(all))
	return all, err
}
