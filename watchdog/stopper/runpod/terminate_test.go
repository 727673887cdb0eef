package runpod_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// action makes a client that does another thing than to stop.
func action(word string) func(*runpod.Config) { return func(c *runpod.Config) { c.Action = word } }

// withoutData are the pods with which nothing is lost.
var withoutData = map[string]runpodtest.Options{
	"network volume": {NetworkVolume: "vol_1", CostUSDPerHour: 1},
	"no volume":      {VolumeGB: -1, CostUSDPerHour: 1},
}

func TestTerminateByV2(t *testing.T) {
	for name, opts := range withoutData {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, opts, false, action(runpod.ActionTerminate))
			answer := b.stop(t, "v2_action")
			if answer.Kind != stopper.Accepted || answer.Status != 204 {
				t.Errorf("answer %+v", answer)
			}
			if b.server.Status() != runpodtest.Terminated || b.server.Stops() != 0 {
				t.Errorf("the pod is %s, after %d stops", b.server.Status(), b.server.Stops())
			}
			if calls := b.calls(); calls != "v2_read v2_action" {
				t.Errorf("calls: %s", calls)
			}
			if body := string(b.server.Requests()[1].Body); body != `{"action":"terminate"}` {
				t.Errorf("body %s", body)
			}
		})
	}
}

func TestTerminateByGraphQL(t *testing.T) {
	for name, opts := range withoutData {
		t.Run(name, func(t *testing.T) {
			opts.Refused = []runpodtest.Call{runpodtest.V2Read, runpodtest.V2Action}
			b := newBench(t, opts, false, action(runpod.ActionTerminate))
			answer := b.stop(t, "graphql")
			if answer.Kind != stopper.Accepted || answer.Status != 200 || answer.Detail != "podTerminate answered null, which is its yes" {
				t.Errorf("answer %+v", answer)
			}
			if b.server.Status() != runpodtest.Terminated || b.server.Stops() != 0 {
				t.Errorf("the pod is %s, after %d stops", b.server.Status(), b.server.Stops())
			}
			if calls := b.calls(); calls != "v2_read graphql_read graphql_terminate" {
				t.Errorf("calls: %s", calls)
			}
			var body struct {
				Query     string
				Variables map[string]string
			}
			if err := json.Unmarshal(b.server.Requests()[2].Body, &body); err != nil || body.Variables["podId"] != "testpod" ||
				strings.Contains(body.Query, "testpod") || strings.Contains(body.Query, "podStop") {
				t.Errorf("error %v, body %+v", err, body)
			}
		})
	}
}

// TestTheWordOfTheAction: each word asks for its own thing and for no other, and only the middle one looks first.
func TestTheWordOfTheAction(t *testing.T) {
	for _, c := range []struct{ word, target, then, calls string }{
		{"", "stop", runpodtest.Exited, "v2_action"},
		{runpod.ActionStop, "stop", runpodtest.Exited, "v2_action"},
		{runpod.ActionTerminate, "terminate", runpodtest.Running, "v2_read"},
		{runpod.ActionLoseData, "terminate-and-lose-data", runpodtest.Terminated, "v2_action"},
	} {
		t.Run("action "+c.word, func(t *testing.T) {
			b := newBench(t, runpodtest.Options{}, false, action(c.word))
			if got := b.Target().Action; got != c.target {
				t.Errorf("target's action %q, want %q", got, c.target)
			}
			b.stop(t, "v2_action")
			if b.server.Status() != c.then || b.calls() != c.calls {
				t.Errorf("the pod is %s after %s; want %s after %s", b.server.Status(), b.calls(), c.then, c.calls)
			}
		})
	}
}

const (
	refusal  = "not terminated: "
	remedies = "set WATCHDOG_STOP_ACTION=stop to keep it, or terminate-and-lose-data to give it up"
	unsure   = refusal + "whether a volume of the pod's own would be lost is unknown; " + remedies + ": describe pod testpod: "
)

