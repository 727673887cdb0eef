package runpod_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

func TestStopByGraphQL(t *testing.T) {
	b := newBench(t, runpodtest.Options{Refused: []runpodtest.Call{runpodtest.V2Action}}, false)
	answer := b.stop(t, "graphql")
	if answer.Kind != stopper.Accepted || answer.Status != 200 || answer.Detail != "desired status EXITED" {
		t.Errorf("answer %+v", answer)
	}
	if b.server.Status() != runpodtest.Exited {
		t.Errorf("the pod is %s", b.server.Status())
	}
	request := b.server.Requests()[0]
	var body struct {
		Query     string
		Variables map[string]string
	}
	if err := json.Unmarshal(request.Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Variables["podId"] != "testpod" || strings.Contains(body.Query, "testpod") || !strings.Contains(body.Query, "podStop(input: {podId: $podId})") {
		t.Errorf("body %s", request.Body)
	}
	if request.Query != "" || request.Header.Get("Authorization") != "Bearer "+key || request.Header.Get("User-Agent") != "gpu-watchdog/test" {
		t.Errorf("query %q, headers %v", request.Query, request.Header)
	}
}

func TestGraphQLClassification(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  runpodtest.Fault
		want   stopper.Kind
		detail string
		wait   time.Duration
	}{
		{"no status told", fault(200, jsonType, `{"data":{"podStop":{"id":"testpod"}}}`), stopper.Accepted, "desired status not told", 0},
		{"no errors in errors", fault(200, jsonType, `{"data":{"podStop":{"id":"testpod","desiredStatus":"EXITED"}},"errors": [ ]}`), stopper.Accepted, "desired status EXITED", 0},
		{"errors of null", fault(200, jsonType, `{"data":{"podStop":{"id":"testpod","desiredStatus":"EXITED"}},"errors":null}`), stopper.Accepted, "desired status EXITED", 0},
		{"data beside an error", fault(200, jsonType, `{"data":{"podStop":{"id":"testpod"}},"errors":[{"message":"half"}]}`), stopper.Failed, "half", 0},
		{"another pod", fault(200, jsonType, `{"data":{"podStop":{"id":"other"}}}`), stopper.Invalid, "the answer is about another pod: other", 0},
		{"no pod", fault(200, jsonType, `{"data":{"podStop":null}}`), stopper.Failed, "no pod in the answer", 0},
		{"the answer to another question", fault(200, jsonType, `{"data":{"pod":{"id":"testpod"}}}`), stopper.Failed, "no pod in the answer", 0},
		{"no data", fault(200, jsonType, `{}`), stopper.Failed, "no pod in the answer", 0},
		{"data of another form", fault(200, jsonType, `{"data":"yes"}`), stopper.Failed, "no pod in the answer", 0},
		{"empty", fault(200, jsonType, ``), stopper.Failed, "an answer that is no JSON", 0},
		{"in half", fault(200, jsonType, `{"data":{"podStop":{"id":"testpod"`), stopper.Failed, "an answer that is no JSON", 0},
		{"HTML", runpodtest.HTML(200, "Just a moment..."), stopper.Failed, `not RunPod's API: an HTML page ("Just a moment...")`, 0},
		{"unauthorized", fault(200, jsonType, `{"errors":[{"message":"Unauthorized","path":["podStop"]}],"data":{"podStop":null}}`), stopper.Denied, "Unauthorized", 0},
		{"unauthorized by code", fault(200, jsonType, `{"errors":[{"message":"No.","extensions":{"code":"UNAUTHENTICATED"}}]}`), stopper.Denied, "No. UNAUTHENTICATED", 0},
		{"not found", fault(200, jsonType, `{"errors":[{"message":"pod not found to stop"}]}`), stopper.Gone, "pod not found to stop", 0},
		{"anything", fault(200, jsonType, `{"errors":[{"message":"Something went wrong.","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`), stopper.Failed, "Something went wrong. INTERNAL_SERVER_ERROR", 0},
		{"errors as a string", fault(200, jsonType, `{"errors":"Unauthorized"}`), stopper.Denied, "Unauthorized", 0},
		{"errors as strings", fault(200, jsonType, `{"errors":["one","two"]}`), stopper.Failed, "one; two", 0},
		{"errors as an object", fault(200, jsonType, `{"errors":{"message":"access denied"}}`), stopper.Denied, "access denied", 0},
		{"errors without words", fault(200, jsonType, `{"errors":[7]}`), stopper.Failed, "an error without words", 0},
		{"rate limit in words", fault(200, jsonType, `{"errors":[{"message":"Too Many Requests"}]}`, "Retry-After", "7"), stopper.RetryAfter, "Too Many Requests", 7 * time.Second},
		{"an error that repeats the key", fault(200, jsonType, `{"errors":[{"message":"token `+key+` at https://x.example/graphql?api_key=hunter2"}]}`), stopper.Failed, "token [secret] at https://x.example/graphql", 0},
		{"400", fault(400, jsonType, `{"errors":[{"message":"Variable \"$podId\" of required type"}]}`), stopper.Invalid, `Variable "$podId" of required type`, 0},
		{"400 that means a key", fault(400, jsonType, `{"errors":[{"message":"Unauthorized"}]}`), stopper.Denied, "Unauthorized", 0},
		{"401", fault(401, jsonType, `{"errors":[{"message":"nope"}]}`), stopper.Denied, "nope", 0},
		{"403 by Cloudflare", fault(403, "text/plain", "error code: 1010"), stopper.Denied, "blocked before RunPod: error code: 1010", 0},
		{"404", fault(404, "", ""), stopper.Gone, "wrong pod id or address: Not Found", 0},
		{"410", fault(410, jsonType, `{"error":"GraphQL is retired"}`), stopper.Gone, "this API was retired: GraphQL is retired", 0},
		{"429", runpodtest.TooManyRequests("3"), stopper.RetryAfter, "Too Many Requests: rate limit exceeded for the minute window", 3 * time.Second},
		{"500", fault(500, jsonType, `{"errors":[{"message":"oops"}]}`), stopper.Failed, "oops", 0},
		{"201", fault(201, jsonType, `{"data":{"podStop":{"id":"testpod"}}}`), stopper.Failed, "unexpected status: Created (JSON that names no error)", 0},
		{"cut connection", runpodtest.Fault{Drop: true}, stopper.Failed, "EOF", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, runpodtest.Options{}, true)
			b.server.Inject(runpodtest.GraphQLStop, c.fault)
			got := b.stop(t, "graphql")
			if got.Kind != c.want || got.Status != c.fault.Status || got.RetryAfter != c.wait || got.Detail != c.detail {
				t.Errorf("got %s (status %d, wait %s) %q\nwant %s (status %d, wait %s) %q",
					got.Kind, got.Status, got.RetryAfter, got.Detail, c.want, c.fault.Status, c.wait, c.detail)
			}
		})
	}
}
