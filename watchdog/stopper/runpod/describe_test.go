package runpod_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

func TestDescribe(t *testing.T) {
	unknown := watchdog.Maybe[float64]{}
	for _, c := range []struct {
		name       string
		opts       runpodtest.Options
		v2, gql    runpodtest.Fault
		want       watchdog.Pod
		permission runpod.Permission
		calls      string
	}{
		{
			name: "all by v2", opts: runpodtest.Options{CostUSDPerHour: 1.5},
			want:       watchdog.Pod{PriceUSDPerHour: watchdog.Known(1.5), Locked: watchdog.Known(false), Status: "RUNNING"},
			permission: runpod.PermissionUnproven, calls: "v2_read",
		},
		{
			name: "locked", opts: runpodtest.Options{CostUSDPerHour: 1.5, Locked: true},
			want:       watchdog.Pod{PriceUSDPerHour: watchdog.Known(1.5), Locked: watchdog.Known(true), Status: "RUNNING"},
			permission: runpod.PermissionRefused, calls: "v2_read",
		},
		{
			name: "stopped costs nothing, which is no price", opts: runpodtest.Options{CostUSDPerHour: 1.5, Status: runpodtest.Exited},
			want:       watchdog.Pod{PriceUSDPerHour: unknown, Locked: watchdog.Known(false), Status: "EXITED"},
			permission: runpod.PermissionUnproven, calls: "v2_read",
		},
		{
			name: "running for 0 is asked elsewhere", v2: fault(200, jsonType, `{"id":"testpod","status":"RUNNING","cost":0,"locked":false}`),
			gql:        fault(200, jsonType, `{"data":{"pod":{"id":"testpod","desiredStatus":"EXITED","costPerHr":"0.74"}}}`),
			want:       watchdog.Pod{PriceUSDPerHour: watchdog.Known(0.74), Locked: watchdog.Known(false), Status: "RUNNING"},
			permission: runpod.PermissionUnproven, calls: "v2_read graphql_read",
		},
		{
			name: "running for 0 everywhere", opts: runpodtest.Options{CostUSDPerHour: 0},
			want:       watchdog.Pod{PriceUSDPerHour: unknown, Locked: watchdog.Known(false), Status: "RUNNING"},
			permission: runpod.PermissionUnproven, calls: "v2_read graphql_read",
		},
		{
			name: "running for less than nothing, and GraphQL refuses", opts: runpodtest.Options{CostUSDPerHour: -1, Refused: []runpodtest.Call{runpodtest.GraphQLRead}},
			want:       watchdog.Pod{PriceUSDPerHour: unknown, Locked: watchdog.Known(false), Status: "RUNNING"},
			permission: runpod.PermissionUnproven, calls: "v2_read graphql_read",
		},
		{
			name: "v2 refuses", opts: runpodtest.Options{CostUSDPerHour: 0.44, Refused: []runpodtest.Call{runpodtest.V2Read}},
			want:       watchdog.Pod{PriceUSDPerHour: watchdog.Known(0.44), Status: "RUNNING"},
			permission: runpod.PermissionUnproven, calls: "v2_read graphql_read",
		},
		{
			name: "GraphQL tells a number", v2: runpodtest.HTML(502, "Bad gateway"),
			gql:        fault(200, jsonType, `{"data":{"pod":{"id":"testpod","desiredStatus":"RUNNING","costPerHr":0.5}}}`),
			want:       watchdog.Pod{PriceUSDPerHour: watchdog.Known(0.5), Status: "RUNNING"},
			permission: runpod.PermissionUnproven, calls: "v2_read graphql_read",
		},
		{
			name: "fields of other forms are unknown", v2: fault(200, jsonType, `{"id":"testpod","status":3,"cost":{},"locked":"yes"}`),
			want:       watchdog.Pod{},
			permission: runpod.PermissionUnproven, calls: "v2_read",
		},
		{
			name: "the cost as text", v2: fault(200, jsonType, `{"id":"testpod","status":"RUNNING","cost":"0.31","locked":null}`),
			want:       watchdog.Pod{PriceUSDPerHour: watchdog.Known(0.31), Status: "RUNNING"},
			permission: runpod.PermissionUnproven, calls: "v2_read",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, c.opts, c.v2.Status != 0)
			if c.v2.Status != 0 {
				b.server.Inject(runpodtest.V2Read, c.v2)
			}
			if c.gql.Status != 0 {
				b.server.Inject(runpodtest.GraphQLRead, c.gql)
			}
			pod, permission, err := b.Describe(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, pod); diff != "" || permission != c.permission {
				t.Errorf("permission %s, want %s; pod:\n%s", permission, c.permission, diff)
			}
			if b.calls() != c.calls {
				t.Errorf("calls %s, want %s", b.calls(), c.calls)
			}
		})
	}
}