// TestTheSecondLock: with "terminate" no rung does a thing where data would be lost or where that is unknown, and says why.
func TestTheSecondLock(t *testing.T) {
	secret := `"env":{"TOKEN":"hunter2","KEY":"` + key + `"}`
	pod := func(rest string) runpodtest.Fault {
		return fault(200, jsonType, `{"id":"testpod","status":"RUNNING","cost":1,`+secret+rest+`}`)
	}
	graphqlPod := func(fields string) runpodtest.Fault {
		return fault(200, jsonType, `{"data":{"pod":{"id":"testpod"`+fields+`}}}`)
	}
	for _, c := range []struct {
		name    string
		opts    runpodtest.Options
		v2, gql runpodtest.Fault // of reads, where they have a status or are cut
		want    stopper.Kind
		wait    time.Duration
		// detail is what Detail is, where it ends in … what it begins with.
		detail string
	}{
		{
			name: "volume disk", opts: runpodtest.Options{VolumeGB: 100}, want: stopper.Invalid,
			detail: refusal + "the pod's own volume disk of 100 GB at /workspace would be lost; " + remedies,
		},
		{
			name: "volume disk, told by GraphQL", opts: runpodtest.Options{VolumeGB: 100, Refused: []runpodtest.Call{runpodtest.V2Read}}, want: stopper.Invalid,
			detail: refusal + "the pod's own volume disk of 100 GB would be lost; " + remedies,
		},
		{
			name: "volume disk of unknown size", v2: pod(`,"mounts":{"persistent":{}}`), want: stopper.Invalid,
			detail: refusal + "the pod's own volume disk would be lost; " + remedies,
		},
		{
			name: "volume disk beside a network volume", v2: pod(`,"mounts":{"persistent":{"size":10,"path":"/d"},"network":[{"volumeId":"v","path":"/p"}]}`), want: stopper.Invalid,
			detail: refusal + "the pod's own volume disk of 10 GB at /d would be lost; " + remedies,
		},
		{
			name: "a secret for a path", v2: pod(`,"mounts":{"persistent":{"size":10,"path":"/` + key + `"}}`), want: stopper.Invalid,
			detail: refusal + "the pod's own volume disk of 10 GB at /[secret] would be lost; " + remedies,
		},
		{
			name: "no mounts in either answer", v2: pod(``), gql: graphqlPod(``), want: stopper.Failed,
			detail: unsure + "read v2: failed (HTTP 200): no mounts in the answer …",
		},
		{
			name: "mounts of a kind that nobody knows", v2: pod(`,"mounts":{"ephemeral":[]}`), gql: graphqlPod(`,"volumeInGb":null`), want: stopper.Failed,
			detail: unsure + "read v2: failed (HTTP 200): no mounts in the answer …",
		},
		{
			name: "a key that may not read", opts: runpodtest.Options{VolumeGB: -1, Refused: []runpodtest.Call{runpodtest.V2Read, runpodtest.GraphQLRead}}, want: stopper.Denied,
			detail: unsure + "read v2: denied (HTTP 403): Forb…",
		},
		{
			name: "a key that one may not read, and another does not answer", opts: runpodtest.Options{VolumeGB: -1, Refused: []runpodtest.Call{runpodtest.GraphQLRead}},
			v2: runpodtest.Fault{Drop: true}, want: stopper.Denied, detail: unsure + "read v2: failed: EOF; read graphql: d…",
		},
		{
			name: "GraphQL knows the field no more", v2: runpodtest.HTML(502, "Bad gateway"),
			gql:  fault(400, jsonType, `{"errors":[{"message":"Cannot query field \"volumeInGb\" on type \"Pod\"."}]}`),
			want: stopper.Failed, detail: unsure + "read v2: failed (HTTP 502): an HTML…",
		},
		{
			name: "too many requests", v2: runpodtest.TooManyRequests("20"), gql: runpodtest.TooManyRequests("70"), want: stopper.RetryAfter, wait: 70 * time.Second,
			detail: unsure + "read v2: retry_after (HTTP 429): …",
		},
		{
			name: "not there", v2: runpodtest.Problem(404, "pod not found"), gql: fault(200, jsonType, `{"errors":[{"message":"pod not found"}]}`), want: stopper.Gone,
			detail: unsure + "read v2: gone (HTTP 404): wrong p…",
		},
		{
			name: "another pod", v2: fault(200, jsonType, `{"id":"other","mounts":{},`+secret+`}`), gql: fault(200, jsonType, `{"data":{"pod":{"id":"other","volumeInGb":0}}}`),
			want: stopper.Invalid, detail: unsure + "read v2: invalid (HTTP 200): the …",
		},
		{
			name: "half an answer", v2: fault(200, jsonType, `{"id":"testpod","mounts":{},`+secret), gql: fault(200, jsonType, `{"data":{"pod":{"id":"testpod","volumeInGb":0`),
			want: stopper.Failed, detail: unsure + "read v2: failed (HTTP 200): an an…",
		},
		{
			name: "a page instead", v2: runpodtest.HTML(200, "Sign in"), gql: runpodtest.HTML(200, "Sign in"),
			want: stopper.Failed, detail: unsure + "read v2: failed (HTTP 200): not R…",
		},
		{
			name: "no connection", v2: runpodtest.Fault{Drop: true}, gql: runpodtest.Fault{Drop: true},
			want: stopper.Failed, detail: unsure + "read v2: failed: EOF; read graphq…",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			change, runs := script(t, "echo removed")
			c.opts.CostUSDPerHour = 1
			c.v2.Forever, c.gql.Forever = true, true
			faulty := c.v2.Status != 0 || c.v2.Drop
			b := newBench(t, c.opts, faulty, change, action(runpod.ActionTerminate))
			if faulty {
				b.server.Inject(runpodtest.V2Read, c.v2)
			}
			if c.gql.Status != 0 || c.gql.Drop {
				b.server.Inject(runpodtest.GraphQLRead, c.gql)
			}
			for _, rung := range b.Rungs() {
				got := b.stop(t, rung.Name())
				begin, open := strings.CutSuffix(c.detail, "…")
				if got.Kind != c.want || got.RetryAfter != c.wait || got.Detail != c.detail && !(open && strings.HasPrefix(got.Detail, begin)) {
					t.Errorf("%s: got %s (wait %s) %q\nwant %s (wait %s) %q", rung.Name(), got.Kind, got.RetryAfter, got.Detail, c.want, c.wait, c.detail)
				}
			}
			for _, r := range b.server.Requests() {
				if r.Call != runpodtest.V2Read && r.Call != runpodtest.GraphQLRead {
					t.Errorf("a lock that is shut let %s through", r.Call)
				}
			}
			if _, err := os.Stat(runs); !errors.Is(err, os.ErrNotExist) {
				t.Error("runpodctl ran")
			}
			if b.server.Status() != runpodtest.Running || b.server.Terminations() != 0 {
				t.Errorf("the pod is %s", b.server.Status())
			}
		})
	}
}

