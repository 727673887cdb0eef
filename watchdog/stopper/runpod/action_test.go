package runpod_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

func TestStopByV2(t *testing.T) {
	b := newBench(t, runpodtest.Options{}, false)
	answer := b.stop(t, "v2_action")
	if answer.Kind != stopper.Accepted || answer.Status != 200 || answer.Detail != "pod status EXITED" {
		t.Errorf("answer %+v", answer)
	}
	if b.server.Status() != runpodtest.Exited {
		t.Errorf("the pod is %s", b.server.Status())
	}
	request := b.server.Requests()[0]
	if string(request.Body) != `{"action":"stop"}` {
		t.Errorf("body %s", request.Body)
	}
	for name, want := range map[string]string{
		"User-Agent": "gpu-watchdog/test", "Authorization": "Bearer " + key, "Content-Type": "application/json",
	} {
		if got := request.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if request.Query != "" {
		t.Errorf("query %q", request.Query)
	}
}

// fault is an answer in no form that the document knows.
func fault(status int, kind, body string, headers ...string) runpodtest.Fault {
	f := runpodtest.Fault{Status: status, Body: body, Header: http.Header{}}
	if kind != "" {
		f.Header.Set("Content-Type", kind)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		f.Header.Set(headers[i], headers[i+1])
	}
	return f
}

const (
	problemType = "application/problem+json"
	jsonType    = "application/json"
)

func TestV2Classification(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault runpodtest.Fault
		want  stopper.Kind
		// detail is what Detail is, where it ends in … what it begins with.
		detail string
		wait   time.Duration
	}{
		{"200 without a body", fault(200, "", ""), stopper.Accepted, "without the pod in the answer", 0},
		{"200 with an empty object", fault(200, jsonType, `{}`), stopper.Accepted, "without the pod in the answer", 0},
		{"200 still running", fault(200, jsonType, `{"id":"testpod","status":"RUNNING"}`), stopper.Accepted, "pod status RUNNING", 0},
		{"200 status of another form", fault(200, jsonType, `{"id":"testpod","status":{}}`), stopper.Accepted, "pod status not told", 0},
		{"200 about another pod", fault(200, jsonType, `{"id":"other","status":"EXITED"}`), stopper.Invalid, "the answer is about another pod: other", 0},
		{"200 broken off", fault(200, jsonType, `{"id":"testpod","sta`, "Content-Length", "500"), stopper.Accepted, "without the pod in the answer", 0},
		{"200 HTML", runpodtest.HTML(200, "Sign in"), stopper.Failed, `not RunPod's API: an HTML page ("Sign in")`, 0},
		{"200 with a pod called HTML", fault(200, "text/html", `{"id":"testpod","status":"EXITED"}`), stopper.Accepted, "pod status EXITED", 0},
		{"200 without a body called HTML", fault(200, "text/html", ""), stopper.Accepted, "without the pod in the answer", 0},
		{"200 HTML that begins otherwise", fault(200, "text/html", "Sign in <b>here</b>"), stopper.Failed, "not RunPod's API: an HTML page", 0},
		{"200 HTML without its type", fault(200, "", " \n<html>"), stopper.Failed, "not RunPod's API: an HTML page", 0},
		{"200 with a problem", fault(200, jsonType, `{"title":"Forbidden","status":403,"detail":"access denied"}`), stopper.Failed, "a yes that carries an error: Forbidden: access denied", 0},
		{"200 with errors", fault(200, jsonType, `{"id":"testpod","errors":["no"]}`), stopper.Failed, "a yes that carries an error: no", 0},
		{"202", fault(202, jsonType, `{}`), stopper.Accepted, "without the pod in the answer", 0},
		{"204", fault(204, "", ""), stopper.Accepted, "without the pod in the answer", 0},
		{"206", fault(206, jsonType, `{"id":"testpod"}`), stopper.Failed, "unexpected status 206", 0},
		{"redirect", fault(307, "", "", "Location", "https://elsewhere.example/v2?api_key=hunter2"), stopper.Failed, "redirected, not followed: to https://elsewhere.example", 0},
		{"redirect nowhere", fault(302, "", ""), stopper.Failed, "redirected, not followed: no host named", 0},
		{"304", fault(304, "", ""), stopper.Failed, "redirected, not followed: no host named", 0},
		{"400", runpodtest.Problem(400, "bad request"), stopper.Invalid, "Bad Request: bad request", 0},
		{"401", runpodtest.Problem(401, "missing bearer token"), stopper.Denied, "Unauthorized: missing bearer token", 0},
		{"401 by a proxy", runpodtest.HTML(401, "Log on"), stopper.Denied, `blocked before RunPod: an HTML page ("Log on")`, 0},
		{"403", runpodtest.Problem(403, "access denied"), stopper.Denied, "Forbidden: access denied", 0},
		{"403 by Cloudflare", fault(403, "text/plain", "error code: 1010\n"), stopper.Denied, "blocked before RunPod: error code: 1010", 0},
		{"403 by Cloudflare's page", runpodtest.HTML(403, "Attention Required! | Cloudflare"), stopper.Denied, `blocked before RunPod: an HTML page ("Attention Required! | Cloudflare")`, 0},
		{"403 that repeats the key", runpodtest.Problem(403, "key "+key+" may not"), stopper.Denied, "Forbidden: key [secret] may not", 0},
		{"403 without words", fault(403, "", ""), stopper.Denied, "Forbidden", 0},
		{"403 by the migration guide's form", fault(403, jsonType, `{"message":"no"}`), stopper.Denied, "no", 0},
		{"404", runpodtest.Problem(404, "resource not found"), stopper.Gone, "wrong pod id or address: Not Found: resource not found", 0},
		{"405", fault(405, "", ""), stopper.Invalid, "Method Not Allowed", 0},
		{"407", fault(407, "", ""), stopper.Failed, "Proxy Authentication Required", 0},
		{"408", fault(408, "", ""), stopper.Failed, "Request Timeout", 0},
		{"410", fault(410, jsonType, `{"message":"REST v1 is retired"}`), stopper.Gone, "this API was retired: REST v1 is retired", 0},
		{"422", runpodtest.Problem(422, "does not match"), stopper.Invalid, "Unprocessable Entity: does not match", 0},
		{"422 with its reasons", fault(422, problemType, `{"title":"T","status":422,"detail":"D","errors":["one","two"]}`), stopper.Invalid, "T: D: one; two", 0},
		{"429", runpodtest.TooManyRequests("12"), stopper.RetryAfter, "Too Many Requests: rate limit exceeded for the minute window", 12 * time.Second},
		{"429 for a day", runpodtest.TooManyRequests("86400"), stopper.RetryAfter, "Too Many Requests: rate limit exceeded for the minute window", 10 * time.Minute},
		{"429 without a word", fault(429, "", ""), stopper.RetryAfter, "Too Many Requests", 0},
		{"429 by RateLimit", fault(429, "", "", "RateLimit", `"minute";r=0;t=21, "hour";r=5;t=1800`), stopper.RetryAfter, "Too Many Requests", 21 * time.Second},
		{"429 by a date", fault(429, "", "", "Date", "Mon, 02 Nov 2026 10:00:00 GMT", "Retry-After", "Mon, 02 Nov 2026 10:01:30 GMT"), stopper.RetryAfter, "Too Many Requests", 90 * time.Second},
		{"500", runpodtest.Problem(500, "oops"), stopper.Failed, "Internal Server Error: oops", 0},
		{"500 with a pod in it", fault(500, jsonType, `{"id":"testpod","env":{"TOKEN":"hunter2"}}`), stopper.Failed, "Internal Server Error (JSON that names no error)", 0},
		{"500 in half", fault(500, jsonType, `{"env":{"TOKEN":"hunter2"`), stopper.Failed, "Internal Server Error (JSON that names no error)", 0},
		{"502", runpodtest.HTML(502, "Bad gateway"), stopper.Failed, `an HTML page ("Bad gateway")`, 0},
		{"503 with a wait", fault(503, "text/plain", "maintenance", "Retry-After", "30"), stopper.Failed, "maintenance", 30 * time.Second},
		{"520", fault(520, "text/plain", "error code: 520"), stopper.Failed, "error code: 520", 0},
		{"long", fault(500, "text/plain", strings.Repeat("long ", 1000)), stopper.Failed, "long long …", 0},
		{"cut connection", runpodtest.Fault{Drop: true}, stopper.Failed, "EOF", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, runpodtest.Options{}, true)
			b.server.Inject(runpodtest.V2Action, c.fault)
			got := b.stop(t, "v2_action")
			begin, open := strings.CutSuffix(c.detail, "…")
			if got.Kind != c.want || got.Status != c.fault.Status || got.RetryAfter != c.wait ||
				got.Detail != c.detail && !(open && strings.HasPrefix(got.Detail, begin)) {
				t.Errorf("got %s (status %d, wait %s) %q\nwant %s (status %d, wait %s) %q",
					got.Kind, got.Status, got.RetryAfter, got.Detail, c.want, c.fault.Status, c.wait, c.detail)
			}
			want := "v2_action"
			if c.fault.Status == 400 {
				want += " v2_read" // is there a network volume?
			}
			if calls := b.calls(); calls != want {
				t.Errorf("calls: %s", calls)
			}
		})
	}
}

