package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

func TestArmed(t *testing.T) {
	leading := func(code watchdog.Reason, detail string) func(*loop.View) {
		return func(v *loop.View) { v.Decision.Reasons = []watchdog.Because{{Code: code, Detail: detail}} }
	}
	for name, c := range map[string]struct {
		change func(*loop.View)
		status int
		says   string
	}{
		"armed":   {func(*loop.View) {}, 200, "armed: runpod abc123, stop"},
		"working": {leading(watchdog.TokensMoved, "12 tokens"), 200, "armed"},
		"dry run": {func(v *loop.View) { v.Identity.DryRun, v.Identity.Armed = true, false }, 200, "dry run: runpod abc123"},
		"dry run without a target": {func(v *loop.View) {
			v.Identity.DryRun, v.Identity.Armed, v.Identity.Target = true, false, loop.Target{}
		}, 503, "not_armed"},
		"dry run on a refused target": {func(v *loop.View) {
			v.Identity.DryRun, v.Permission, v.PermissionDetail = true, loop.PermissionRefused, "the key may not stop"
		}, 503, "target_refused: the key may not stop"},
		"not armed":          {func(v *loop.View) { v.Identity.Armed, v.Identity.Unarmed = false, "STOP is not set" }, 503, "not_armed: STOP is not set"},
		"not armed, no word": {func(v *loop.View) { v.Identity.Armed = false }, 503, "not_armed: nothing is armed to stop this pod"},
		"no identity":        {func(v *loop.View) { v.Identity.StartID = "" }, 503, "not_armed: the identity of this start is unknown"},
		"locked":             {leading(watchdog.TargetRefused, "the provider says that this pod is locked"), 503, "target_refused: the provider says"},
		"decided not armed":  {leading(watchdog.NotArmed, "STOP is unusable"), 503, "not_armed: STOP is unusable"},
		"stops were undone":  {func(v *loop.View) { *v = *revertedView() }, 503, "stop_reverted: 2 stops in a row"},
		"held":               {func(v *loop.View) { *v = *heldView() }, 200, "armed"},
		"locked after overtaken": {func(v *loop.View) {
			v.Decision.Reasons = []watchdog.Because{{Code: watchdog.Overtaken}, {Code: watchdog.TargetRefused}}
		}, 503, "target_refused: the pod may not be stopped"},
		"permission refused": {func(v *loop.View) { v.Permission = loop.PermissionRefused }, 503, "target_refused"},
		"every rung refused": {func(v *loop.View) {
			v.Attempt = watchdog.Attempt{Phase: watchdog.StopRefused, Detail: "401 from every rung"}
		}, 503, "stop_backoff: 401 from every rung"},
		"stale":              {func(v *loop.View) { v.Decision.At = noon.Add(-13 * time.Second) }, 503, "not_armed: the last decision is 16s old"},
		"just fresh":         {func(v *loop.View) { v.Decision.At = noon.Add(-12 * time.Second) }, 200, "armed"},
		"clock was set back": {func(v *loop.View) { v.Decision.At = noon.Add(time.Hour) }, 503, "in the future"},
		"undecided":          {func(v *loop.View) { *v = loop.View{Identity: v.Identity, Stale: v.Stale} }, 503, "not_armed: nothing has been decided yet"},
	} {
		t.Run(name, func(t *testing.T) {
			v := fullView()
			c.change(v)
			r := get(t, showing(v), "/armedz")
			if text := body(t, r); r.StatusCode != c.status || !strings.Contains(text, c.says) {
				t.Errorf("answered %d, %q; want %d, %q", r.StatusCode, text, c.status, c.says)
			}
		})
	}
	if r := get(t, showing(nil), "/armedz"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("before the first look: answered %d", r.StatusCode)
	}
}

// Readiness takes the pod out of its Service, so nothing but draining may fail it, and liveness fails for nothing.
func TestReadyAndHealthy(t *testing.T) {
	bad := fullView()
	bad.Identity.Armed, bad.Identity.StartID, bad.Decision.At = false, "", noon.Add(-time.Hour)
	for name, v := range map[string]*loop.View{"full": fullView(), "bad": bad, "none": nil} {
		draining := false
		s := New(Config{Latest: func() *loop.View { return v }, Draining: func() bool { return draining }})
		for _, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
			draining = want != http.StatusOK
			if r := get(t, s, "/readyz"); r.StatusCode != want {
				t.Errorf("%s, draining %v: /readyz answered %d", name, draining, r.StatusCode)
			}
			if r := get(t, s, "/healthz"); r.StatusCode != http.StatusOK {
				t.Errorf("%s, draining %v: /healthz answered %d", name, draining, r.StatusCode)
			}
		}
	}
}
