package runpod

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const fuzzKey = "rpa_PLANTEDKEY0123456789"

func fuzzClient(f *testing.F) *Client {
	f.Helper()
	c, err := New(Config{PodID: "testpod", APIKey: fuzzKey, APIURL: "http://127.0.0.1:1/v2", GraphQLURL: "http://127.0.0.1:1/graphql"})
	if err != nil {
		f.Fatal(err)
	}
	return c
}

// seeds are answers of every form: status, Content-Type, Retry-After, RateLimit, body.
func seeds(f *testing.F) {
	for _, s := range []struct {
		status                  int
		kind, after, rate, body string
	}{
		{200, "application/json", "", "", `{"id":"testpod","status":"EXITED","cost":0.44,"locked":false,"env":{"A":"` + fuzzKey + `"}}`},
		{200, "application/json", "", "", `{"id":"testpod","status":"RUNNING","cost":"-1e999","locked":"x"}`},
		{200, "application/json", "", "", `{"data":{"podStop":{"id":"testpod","desiredStatus":"EXITED"}}}`},
		{200, "application/json", "", "", `{"data":{"pod":{"id":"testpod","desiredStatus":"RUNNING","costPerHr":"0.74"}}}`},
		{200, "application/json", "", "", `{"errors":[{"message":"Unauthorized ` + fuzzKey + `","extensions":{"code":"X"}}],"data":{"podStop":null}}`},
		{200, "application/json", "", "", `{"errors":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`},
		{200, "text/html", "", "", "<html><title>" + fuzzKey + "</title>"},
		{204, "", "", "", ""},
		{302, "", "", "", ""},
		{403, "text/plain", "", "", "error code: 1010"},
		{403, "application/problem+json", "", "", `{"title":"Forbidden","status":403,"detail":"` + fuzzKey + `","errors":["a",{"message":"b"},3]}`},
		{409, "application/problem+json", "", "", `{"title":"Conflict"`},
		{410, "", "", "", ""},
		{429, "application/json", "12", `"minute";r=0;t=12, "hour";r=1;t=99`, `{"title":"` + strings.Repeat("中", 300) + `"}`},
		{429, "", "Mon, 02 Nov 2026 10:00:00 GMT", `;r=;t=NaN`, ""},
		{503, "", "1e999", "", "Bearer " + fuzzKey},
		{-1, "", "", "", "\xff\x00"},
	} {
		f.Add(s.status, s.kind, s.after, s.rate, []byte(s.body))
	}
}

func made(status int, kind, after, rate string, body []byte) response {
	return response{status: status, body: body, header: http.Header{
		"Content-Type": {kind}, "Retry-After": {after}, "Ratelimit": {rate}, "Location": {after},
	}}
}

func checkText(t *testing.T, text string) {
	t.Helper()
	switch {
	case len(text) > stopper.MaxDetail:
		t.Errorf("%d bytes: %q", len(text), text)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Errorf("not printable: %q", text)
	case strings.Contains(text, fuzzKey):
		t.Errorf("the key is shown: %q", text)
	}
}

func checkAnswer(t *testing.T, a stopper.Answer, status int) {
	t.Helper()
	checkText(t, a.Detail)
	if a.Kind.Done() && (status < 200 || status > 299) {
		t.Errorf("status %d is taken for %s", status, a.Kind)
	}
	if a.RetryAfter < 0 || a.RetryAfter > maxWait {
		t.Errorf("asked to wait %s", a.RetryAfter)
	}
	if a.Status != status {
		t.Errorf("status %d became %d", status, a.Status)
	}
}

// checkMemory runs work on n bytes and holds what it allocates to a multiple of them.
func checkMemory(t *testing.T, n int, work func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+64*n); used > most {
		t.Errorf("%d bytes allocated for %d, want at most %d", used, n, most)
	}
}

