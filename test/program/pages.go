package program

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"time"
)

// Status is what /status says, as far as tests look at it.
type Status struct {
	Armed bool `json:"armed"`
	// Persistent: what is kept outlives a stop of the pod.
	Persistent bool     `json:"persistent"`
	Activity   string   `json:"activity"`
	Verdict    string   `json:"verdict"`
	Reason     string   `json:"reason"`
	Reasons    []Reason `json:"reasons"`
	Warnings   []string `json:"warnings"`
	Idle       float64  `json:"idle_seconds"`
	Holds      []struct {
		By  string `json:"by"`
		Why string `json:"why"`
	} `json:"holds"`
	LastStop struct {
		Target string `json:"target"`
		Result string `json:"result"`
		Detail string `json:"detail"`
	} `json:"last_stop"`
	Target struct {
		Kind       string `json:"kind"`
		ID         string `json:"id"`
		Permission string `json:"permission"`
		Detail     string `json:"detail"`
	} `json:"target"`
	Sources struct {
		VLLM []struct {
			State string `json:"state"`
		} `json:"vllm"`
		GPU []struct {
			State string `json:"state"`
		} `json:"gpu"`
	} `json:"sources"`
}

// Reason is one reason of the verdict.
type Reason struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// pageMost is how long one page may take on a busy machine.
const pageMost = 5 * time.Second

// Get reads one of its pages and returns the answer's status and body.
func (r *Run) Get(path string) (int, string) {
	r.t.Helper()
	return get(r.t, r.URL()+path)
}

func get(t testing.TB, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pageMost)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// Status reads /status.
func (r *Run) Status() (s Status) {
	r.t.Helper()
	code, body := r.Get("/status")
	if code != http.StatusOK {
		r.t.Fatalf("/status answers %d: %s", code, body)
	}
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		r.t.Fatalf("/status: %v\n%s", err, body)
	}
	return s
}