// TestTheSecondLockHangs: a read that never ends is no leave.
func TestTheSecondLockHangs(t *testing.T) {
	b := newBench(t, runpodtest.Options{VolumeGB: -1}, true, action(runpod.ActionTerminate), func(c *runpod.Config) { c.Timeout = 50 * time.Millisecond })
	b.server.Inject(runpodtest.V2Read, runpodtest.Fault{Hang: true, Forever: true})
	b.server.Inject(runpodtest.GraphQLRead, runpodtest.Fault{Hang: true, Forever: true})
	for _, name := range []string{"v2_action", "graphql"} {
		if got := b.stop(t, name); got.Kind != stopper.Failed || !strings.HasPrefix(got.Detail, unsure+"read v2: failed: no answer") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := b.Rungs()[0].Stop(ctx); got.Kind.Done() || !strings.Contains(got.Detail, "given up") {
		t.Errorf("given up: %+v", got)
	}
	if b.server.Terminations() != 0 {
		t.Error("the pod was terminated")
	}
}

// TestTheLockIsTriedByEveryAttempt: what was right a moment ago is not what is deleted now.
func TestTheLockIsTriedByEveryAttempt(t *testing.T) {
	b := newBench(t, runpodtest.Options{NetworkVolume: "vol_1", NeverStops: true}, true, action(runpod.ActionTerminate))
	if got := b.stop(t, "v2_action"); got.Kind != stopper.Accepted {
		t.Errorf("first: %+v", got)
	}
	b.server.Inject(runpodtest.V2Read, fault(200, jsonType, `{"id":"testpod","mounts":{"persistent":{"size":20,"path":"/w"}}}`))
	if got := b.stop(t, "v2_action"); got.Kind != stopper.Invalid || b.server.Terminations() != 1 {
		t.Errorf("second: %+v, %d terminations", got, b.server.Terminations())
	}
}

// TestLosingDataIsOnlyDoneByItsWord: the pod goes with its volume, by each rung, and nothing is read.
func TestLosingDataIsOnlyDoneByItsWord(t *testing.T) {
	for name, calls := range map[string]string{"v2_action": "v2_action", "graphql": "graphql_terminate", "runpodctl": ""} {
		change, runs := script(t, "echo removed")
		b := newBench(t, runpodtest.Options{VolumeGB: 100}, false, change, action(runpod.ActionLoseData))
		if got := b.stop(t, name); got.Kind != stopper.Accepted {
			t.Errorf("%s: %+v", name, got)
		}
		if b.calls() != calls {
			t.Errorf("%s: calls %s, want %s", name, b.calls(), calls)
		}
		if name == "runpodctl" {
			if ran := read(t, runs); ran != "remove pod testpod\n" {
				t.Errorf("ran %q", ran)
			}
		} else if b.server.Status() != runpodtest.Terminated {
			t.Errorf("%s: the pod is %s", name, b.server.Status())
		}
	}
}

// TestTerminateByV2Classification is shorter than the stops' table, whose rows go through the same code.
func TestTerminateByV2Classification(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  runpodtest.Fault
		want   stopper.Kind
		detail string
		wait   time.Duration
	}{
		{"204", fault(204, "", ""), stopper.Accepted, "without the pod in the answer", 0},
		{"200 with the pod", fault(200, jsonType, `{"id":"testpod","status":"TERMINATED","env":{"A":"hunter2"}}`), stopper.Accepted, "pod status TERMINATED", 0},
		{"200 about another pod", fault(200, jsonType, `{"id":"other","status":"TERMINATED"}`), stopper.Invalid, "the answer is about another pod: other", 0},
		{"200 HTML", runpodtest.HTML(200, "Sign in"), stopper.Failed, `not RunPod's API: an HTML page ("Sign in")`, 0},
		{"200 with a problem", fault(200, jsonType, `{"title":"Forbidden","status":403,"detail":"access denied"}`), stopper.Failed, "a yes that carries an error: Forbidden: access denied", 0},
		{"redirect", fault(307, "", "", "Location", "https://elsewhere.example/v2"), stopper.Failed, "redirected, not followed: to https://elsewhere.example", 0},
		{"400", runpodtest.Problem(400, "bad request"), stopper.Invalid, "Bad Request: bad request", 0},
		{"401", runpodtest.Problem(401, "missing bearer token"), stopper.Denied, "Unauthorized: missing bearer token", 0},
		{"403", runpodtest.Problem(403, "access denied"), stopper.Denied, "Forbidden: access denied", 0},
		{"403 by Cloudflare", fault(403, "text/plain", "error code: 1010\n"), stopper.Denied, "blocked before RunPod: error code: 1010", 0},
		{"404", runpodtest.Problem(404, "pod not found"), stopper.Gone, "wrong pod id or address: Not Found: pod not found", 0},
		{"410", fault(410, "", ""), stopper.Gone, "this API was retired: Gone", 0},
		{"422", runpodtest.Problem(422, "does not match"), stopper.Invalid, "Unprocessable Entity: does not match", 0},
		{"429", runpodtest.TooManyRequests("12"), stopper.RetryAfter, "Too Many Requests: rate limit exceeded for the minute window", 12 * time.Second},
		{"500", runpodtest.Problem(500, "network volume is not there"), stopper.Failed, "Internal Server Error: network volume is not there", 0},
		{"cut connection", runpodtest.Fault{Drop: true}, stopper.Failed, "EOF", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, runpodtest.Options{VolumeGB: -1}, true, action(runpod.ActionTerminate))
			b.server.Inject(runpodtest.V2Action, c.fault)
			got := b.stop(t, "v2_action")
			if got.Kind != c.want || got.Status != c.fault.Status || got.RetryAfter != c.wait || got.Detail != c.detail {
				t.Errorf("got %s (status %d, wait %s) %q\nwant %s (status %d, wait %s) %q",
					got.Kind, got.Status, got.RetryAfter, got.Detail, c.want, c.fault.Status, c.wait, c.detail)
			}
		})
	}
}