func FuzzV2Answer(f *testing.F) {
	c := fuzzClient(f)
	seeds(f)
	f.Fuzz(func(t *testing.T, status int, kind, after, rate string, body []byte) {
		r := made(status, kind, after, rate, body)
		var a stopper.Answer
		checkMemory(t, len(body)+len(kind)+len(after)+len(rate), func() {
			if status >= 200 && status <= 299 {
				a = c.accepted(r)
			} else {
				a = c.refusal(r)
			}
		})
		checkAnswer(t, a, status)
		if a.Kind == stopper.AlreadyStopped {
			t.Error("already stopped, and no status was read")
		}
	})
}

func FuzzGraphQLAnswer(f *testing.F) {
	c := fuzzClient(f)
	seeds(f)
	f.Fuzz(func(t *testing.T, status int, kind, after, rate string, body []byte) {
		r := made(status, kind, after, rate, body)
		var (
			pod graphqlPod
			a   stopper.Answer
		)
		checkMemory(t, len(body)+len(kind)+len(after)+len(rate), func() {
			pod, a = c.sortGraphQL(r, func(d graphqlData) loosely[graphqlPod] { return d.PodStop })
		})
		checkAnswer(t, a, status)
		if (a.Kind == stopper.Accepted) != (pod.ID.Value == "testpod") {
			t.Errorf("%s for the pod %q", a.Kind, pod.ID.Value)
		}
		checkPrice(t, pod.CostPerHr.Maybe)
	})
}

// bodies answers without a network: v2 with a status and a body, GraphQL with 200 and another.
type bodies struct {
	status      int
	v2, graphql []byte
}

func (b bodies) RoundTrip(req *http.Request) (*http.Response, error) {
	status, body := b.status, b.v2
	if strings.HasSuffix(req.URL.Path, "/graphql") {
		status, body = http.StatusOK, b.graphql
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: req}, nil
}

func checkPrice(t *testing.T, p watchdog.Maybe[float64]) {
	t.Helper()
	if p.Known && !(p.Value > 0 && p.Value <= math.MaxFloat64) {
		t.Errorf("a price of %v", p.Value)
	}
}

// FuzzTermination: only the one answer is a yes, whatever stands around it.
func FuzzTermination(f *testing.F) {
	c := fuzzClient(f)
	seeds(f)
	f.Add(200, "application/json", "", "", []byte(`{"data":{"podTerminate":null}}`))
	f.Add(200, "application/json", "", "", []byte(`{"data":{"podTerminate":{"id":"testpod"}}}`))
	f.Add(200, "application/json", "", "", []byte(`{"data":{"podTerminate":null},"errors":[{"message":"`+fuzzKey+`"}]}`))
	f.Fuzz(func(t *testing.T, status int, kind, after, rate string, body []byte) {
		var a stopper.Answer
		checkMemory(t, len(body)+len(kind)+len(after)+len(rate), func() { a = c.sortTermination(made(status, kind, after, rate, body)) })
		checkAnswer(t, a, status)
		if a.Kind.Done() && (status != 200 || !bytes.Contains(bytes.ToLower(body), []byte("null"))) {
			t.Errorf("%s for status %d, %q", a.Kind, status, body)
		}
	})
}