func TestDescribeFails(t *testing.T) {
	pod := `{"id":"other","status":"RUNNING","cost":1,"env":{"TOKEN":"hunter2"}}`
	for _, c := range []struct {
		name    string
		v2, gql runpodtest.Fault
		want    string
		refused bool
		wait    time.Duration
	}{
		{
			"refused by both", runpodtest.Problem(403, "access denied"), fault(200, jsonType, `{"errors":[{"message":"Unauthorized"}]}`),
			"describe pod testpod: read v2: denied (HTTP 403): Forbidden: access denied; read graphql: denied (HTTP 200): Unauthorized", true, 0,
		},
		{
			"refused by one", runpodtest.Problem(401, "missing bearer token"), fault(503, "", "", "Retry-After", "9"),
			"describe pod testpod: read v2: denied (HTTP 401): Unauthorized: missing bearer token; read graphql: failed (HTTP 503): Service Unavailable", true, 9 * time.Second,
		},
		{
			"too many requests", runpodtest.TooManyRequests("20"), runpodtest.TooManyRequests("70"),
			"describe pod testpod: read v2: retry_after (HTTP 429): Too Many Requests: rate limit exceeded for the minute window; read graphql: retry_after (HTTP 429): Too Many Requests: rate limit exceeded for the minute window", false, 70 * time.Second,
		},
		{
			"another pod, whose environment is nobody's business", fault(200, jsonType, pod), fault(200, jsonType, `{"data":{"pod":{"id":"other"}}}`),
			"describe pod testpod: read v2: invalid (HTTP 200): the answer is about another pod: other; read graphql: invalid (HTTP 200): the answer is about another pod: other", false, 0,
		},
		{
			"not JSON", fault(200, jsonType, `{"id":"testpod","env":{"TOKEN":"hunter2"`), fault(200, "text/plain", `ok`),
			"describe pod testpod: read v2: failed (HTTP 200): an answer that is no JSON; read graphql: failed (HTTP 200): an answer that is no JSON", false, 0,
		},
		{
			"no id, and another 2xx", fault(200, jsonType, `{}`), fault(204, "", ""),
			"describe pod testpod: read v2: failed (HTTP 200): no pod in the answer; read graphql: failed (HTTP 204): unexpected status: No Content", false, 0,
		},
		{
			"HTML, and no connection", runpodtest.HTML(200, "Sign in"), runpodtest.Fault{Drop: true},
			`describe pod testpod: read v2: failed (HTTP 200): not RunPod's API: an HTML page ("Sign in"); read graphql: failed: EOF`, false, 0,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, runpodtest.Options{}, true)
			b.server.Inject(runpodtest.V2Read, c.v2)
			b.server.Inject(runpodtest.GraphQLRead, c.gql)
			got, permission, err := b.Describe(t.Context())
			if err == nil || err.Error() != c.want {
				t.Errorf("error %v\nwant  %s", err, c.want)
			}
			checkShown(t, fmt.Sprint(err))
			if got != (watchdog.Pod{}) || permission != runpod.PermissionUnproven {
				t.Errorf("permission %s, pod %+v", permission, got)
			}
			if errors.Is(err, runpod.ErrReadRefused) != c.refused {
				t.Errorf("ErrReadRefused: %t", !c.refused)
			}
			if wait := runpod.ReadAgainAfter(fmt.Errorf("wrapped: %w", err)); wait != c.wait {
				t.Errorf("wait %s, want %s", wait, c.wait)
			}
			var one *runpod.ReadError
			if !errors.As(err, &one) || one.Source != "v2" || one.Answer.Kind == stopper.Accepted {
				t.Errorf("the first read's error: %+v", one)
			}
		})
	}
}

func TestDescribeGivesUp(t *testing.T) {
	b := newBench(t, runpodtest.Options{}, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := b.Describe(ctx)
	if err == nil || !strings.Contains(err.Error(), "given up") || runpod.ReadAgainAfter(err) != 0 {
		t.Errorf("error %v", err)
	}
	if runpod.ReadAgainAfter(nil) != 0 {
		t.Error("no error asks to wait")
	}
}