func TestTerminateByGraphQLClassification(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  runpodtest.Fault
		want   stopper.Kind
		detail string
		wait   time.Duration
	}{
		{"null", fault(200, jsonType, `{"data":{"podTerminate":null}}`), stopper.Accepted, "podTerminate answered null, which is its yes", 0},
		{"null, and errors of null", fault(200, jsonType, `{"data":{"podTerminate": null},"errors":null}`), stopper.Accepted, "podTerminate answered null, which is its yes", 0},
		{"null beside an error", fault(200, jsonType, `{"data":{"podTerminate":null},"errors":[{"message":"no"}]}`), stopper.Failed, "no", 0},
		{"false", fault(200, jsonType, `{"data":{"podTerminate":false}}`), stopper.Failed, "podTerminate answered something else than null", 0},
		{"a pod", fault(200, jsonType, `{"data":{"podTerminate":{"id":"testpod","env":["hunter2"]}}}`), stopper.Failed, "podTerminate answered something else than null", 0},
		{"the answer to another question", fault(200, jsonType, `{"data":{"podStop":{"id":"testpod"}}}`), stopper.Failed, "no podTerminate in the answer", 0},
		{"no data", fault(200, jsonType, `{}`), stopper.Failed, "no podTerminate in the answer", 0},
		{"data of null", fault(200, jsonType, `{"data":null}`), stopper.Failed, "no podTerminate in the answer", 0},
		{"data of another form", fault(200, jsonType, `{"data":"podTerminate"}`), stopper.Failed, "no podTerminate in the answer", 0},
		{"empty", fault(200, jsonType, ``), stopper.Failed, "an answer that is no JSON", 0},
		{"in half", fault(200, jsonType, `{"data":{"podTerminate":null`), stopper.Failed, "an answer that is no JSON", 0},
		{"HTML", runpodtest.HTML(200, "Just a moment..."), stopper.Failed, `not RunPod's API: an HTML page ("Just a moment...")`, 0},
		{"unauthorized", fault(200, jsonType, `{"errors":[{"message":"Unauthorized","path":["podTerminate"]}],"data":{"podTerminate":null}}`), stopper.Denied, "Unauthorized", 0},
		{"not found", fault(200, jsonType, `{"errors":[{"message":"pod not found to terminate"}],"data":{"podTerminate":null}}`), stopper.Gone, "pod not found to terminate", 0},
		{"rate limit in words", fault(200, jsonType, `{"errors":[{"message":"Too Many Requests"}]}`, "Retry-After", "7"), stopper.RetryAfter, "Too Many Requests", 7 * time.Second},
		{"400", fault(400, jsonType, `{"errors":[{"message":"Unknown argument"}]}`), stopper.Invalid, "Unknown argument", 0},
		{"401", fault(401, jsonType, `{"errors":[{"message":"nope"}]}`), stopper.Denied, "nope", 0},
		{"404", fault(404, "", ""), stopper.Gone, "wrong pod id or address: Not Found", 0},
		{"410", fault(410, jsonType, `{"error":"GraphQL is retired"}`), stopper.Gone, "this API was retired: GraphQL is retired", 0},
		{"429", runpodtest.TooManyRequests("3"), stopper.RetryAfter, "Too Many Requests: rate limit exceeded for the minute window", 3 * time.Second},
		{"500", fault(500, jsonType, `{"data":{"podTerminate":null}}`), stopper.Failed, "Internal Server Error (JSON that names no error)", 0},
		{"204", fault(204, "", ""), stopper.Failed, "unexpected status: No Content", 0},
		{"cut connection", runpodtest.Fault{Drop: true}, stopper.Failed, "EOF", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, runpodtest.Options{VolumeGB: -1}, true, action(runpod.ActionTerminate))
			b.server.Inject(runpodtest.GraphQLTerminate, c.fault)
			got := b.stop(t, "graphql")
			if got.Kind != c.want || got.Status != c.fault.Status || got.RetryAfter != c.wait || got.Detail != c.detail {
				t.Errorf("got %s (status %d, wait %s) %q\nwant %s (status %d, wait %s) %q",
					got.Kind, got.Status, got.RetryAfter, got.Detail, c.want, c.fault.Status, c.wait, c.detail)
			}
		})
	}
}

