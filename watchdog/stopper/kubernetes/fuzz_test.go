package kubernetes

import (
	"encoding/base64"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const fuzzToken = "eyJhbGciOiJub25lIn0.UExBTlRFRA.c2lnbmF0dXJl"

func checkText(t *testing.T, text string) {
	t.Helper()
	switch {
	case len(text) > stopper.MaxDetail:
		t.Errorf("%d bytes: %q", len(text), text)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Errorf("not printable: %q", text)
	case strings.Contains(text, fuzzToken):
		t.Errorf("the token is shown: %q", text)
	}
}

// checkMemory runs work on n bytes and holds what it allocates to a multiple of them.
func checkMemory(t *testing.T, n int, work func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	if used, most := after.TotalAlloc-before.TotalAlloc, uint64(1<<20+512*n); used > most {
		t.Errorf("%d bytes allocated for %d, want at most %d", used, n, most)
	}
}

func FuzzSorted(f *testing.F) {
	for _, s := range []struct {
		status      int
		after, body string
	}{
		{403, "", `{"kind":"Status","message":"pods \"x\" is forbidden: User \"u\" cannot get resource \"pods\" in API group \"\" ` + fuzzToken + `"}`},
		{401, "", `{"kind":"Status","message":"Unauthorized"}`},
		{409, "", `{"kind":"Status","reason":"Conflict"}`},
		{422, "", `{"kind":"Status","message":"ValidatingAdmissionPolicy 'x' denied request"}`},
		{429, "12", `{"kind":"Status","details":{"retryAfterSeconds":1e300}}`},
		{429, "Mon, 02 Nov 2026 10:00:00 GMT", `{"kind":"Status","details":{"retryAfterSeconds":"soon"},"message":3}`},
		{503, "1e999", "<html>"},
		{500, "NaN", fuzzToken},
		{301, "", "Bearer " + fuzzToken},
		{-1, "", "\xff\x00"},
	} {
		f.Add(s.status, s.after, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, status int, after string, body []byte) {
		r := response{status: status, body: body, token: secret.New(fuzzToken), header: http.Header{"Retry-After": {after}, "Location": {after}}}
		rule := Rule{Verb: "update", Group: "apps", Resource: "deployments/scale", Name: "llama"}
		var e *Error
		checkMemory(t, len(body)+len(after), func() { e = sorted(r, rule, time.Unix(1_800_000_000, 0)) })
		a := e.Answer
		checkText(t, a.Detail)
		if a.Kind.Done() {
			t.Errorf("status %d is taken for %s", status, a.Kind)
		}
		if a.RetryAfter < 0 || a.RetryAfter > maxWait {
			t.Errorf("asked to wait %s", a.RetryAfter)
		}
		if a.Status != status || !strings.HasPrefix(a.Detail, "update deployments/scale llama:") {
			t.Errorf("%+v does not say what was asked and answered", a)
		}
		if e.Missing != (Rule{}) && (e.Missing != rule || status != http.StatusForbidden || a.Kind != stopper.Denied) {
			t.Errorf("status %d: missing %v", status, e.Missing)
		}
	})
}

func FuzzScale(f *testing.F) {
	for _, s := range []string{
		`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"llama","uid":"u1","resourceVersion":"7"},"spec":{"replicas":1},"status":{"replicas":1}}`,
		`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"llama","uid":"u1","resourceVersion":"7"},"spec":{},"status":{"replicas":1}}`,
		`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"llama","uid":"u2","resourceVersion":"7"},"spec":{"replicas":3}}`,
		`{"kind":"Scale","apiVersion":"autoscaling/v1","metadata":{"name":"llama","uid":"u1","resourceVersion":"7"},"spec":{"replicas":-1},"status":{"replicas":2147483648}}`,
		`{"kind":"Status","message":"` + fuzzToken + `"}`,
		`{"kind":"` + fuzzToken + `","spec":{"replicas":"` + fuzzToken + `"}}`,
		`{"kind":"Scale"`, `[]`, ``,
	} {
		f.Add(200, false, []byte(s))
		f.Add(200, true, []byte(s))
	}
	target := link{Object: Object{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: "prod", Name: "llama", UID: "u1"}}
	f.Fuzz(func(t *testing.T, status int, partial bool, body []byte) {
		var (
			s   scale
			err error
			a   stopper.Answer
		)
		checkMemory(t, len(body), func() {
			s, err = readScale(body, "llama")
			a = accepted(response{status: status, body: body, partial: partial, token: secret.New(fuzzToken)}, target, false)
		})
		if err == nil && (s.name != "llama" || !isUID(s.uid) || s.resourceVersion == "" || s.wanted < 0 || s.there.Known && s.there.Value < 0) {
			t.Errorf("read %+v", s)
		}
		if err != nil && s != (scale{}) {
			t.Errorf("an error, and yet %+v", s)
		}
		checkText(t, a.Detail)
		yes := (status == 200 || status == 201) && (err == nil && s.uid == "u1" && s.wanted == 0 || err != nil && partial)
		if (a.Kind == stopper.Accepted) != yes {
			t.Errorf("%s for %+v, %v", a, s, err)
		}
		if err == nil {
			no, refused := notOne(target, s)
			checkText(t, no.Detail)
			if refused == (s.wanted == 1 && s.there.Known && s.there.Value == 1) {
				t.Errorf("%+v: refused %v", s, refused)
			}
			if no.Kind == stopper.Accepted || no.Kind == stopper.AlreadyStopped && s.wanted != 0 {
				t.Errorf("%+v: %s", s, no)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	for _, s := range []string{
		`{"kind":"PartialObjectMetadata","metadata":{"name":"llama","uid":"u1","ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"r","uid":"u2","controller":true}]}}`,
		`{"kind":"Pod","metadata":{"name":"llama","uid":"u1","managedFields":[{"manager":"kubectl","operation":"Update","time":"2026-11-24T08:00:00Z","fieldsV1":{"f:spec":{"f:replicas":{}}}},{"manager":"` + fuzzToken + `","subresource":"scale","time":"x"}]}}`,
		`{"kind":"Pod","metadata":{"name":"llama","uid":"u1","managedFields":[{"subresource":"scale","time":"2026-11-24T08:00:00Z"},{"fieldsV1":{"f:spec":{"f:replicas":null}}},{"subresource":"scale","time":"2026-11-25T08:00:00Z","fieldsV1":3}]}}`,
		`{"kind":"Secret","metadata":{"name":"llama","uid":"u1"}}`,
		`{"kind":"Pod","metadata":{"name":"llama","uid":"../x"}}`,
		`{"kind":"Pod","metadata":[]}`, `{`, `null`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var (
			m   metadata
			err error
			all []Scaling
		)
		checkMemory(t, len(body), func() {
			if m, err = readMetadata(body, "Pod", "llama"); err == nil {
				all = scalings(m)
			}
		})
		if err != nil {
			if m.Name != "" || m.Owners != nil || m.Managed != nil {
				t.Errorf("an error, and yet %+v", m)
			}
			return
		}
		if m.Name != "llama" || !isUID(m.UID) {
			t.Errorf("read %+v", m)
		}
		if ref, owned := m.controller(); owned && !ref.Controller {
			t.Errorf("%+v controls nothing", ref)
		}
		if !slices.IsSortedFunc(all, func(a, b Scaling) int { return b.At.Compare(a.At) }) || len(all) > len(m.Managed) {
			t.Errorf("%v of %d entries", all, len(m.Managed))
		}
		for _, s := range all {
			checkText(t, s.Manager)
			checkText(t, s.Operation)
			checkText(t, s.Subresource)
		}
	})
}

func FuzzDiscovery(f *testing.F) {
	for _, s := range []string{
		`{"kind":"APIResourceList","resources":[{"name":"rollouts","kind":"Rollout","namespaced":true},{"name":"rollouts/scale","kind":"Scale"},{"name":"rollouts/status","kind":"Rollout"}]}`,
		`{"kind":"APIResourceList","resources":[{"name":"../secrets","kind":"Rollout","namespaced":true},{"name":"rollouts/status","kind":"Rollout"}]}`,
		`{"kind":"APIGroup","preferredVersion":{"version":"v1"}}`,
		`{"kind":"APIGroup","preferredVersion":{"version":"../v1"}}`,
		`{"kind":"Status"}`, `{"resources":3}`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkMemory(t, len(body), func() {
			if version, err := readPreferredVersion(body); err == nil && (!isName(version) || strings.Contains(version, "/")) {
				t.Errorf("version %q", version)
			}
			list, err := readResources(body)
			if err != nil {
				return
			}
			found, ok := list.find("argoproj.io", "v1", "Rollout")
			if !ok {
				return
			}
			path := found.path("prod", "llama", "scale")
			if parts := strings.Split(path, "/"); slices.Contains(parts, "..") || slices.Contains(parts[1:], "") || len(parts) != map[bool]int{true: 9, false: 7}[found.namespaced] {
				t.Errorf("led to %s", path)
			}
		})
	})
}

func FuzzReview(f *testing.F) {
	for _, s := range []string{
		`{"kind":"SelfSubjectAccessReview","status":{"allowed":true}}`,
		`{"kind":"SelfSubjectAccessReview","status":{"allowed":false,"evaluationError":"role not found"}}`,
		`{"kind":"SelfSubjectAccessReview","status":{"allowed":"true"}}`,
		`{"kind":"SelfSubjectAccessReview","status":{"denied":true}}`,
		`{"kind":"SubjectAccessReview","status":{"allowed":true}}`, `{"status":{"allowed":true}}`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var (
			allowed bool
			err     error
		)
		checkMemory(t, len(body), func() { allowed, err = readReview(body) })
		if allowed && (err != nil || !strings.Contains(strings.ToLower(string(body)), "true")) {
			t.Errorf("a yes by %q, %v", body, err)
		}
	})
}

func FuzzIdentity(f *testing.F) {
	claim := func(s string) string { return "x." + base64.RawURLEncoding.EncodeToString([]byte(s)) + ".y" }
	f.Add(fuzzToken, "prod", "llama", "u1")
	f.Add(claim(`{"kubernetes.io":{"namespace":"prod","pod":{"name":"llama","uid":"u1"}}}`), "", "", "")
	f.Add(claim(`{"kubernetes.io":{"namespace":"dev","pod":{"name":"llama","uid":"u1"}}}`), "prod", "", "")
	f.Add(claim(`{"kubernetes.io":{"namespace":"..","pod":{"name":"a/b","uid":" "}}}`), "", "", "")
	f.Add(claim(`{"kubernetes.io":3}`), "", "llama", "")
	f.Add("", "", "", "")
	f.Fuzz(func(t *testing.T, token, namespace, name, uid string) {
		told := readClaims(token)
		self, err := agree(identity{namespace, name, uid}, told)
		if err != nil {
			if self != (identity{}) {
				t.Errorf("an error, and yet %+v", self)
			}
			return
		}
		if !isName(self.namespace) || !isName(self.name) || !isUID(self.uid) {
			t.Errorf("%+v cannot stand in a path", self)
		}
		for _, pair := range [][3]string{{self.namespace, namespace, told.namespace}, {self.name, name, told.name}, {self.uid, uid, told.uid}} {
			if pair[1] != "" && pair[0] != pair[1] || pair[2] != "" && pair[0] != pair[2] {
				t.Errorf("%q of the given %q and the told %q", pair[0], pair[1], pair[2])
			}
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"deployment/llama", "Deploy/llama", "deployments.apps/llama", "a/b/c", "/", "deployment/..", "", "x.y.z/\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseTarget(text)
		if err != nil {
			if got != (wanted{}) || strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("%+v, %q", got, err)
			}
			return
		}
		if text == "" {
			return
		}
		again, err := parseTarget(got.String())
		if err != nil || again != got || !isName(got.name) {
			t.Errorf("%q became %+v and then %+v, %v", text, got, again, err)
		}
	})
}