func TestAConflictIsLookedInto(t *testing.T) {
	for _, c := range []struct {
		name   string
		opts   runpodtest.Options
		fault  runpodtest.Fault // of reads, where it has a status
		want   stopper.Kind
		detail string
	}{
		{"stopped already", runpodtest.Options{Status: runpodtest.Exited}, runpodtest.Fault{}, stopper.AlreadyStopped, "pod status EXITED"},
		{"gone meanwhile", runpodtest.Options{Status: runpodtest.Exited}, fault(200, jsonType, `{"id":"testpod","status":"TERMINATED"}`), stopper.AlreadyStopped, "pod status TERMINATED"},
		{"locked", runpodtest.Options{Locked: true, CostUSDPerHour: 1}, runpodtest.Fault{}, stopper.Invalid, "Conflict: pod is locked; the pod is locked (status RUNNING): unlock it to let it be stopped"},
		{"in error", runpodtest.Options{Status: runpodtest.Error}, runpodtest.Fault{}, stopper.Invalid, "Conflict: action stop is not valid for status ERROR; pod status ERROR, perhaps locked"},
		{"stopped, told by GraphQL", runpodtest.Options{Status: runpodtest.Exited, Refused: []runpodtest.Call{runpodtest.V2Read}}, runpodtest.Fault{}, stopper.AlreadyStopped, "pod status EXITED"},
		{
			"not readable", runpodtest.Options{Status: runpodtest.Exited, Refused: []runpodtest.Call{runpodtest.V2Read, runpodtest.GraphQLRead}},
			runpodtest.Fault{}, stopper.Invalid,
			"Conflict: action stop is not valid for status EXITED; the pod's status cannot be read: describe pod testpod: read v2: denied (HTTP 403): Forbidden: access denied; read graphql: denied (HTTP 200): Unauthorized",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.opts, c.fault.Status != 0)
			if c.fault.Status != 0 {
				b.server.Inject(runpodtest.V2Read, c.fault)
			}
			got := b.stop(t, "v2_action")
			if got.Kind != c.want || got.Status != 409 || got.Detail != c.detail {
				t.Errorf("got %s (%d) %q\nwant %s (409) %q", got.Kind, got.Status, got.Detail, c.want, c.detail)
			}
		})
	}
}

func TestAServerThatNeverAnswers(t *testing.T) {
	short := func(c *runpod.Config) { c.Timeout = 50 * time.Millisecond }
	b := newBench(t, runpodtest.Options{}, true, short)
	b.server.Inject(runpodtest.V2Action, runpodtest.Fault{Hang: true})
	b.server.Inject(runpodtest.GraphQLStop, runpodtest.Fault{Hang: true})
	for _, name := range []string{"v2_action", "graphql"} {
		start := time.Now()
		answer := b.stop(t, name)
		if answer.Kind != stopper.Failed || answer.Status != 0 || answer.Detail != "no answer in time: context deadline exceeded" {
			t.Errorf("%s: %+v", name, answer)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s took %s", name, took)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	b := newBench(t, runpodtest.Options{}, true)
	b.server.Close()
	for _, name := range []string{"v2_action", "graphql"} {
		if answer := b.stop(t, name); answer.Kind != stopper.Failed || !strings.Contains(answer.Detail, "connection refused") {
			t.Errorf("%s: %+v", name, answer)
		}
	}
}