const (
	oldRemove = `[ "$1 $2" = "remove pod" ]`
	newDelete = `[ "$1 $2" = "pod delete" ]`
)

func TestTerminateByRunpodctl(t *testing.T) {
	const both = "remove pod testpod\npod delete testpod\n"
	for _, c := range []struct {
		name, body string
		want       stopper.Kind
		detail     string
		runs       string
	}{
		{"old", oldRemove + " || " + unknown + `; echo "pod \"$3\" removed"`, stopper.Accepted, `remove pod: pod "testpod" removed`, "remove pod testpod\n"},
		{"new", newDelete + " || " + unknown + `; printf '{\n  "deleted": true,\n  "id": "%s"\n}\n' "$3"`, stopper.Accepted, `pod delete: { "deleted": true, "id": "testpod" }`, both},
		{"neither", unknown, stopper.Invalid, "remove pod: unknown to this runpodctl; pod delete: unknown to this runpodctl", both},
		{"gone", oldRemove + " || " + unknown + `; echo "Error: pod not found to terminate" >&2; exit 1`, stopper.Gone, "remove pod: Error: pod not found to terminate; pod delete: unknown to this runpodctl", both},
		{"denied", `echo "Error: api error: forbidden (status 403)"; exit 1`, stopper.Denied, "remove pod: Error: api error: forbidden (status 403); pod delete: Error: api error: forbidden (status 403)", both},
		{"retired", newDelete + " || " + unknown + `; echo "Error: api error: REST v1 is retired (status 410)"; exit 1`, stopper.Gone, "remove pod: unknown to this runpodctl; pod delete: Error: api error: REST v1 is retired (status 410)", both},
	} {
		t.Run(c.name, func(t *testing.T) {
			change, runs := script(t, c.body)
			b := newBench(t, runpodtest.Options{NetworkVolume: "vol_1"}, false, change, action(runpod.ActionTerminate))
			got := b.stop(t, "runpodctl")
			if got.Kind != c.want || got.Detail != c.detail {
				t.Errorf("got %s %q\nwant %s %q", got.Kind, got.Detail, c.want, c.detail)
			}
			if ran := read(t, runs); ran != c.runs {
				t.Errorf("ran %q, want %q", ran, c.runs)
			}
			if calls := b.calls(); calls != "v2_read" {
				t.Errorf("calls: %s", calls)
			}
		})
	}
}

