package runpod_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/internal/conformity"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// key is planted everywhere and must come out nowhere.
const key = "rpa_PLANTEDKEY0123456789"

// document is RunPod's, read once.
var document = sync.OnceValues(conformity.Load)

// bench is a client, the RunPod that it speaks with, and a check of every word between them.
type bench struct {
	*runpod.Client
	server *runpodtest.Server
}

// newBench starts a server with opts and a client of it. faulty says that the script answers what RunPod's document
// does not know; all requests are held against the document either way.
func newBench(t *testing.T, opts runpodtest.Options, faulty bool, change ...func(*runpod.Config)) bench {
	t.Helper()
	t.Setenv("PATH", t.TempDir()) // no runpodctl, unless the test brings one
	opts.APIKey = key
	server := runpodtest.New(opts)
	t.Cleanup(server.Close)
	document, err := document()
	if err != nil {
		t.Fatal(err)
	}
	wire := &conformity.Transport{Base: &http.Transport{DisableKeepAlives: true}, Document: document, LaxAnswers: faulty}
	t.Cleanup(func() {
		faults, checked := wire.Faults()
		for _, err := range faults {
			t.Error(err)
		}
		var v2 int
		for _, r := range server.Requests() {
			if strings.HasPrefix(r.Path, "/v2/") {
				v2++
			}
		}
		if checked < v2 {
			t.Errorf("of %d requests to v2 only %d were held against the document", v2, checked)
		}
	})
	cfg := runpod.Config{
		PodID: server.PodID(), APIKey: key, APIURL: server.URL(), GraphQLURL: server.GraphQLURL(),
		UserAgent: "gpu-watchdog/test", Timeout: 5 * time.Second, HTTPClient: &http.Client{Transport: wire},
	}
	for _, f := range change {
		f(&cfg)
	}
	client, err := runpod.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return bench{Client: client, server: server}
}

// stop asks the one rung of that name, and gives up on it after 10 s.
func (b bench) stop(t *testing.T, name string) stopper.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, r := range b.Rungs() {
		if r.Name() == name {
			answer := r.Stop(ctx)
			checkShown(t, answer.Detail)
			return answer
		}
	}
	t.Fatalf("no rung %s", name)
	return stopper.Answer{}
}

// checkShown holds a text that people see to what is promised of it.
func checkShown(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, key) || strings.Contains(text, "hunter2") || strings.Contains(text, "api_key=") {
		t.Errorf("a secret is shown: %q", text)
	}
	if strings.Contains(text, "\n") {
		t.Errorf("more than a line: %q", text)
	}
}

// calls are the calls that the server got, in order.
func (b bench) calls() string {
	var calls []string
	for _, r := range b.server.Requests() {
		calls = append(calls, string(r.Call))
	}
	return strings.Join(calls, " ")
}
