package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

// says is a Status as the API server writes it.
func says(code int, reason, message string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%q,"code":%d}`, message, reason, code)
}

// Every status, as the answer to the change and to each of the reads before it.
func TestEveryStatusIsToldApart(t *testing.T) {
	forbidden := `deployments.apps "llama" is forbidden: User "system:serviceaccount:prod:watchdog" cannot update resource "deployments/scale" in API group "apps" in the namespace "prod"`
	rows := []struct {
		status int
		body   string
		header map[string]string
		kind   stopper.Kind
		words  string
		wait   time.Duration
	}{
		{301, "", map[string]string{"Location": "https://elsewhere.example/x?token=abc"}, stopper.Failed, "redirected, not followed: to https://elsewhere.example", 0},
		{400, says(400, "BadRequest", "no such thing"), nil, stopper.Invalid, "no such thing", 0},
		{401, says(401, "Unauthorized", "Unauthorized"), nil, stopper.Denied, "token is not accepted", 0},
		{403, says(403, "Forbidden", forbidden), nil, stopper.Denied, "its Role needs apiGroups", 0},
		{403, says(403, "Forbidden", strings.ReplaceAll(forbidden, "system:serviceaccount:prod:watchdog", "system:anonymous")), nil, stopper.Denied, "took no notice of the service account's token", 0},
		{403, says(403, "Forbidden", `admission webhook "guard.example" denied the request: frozen`), nil, stopper.Denied, "refused by an admission rule: admission webhook", 0},
		{404, says(404, "NotFound", `deployments.apps "llama" not found`), nil, stopper.Gone, "nothing there by this name", 0},
		{405, says(405, "MethodNotAllowed", "the server does not allow this method"), nil, stopper.Invalid, "does not allow this method", 0},
		{408, "", nil, stopper.Failed, "Request Timeout", 0},
		{410, says(410, "Gone", "no longer available"), nil, stopper.Gone, "this API was retired", 0},
		{413, says(413, "RequestEntityTooLarge", "too large"), nil, stopper.Invalid, "too large", 0},
		{415, says(415, "UnsupportedMediaType", "no"), nil, stopper.Invalid, "no", 0},
		{422, says(422, "Invalid", "ValidatingAdmissionPolicy 'x' with binding 'y' denied request: only 0"), nil, stopper.Invalid, "refused by an admission rule", 0},
		{422, says(422, "Invalid", "spec.replicas: Invalid value"), nil, stopper.Invalid, "spec.replicas: Invalid value", 0},
		{429, says(429, "TooManyRequests", "too many requests, please try again later"), map[string]string{"Retry-After": "7"}, stopper.RetryAfter, "too many requests", 7 * time.Second},
		{429, `{"kind":"Status","message":"wait","details":{"retryAfterSeconds":9}}`, nil, stopper.RetryAfter, "wait", 9 * time.Second},
		{429, "", map[string]string{"Retry-After": "999999"}, stopper.RetryAfter, "Too Many Requests", 10 * time.Minute},
		{429, "", map[string]string{"Retry-After": "-3"}, stopper.RetryAfter, "Too Many Requests", 0},
		{429, "", map[string]string{"Retry-After": "Mon, 02 Nov 2026 10:00:30 GMT", "Date": "Mon, 02 Nov 2026 10:00:00 GMT"}, stopper.RetryAfter, "Too Many Requests", 30 * time.Second},
		{500, says(500, "InternalError", "etcd leader changed"), nil, stopper.Failed, "etcd leader changed", 0},
		{502, "<html><title>bad gateway</title></html>", map[string]string{"Content-Type": "text/html"}, stopper.Failed, "an HTML page, so not the API server", 0},
		{503, says(503, "ServiceUnavailable", "starting"), map[string]string{"Retry-After": "5"}, stopper.Failed, "starting", 5 * time.Second},
		{504, says(504, "Timeout", "Timeout: request did not complete within the allotted timeout"), nil, stopper.Failed, "did not complete", 0},
		{599, "not JSON at all", nil, stopper.Failed, "not JSON at all", 0},
		{418, `{"kind":"Pod","spec":{"env":"` + planted + `"}}`, nil, stopper.Invalid, "without words that can be read", 0},
	}
	for _, step := range []struct{ method, path string }{
		{"GET", "/pods/"}, {"GET", "/replicasets/"}, {"GET", "/scale"}, {"PUT", "/scale"},
	} {
		b := newBench(t, scene{})
		for _, row := range rows {
			t.Run(fmt.Sprintf("%s%s %d %.20s", step.method, step.path, row.status, row.body), func(t *testing.T) {
				b.server.Script(kubetest.Fault{Method: step.method, Path: step.path, Status: row.status, Header: row.header, Body: row.body, Once: true})
				a := b.stop(t)
				expect(t, a, row.kind, row.words)
				if a.Status != row.status || a.RetryAfter != row.wait {
					t.Errorf("status %d, wait %s; want %d, %s", a.Status, a.RetryAfter, row.status, row.wait)
				}
				if step.method == "PUT" && !strings.HasPrefix(a.Detail, "update deployments/scale llama: ") {
					t.Errorf("%q does not say what was asked", a.Detail)
				}
				if b.server.Replicas(b.owner) != 1 {
					t.Fatal("scaled by an answer that was no yes")
				}
			})
		}
	}
}

// The ladder hands on what the server asked for.
func TestRetryAfterReachesTheReport(t *testing.T) {
	b := newBench(t, scene{})
	b.server.Script(kubetest.Fault{Method: "PUT", Path: "/scale", Status: 429, Header: map[string]string{"Retry-After": "42"}, Body: says(429, "TooManyRequests", "slow down")})
	report := stopper.NewLadder(nil, stopper.Flight{Target: b.Target(), Rungs: b.Rungs(), Each: 20 * time.Second}).Stop(t.Context())
	if report.Phase != watchdog.StopRefused || report.RetryAfter != 42*time.Second {
		t.Errorf("%+v", report)
	}
}

// A change whose answer never comes is no yes; that it worked comes out at the next attempt.
func TestChangeWithoutAnAnswer(t *testing.T) {
	b := newBench(t, scene{config: func(cfg *kubernetes.Config) { cfg.Timeout = time.Second }})
	for _, f := range []kubetest.Fault{{Drop: true}, {Hang: true}} {
		f.Method, f.Path, f.Once = "PUT", "/scale", true
		b.server.Script(f)
		expect(t, b.stop(t), stopper.Failed, "update deployments/scale llama")
	}
	b.server.ScaleBy(b.owner, "gpu-watchdog", 0, time.Now())
	expect(t, b.stop(t), stopper.AlreadyStopped, "Deployment/llama is scaled to 0 already")
}

func TestDeadlineOfTheCaller(t *testing.T) {
	b := newBench(t, scene{config: func(cfg *kubernetes.Config) { cfg.Timeout = time.Minute }})
	b.server.Script(kubetest.Fault{Path: "/pods/", Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := b.LastScaled(ctx)
	var asked *kubernetes.Error
	if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &asked) || !strings.Contains(err.Error(), "get pods") {
		t.Errorf("error %v", err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("took %s", took)
	}
}

// hostile answers under 200, to each read and to the change.
func TestHostileAnswers(t *testing.T) {
	huge := `{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"` + strings.Repeat("x", 3<<20) + `"}}`
	of := func(kind, name, rest string) string {
		return `{"kind":"` + kind + `","apiVersion":"autoscaling/v1","metadata":{"name":"` + name + `","uid":"UID","resourceVersion":"7"}` + rest + `}`
	}
	for _, row := range []struct {
		name, body string
		half       bool
	}{
		{"empty", "", false},
		{"half JSON", `{"kind":"Scale","metadata":{"na`, false},
		{"cut off", `{"kind":"Scale","metadata":{"na`, true},
		{"huge", huge, false},
		{"deep", strings.Repeat(`{"metadata":`, 50_000), false},
		{"list", `[1,2,3]`, false},
		{"null", `null`, false},
		{"HTML", "<html>" + planted + "</html>", false},
		{"a Status under 200", says(500, "InternalError", "a failure that says 200"), false},
		{"another kind", of("Secret", "llama", `,"data":{"a":"`+planted+`"}`), false},
		{"another name", of("Scale", "other", `,"spec":{"replicas":1},"status":{"replicas":1}`), false},
		{"another uid", of("Scale", "llama", `,"spec":{"replicas":1},"status":{"replicas":1}`), false},
		{"no spec", of("Scale", "llama", ``), false},
		{"replicas as a word", of("Scale", "llama", `,"spec":{"replicas":"one"},"status":{"replicas":1}`), false},
		{"replicas below 0", of("Scale", "llama", `,"spec":{"replicas":-1},"status":{"replicas":1}`), false},
		{"replicas beyond 32 bits", of("Scale", "llama", `,"spec":{"replicas":4294967297},"status":{"replicas":1}`), false},
		{"half a replica", of("Scale", "llama", `,"spec":{"replicas":0.5},"status":{"replicas":1}`), false},
		{"owners that are no objects", `{"kind":"PartialObjectMetadata","metadata":{"name":"` + podName + `","uid":"` + podUID + `","ownerReferences":[3]}}`, false},
		{"an owner by a path", `{"kind":"PartialObjectMetadata","metadata":{"name":"` + podName + `","uid":"` + podUID + `","ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":"../../../secrets/x","uid":"u","controller":true}]}}`, false},
		{"an owner of a group by a path", `{"kind":"PartialObjectMetadata","metadata":{"name":"` + podName + `","uid":"` + podUID + `","ownerReferences":[{"apiVersion":"../v1","kind":"X","name":"x","uid":"u","controller":true}]}}`, false},
	} {
		for _, step := range []struct{ method, path string }{
			{"GET", "/pods/"}, {"GET", "/replicasets/"}, {"GET", "/deployments/llama"}, {"GET", "/scale"}, {"PUT", "/scale"},
		} {
			t.Run(row.name+" to "+step.method+step.path, func(t *testing.T) {
				b := newBench(t, scene{})
				b.server.Script(kubetest.Fault{Method: step.method, Path: step.path, Status: http.StatusOK, Body: row.body, Half: row.half, Once: true})
				a := b.stop(t)
				switch {
				case step.method == "PUT" && (row.half || row.name == "huge"):
					// The yes was there; only its words broke off.
					expect(t, a, stopper.Accepted, "broke off")
				case a.Kind.Done():
					t.Errorf("taken for a yes: %s", a)
				}
				if b.server.Replicas(b.owner) != 1 {
					t.Error("scaled on the word of a hostile answer")
				}
				for _, r := range b.server.Requests() {
					if strings.Contains(r.Path, "..") || strings.Contains(r.Path, "secrets") {
						t.Errorf("was led to %s", r.Path)
					}
				}
			})
		}
	}
}