func TestAConflictOfATermination(t *testing.T) {
	conflict := runpodtest.Problem(409, "no")
	for _, c := range []struct {
		name   string
		opts   runpodtest.Options
		read   runpodtest.Fault
		want   stopper.Kind
		detail string
	}{
		{"gone meanwhile", runpodtest.Options{}, fault(200, jsonType, `{"id":"testpod","status":"TERMINATED"}`), stopper.AlreadyStopped, "pod status TERMINATED"},
		{"stopped, so not deleted", runpodtest.Options{Status: runpodtest.Exited}, runpodtest.Fault{}, stopper.Invalid, "Conflict: no; pod status EXITED, perhaps locked or part of a cluster"},
		{"locked", runpodtest.Options{Locked: true, CostUSDPerHour: 1}, runpodtest.Fault{}, stopper.Invalid, "Conflict: no; the pod is locked (status RUNNING): unlock it to let it be terminated"},
		{"of a cluster", runpodtest.Options{CostUSDPerHour: 1, NetworkVolume: "vol_1"}, runpodtest.Fault{}, stopper.Invalid, "Conflict: no; pod status RUNNING, perhaps locked or part of a cluster"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.opts, true, action(runpod.ActionLoseData))
			b.server.Inject(runpodtest.V2Action, conflict)
			if c.read.Status != 0 {
				b.server.Inject(runpodtest.V2Read, c.read)
			}
			got := b.stop(t, "v2_action")
			if got.Kind != c.want || got.Status != 409 || got.Detail != c.detail {
				t.Errorf("got %s (%d) %q\nwant %s (409) %q", got.Kind, got.Status, got.Detail, c.want, c.detail)
			}
		})
	}
}

// TestWhoAsksAgainStillLives: after a termination that was accepted RunPod knows the pod no more, and that is no success.
func TestWhoAsksAgainStillLives(t *testing.T) {
	for _, word := range []string{runpod.ActionTerminate, runpod.ActionLoseData} {
		b := newBench(t, runpodtest.Options{VolumeGB: -1}, false, action(word))
		ladder := stopper.NewLadder(nil, stopper.Flight{Target: b.Target(), Rungs: b.Rungs(), Each: 10 * time.Second})
		if report := ladder.Stop(t.Context()); report.Phase != watchdog.StopAccepted || report.Rung != "v2_action" {
			t.Errorf("%s, first: %+v", word, report)
		}
		for _, name := range []string{"v2_action", "graphql"} {
			if got := b.stop(t, name); got.Kind != stopper.Gone {
				t.Errorf("%s, then %s: %+v", word, name, got)
			}
		}
		report := ladder.Stop(t.Context())
		checkShown(t, report.Detail)
		if report.Phase != watchdog.StopRefused || b.server.Terminations() != 1 {
			t.Errorf("%s, again: %+v", word, report)
		}
	}
}