// FuzzSecondLock: the act goes out only where a read said that no disk of the pod's own is there.
func FuzzSecondLock(f *testing.F) {
	cfg := Config{PodID: "testpod", APIKey: fuzzKey, APIURL: "http://127.0.0.1:1/v2", GraphQLURL: "http://127.0.0.1:1/graphql", Action: ActionTerminate}
	c, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []struct {
		status      int
		v2, graphql string
	}{
		{200, `{"id":"testpod","mounts":{},"env":{"A":"` + fuzzKey + `"}}`, ``},
		{200, `{"id":"testpod","mounts":{"persistent":{"size":20,"path":"/` + fuzzKey + `"}}}`, ``},
		{200, `{"id":"testpod","mounts":{"network":[{"volumeId":"v","path":"/p"}]}}`, ``},
		{200, `{"id":"testpod","mounts":{"other":{}}}`, `{"data":{"pod":{"id":"testpod","volumeInGb":0}}}`},
		{403, ``, `{"data":{"pod":{"id":"testpod","volumeInGb":20,"networkVolumeId":"v"}}}`},
		{429, ``, `{"errors":"` + fuzzKey + `"}`},
	} {
		f.Add(s.status, []byte(s.v2), []byte(s.graphql))
	}
	f.Fuzz(func(t *testing.T, status int, v2, graphql []byte) {
		c.http = &http.Client{Transport: bodies{status: status, v2: v2, graphql: graphql}}
		acted := false
		rung := lockedRung{rungFunc(func() stopper.Answer { acted = true; return stopper.Answer{Kind: stopper.Accepted} }), c}
		a := rung.Stop(context.Background())
		checkText(t, a.Detail)
		lost, err := c.WouldLose(context.Background())
		checkText(t, lost)
		if open := err == nil && lost == ""; acted != open || a.Kind.Done() != open {
			t.Errorf("acted: %t, answer %+v; would lose %q, error %v", acted, a, lost, err)
		}
		escaped := bytes.Contains(v2, []byte(`\u`)) || bytes.Contains(graphql, []byte(`\u`))
		if acted && !escaped && !bytes.Contains(bytes.ToLower(v2), []byte("mounts")) && !bytes.Contains(bytes.ToLower(graphql), []byte("volumeingb")) {
			t.Errorf("acted on %q and %q", v2, graphql)
		}
	})
}

// rungFunc is a rung that is only watched.
type rungFunc func() stopper.Answer

func (rungFunc) Name() string                          { return "watched" }
func (f rungFunc) Stop(context.Context) stopper.Answer { return f() }

func FuzzDescribe(f *testing.F) {
	c := fuzzClient(f)
	for _, s := range []struct {
		status      int
		v2, graphql string
	}{
		{200, `{"id":"testpod","status":"RUNNING","cost":0.44,"locked":true,"env":{"A":"` + fuzzKey + `"}}`, ``},
		{200, `{"id":"testpod","status":"RUNNING","cost":0}`, `{"data":{"pod":{"id":"testpod","desiredStatus":"RUNNING","costPerHr":"0.74"}}}`},
		{403, `{"title":"Forbidden","status":403,"detail":"access denied"}`, `{"data":{"pod":{"id":"testpod","desiredStatus":"` + fuzzKey + `","costPerHr":1}}}`},
		{429, ``, `{"errors":"Unauthorized"}`},
		{200, `{"id":"other"}`, `<html>`},
	} {
		f.Add(s.status, []byte(s.v2), []byte(s.graphql))
	}
	f.Fuzz(func(t *testing.T, status int, v2, graphql []byte) {
		c.http = &http.Client{Transport: bodies{status: status, v2: v2, graphql: graphql}}
		var (
			pod        watchdog.Pod
			permission Permission
			err        error
		)
		checkMemory(t, len(v2)+len(graphql), func() { pod, permission, err = c.Describe(context.Background()) })
		checkText(t, pod.Status)
		checkPrice(t, pod.PriceUSDPerHour)
		if (permission == PermissionRefused) != pod.Locked.Or(false) {
			t.Errorf("permission %s, locked %v", permission, pod.Locked)
		}
		if err == nil {
			return
		}
		if pod != (watchdog.Pod{}) {
			t.Errorf("an error, and yet a pod: %+v", pod)
		}
		if text := err.Error(); len(text) > 3*stopper.MaxDetail || strings.Contains(text, fuzzKey) || strings.Contains(text, "\n") {
			t.Errorf("error %q", text)
		}
		if wait := ReadAgainAfter(err); wait < 0 || wait > maxWait {
			t.Errorf("asked to wait %s", wait)
		}
	})
}