// TestTheWholeLadderOfATermination against one RunPod, by what the key may do.
func TestTheWholeLadderOfATermination(t *testing.T) {
	no := func(calls ...runpodtest.Call) []runpodtest.Call { return calls }
	for _, c := range []struct {
		name    string
		refused []runpodtest.Call
		ctl     string
		want    string // the rung that said yes
		asked   string
	}{
		{"v2 says yes", nil, "exit 1", "v2_action", "v2_read v2_action"},
		{"v2 denies", no(runpodtest.V2Action), "exit 1", "graphql", "v2_read v2_action v2_read graphql_terminate"},
		{"v2 denies all", no(runpodtest.V2Action, runpodtest.V2Read), "exit 1", "graphql", "v2_read graphql_read v2_action v2_read graphql_read graphql_terminate"},
		{"both deny", no(runpodtest.V2Action, runpodtest.GraphQLTerminate), "echo removed", "runpodctl", "v2_read v2_action v2_read graphql_terminate v2_read"},
		{"all deny", no(runpodtest.V2Action, runpodtest.GraphQLTerminate), "echo 403; exit 1", "", "v2_read v2_action v2_read graphql_terminate v2_read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			change, _ := script(t, c.ctl)
			ended := make(chan struct{}, 2)
			b := newBench(t, runpodtest.Options{
				NetworkVolume: "vol_1", CostUSDPerHour: 1, Refused: c.refused, OnStop: func() { ended <- struct{}{} },
				Env: map[string]string{"TOKEN": "hunter2"},
			}, false, change, action(runpod.ActionTerminate))
			ladder := stopper.NewLadder(nil, stopper.Flight{Target: b.Target(), Rungs: b.Rungs(), Each: 10 * time.Second})
			report := ladder.Stop(t.Context())
			checkShown(t, report.Detail)
			if report.Rung != c.want || (report.Phase == watchdog.StopAccepted) != (c.want != "") {
				t.Errorf("report %+v", report)
			}
			if b.calls() != c.asked {
				t.Errorf("asked %s\nwant  %s", b.calls(), c.asked)
			}
			b.server.Close() // waits for the hook
			if byAPI := c.want == "v2_action" || c.want == "graphql"; (len(ended) == 1) != byAPI {
				t.Errorf("RunPod ended the pod %d times", len(ended))
			}
		})
	}
}

func TestWouldLose(t *testing.T) {
	for _, c := range []struct {
		name string
		opts runpodtest.Options
		want string
	}{
		{"volume disk", runpodtest.Options{}, "the pod's own volume disk of 20 GB at /workspace"},
		{"volume disk by GraphQL", runpodtest.Options{Refused: []runpodtest.Call{runpodtest.V2Read}}, "the pod's own volume disk of 20 GB"},
		{"network volume", runpodtest.Options{NetworkVolume: "vol_1"}, ""},
		{"network volume by GraphQL", runpodtest.Options{NetworkVolume: "vol_1", Refused: []runpodtest.Call{runpodtest.V2Read}}, ""},
		{"no volume", runpodtest.Options{VolumeGB: -1}, ""},
		{"no volume by GraphQL", runpodtest.Options{VolumeGB: -1, Refused: []runpodtest.Call{runpodtest.V2Read}}, ""},
	} {
		for _, word := range []string{runpod.ActionStop, runpod.ActionTerminate, runpod.ActionLoseData} {
			b := newBench(t, c.opts, false, action(word))
			lost, err := b.WouldLose(t.Context())
			if err != nil || lost != c.want {
				t.Errorf("%s, %s: %q, error %v; want %q", c.name, word, lost, err, c.want)
			}
			if b.server.Status() != runpodtest.Running || b.server.Terminations()+b.server.Stops() != 0 {
				t.Errorf("%s, %s: the pod is %s", c.name, word, b.server.Status())
			}
		}
	}
}

// TestDescribeForeseesTheLock, so that the watchdog holds from the start and not when the time to stop has come.
func TestDescribeForeseesTheLock(t *testing.T) {
	disk := refusal + "the pod's own volume disk of 20 GB at /workspace would be lost; " + remedies
	noV2 := []runpodtest.Call{runpodtest.V2Read}
	for _, c := range []struct {
		name, word string
		opts       runpodtest.Options
		want       string
		calls      string
	}{
		{"volume disk", runpod.ActionTerminate, runpodtest.Options{}, disk, "v2_read"},
		{"volume disk by GraphQL", runpod.ActionTerminate, runpodtest.Options{Refused: noV2}, strings.Replace(disk, " at /workspace", "", 1), "v2_read graphql_read graphql_read"},
		{"network volume", runpod.ActionTerminate, runpodtest.Options{NetworkVolume: "vol_1"}, "", "v2_read"},
		{"network volume by GraphQL", runpod.ActionTerminate, runpodtest.Options{NetworkVolume: "vol_1", Refused: noV2}, "", "v2_read graphql_read graphql_read"},
		{"no volume", runpod.ActionTerminate, runpodtest.Options{VolumeGB: -1}, "", "v2_read"},
		{"the data may be lost", runpod.ActionLoseData, runpodtest.Options{}, "", "v2_read"},
		{"stop", runpod.ActionStop, runpodtest.Options{}, "", "v2_read"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.opts.CostUSDPerHour = 1
			b := newBench(t, c.opts, false, action(c.word))
			pod, permission, err := b.Describe(t.Context())
			if err != nil || pod.Refused != c.want || (permission == runpod.PermissionRefused) != (c.want != "") {
				t.Errorf("error %v, permission %s, refused %q\nwant %q", err, permission, pod.Refused, c.want)
			}
			if b.calls() != c.calls {
				t.Errorf("calls %s, want %s", b.calls(), c.calls)
			}
		})
	}
	b := newBench(t, runpodtest.Options{CostUSDPerHour: 1, Refused: noV2}, true, action(runpod.ActionTerminate))
	b.server.Inject(runpodtest.GraphQLRead, runpodtest.Fault{Delay: time.Millisecond}, runpodtest.Problem(503, "later"))
	if pod, permission, err := b.Describe(t.Context()); err != nil || pod.Refused != "" || permission != runpod.PermissionUnproven || pod.Status != "RUNNING" {
		t.Errorf("error %v, permission %s, pod %+v", err, permission, pod)
	}
}

func TestWouldLoseIsUnknown(t *testing.T) {
	b := newBench(t, runpodtest.Options{Refused: []runpodtest.Call{runpodtest.V2Read, runpodtest.GraphQLRead}}, false)
	lost, err := b.WouldLose(t.Context())
	const want = "describe pod testpod: read v2: denied (HTTP 403): Forbidden: access denied; read graphql: denied (HTTP 200): Unauthorized"
	if lost != "" || err == nil || err.Error() != want || !errors.Is(err, runpod.ErrReadRefused) {
		t.Errorf("%q, error %v", lost, err)
	}
	checkShown(t, fmt.Sprint(err))
}

// TestAStopOfAPodWithANetworkVolume: RunPod says no as it did before May 2026, and our answer names the way out.
func TestAStopOfAPodWithANetworkVolume(t *testing.T) {
	const remedy = "the pod has a network volume, and RunPod may only terminate such pods: WATCHDOG_STOP_ACTION=terminate deletes the pod and keeps that volume: "
	network := runpodtest.Options{NetworkVolume: "vol_1", NetworkNeverStops: true, CostUSDPerHour: 1}
	ownDisk := runpodtest.Options{CostUSDPerHour: 1}
	unread := runpodtest.Options{NetworkVolume: "vol_1", Refused: []runpodtest.Call{runpodtest.V2Read, runpodtest.GraphQLRead}}
	for _, c := range []struct {
		name, rung string
		opts       runpodtest.Options
		fault      runpodtest.Fault // of the stop, where it has a status
		want       stopper.Kind
		detail     string
	}{
		{"409", "v2_action", network, runpodtest.Fault{}, stopper.Invalid, remedy + "Conflict: action stop is not valid for status RUNNING"},
		{"400", "v2_action", network, runpodtest.Problem(400, "no"), stopper.Invalid, remedy + "Bad Request: no"},
		{"400 for a pod with a disk of its own", "v2_action", ownDisk, runpodtest.Problem(400, "no"), stopper.Invalid, "Bad Request: no"},
		{"400, unread", "v2_action", unread, runpodtest.Problem(400, "no"), stopper.Invalid, "Bad Request: no"},
		{"400 in words, unread", "v2_action", unread, runpodtest.Problem(400, "has a Network Volume"), stopper.Invalid, remedy + "Bad Request: has a Network Volume"},
		{"500 in words", "v2_action", network, runpodtest.Problem(500, "network volume"), stopper.Failed, remedy + "Internal Server Error: network volume"},
		{"GraphQL in words", "graphql", network, fault(200, jsonType, `{"errors":[{"message":"Pods with network volumes cannot be stopped"}]}`), stopper.Failed, remedy + "Pods with network volumes cannot be stopped"},
		{"GraphQL in no words", "graphql", network, runpodtest.Fault{}, stopper.Failed, "Something went wrong. Please try again later or contact support."},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.opts, true)
			if c.fault.Status != 0 {
				b.server.Inject(runpodtest.V2Action, c.fault)
				b.server.Inject(runpodtest.GraphQLStop, c.fault)
			}
			if got := b.stop(t, c.rung); got.Kind != c.want || got.Detail != c.detail {
				t.Errorf("got %s %q\nwant %s %q", got.Kind, got.Detail, c.want, c.detail)
			}
			if b.server.Status() != runpodtest.Running {
				t.Errorf("the pod is %s", b.server.Status())
			}
		})
	}
	b := newBench(t, runpodtest.Options{NetworkVolume: "vol_1"}, false)
	if got := b.stop(t, "v2_action"); got.Kind != stopper.Accepted || b.server.Status() != runpodtest.Exited {
		t.Errorf("where RunPod stops it: %+v, the pod is %s", got, b.server.Status())
	}
}
