package web

import (
	"fmt"
	"net/http"

	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// serveReady decides whether the pod gets requests. It fails only while draining, so that a mistake of ours never takes
// the server beside us out of its Service.
func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if s.config.Draining() {
		refuse(w, http.StatusServiceUnavailable, "draining: this pod is about to be stopped")
		return
	}
	answer(w, http.StatusOK, plain, []byte("ready\n"))
}

// serveArmed tells operators whether this watchdog would stop its pod.
func (s *Server) serveArmed(w http.ResponseWriter, _ *http.Request) {
	v := s.config.Latest()
	code, why := unable(v)
	if err := status.Fresh(v, s.now()); err != nil {
		// What is not looking cannot stop anything, whatever its target says.
		code, why = watchdog.NotArmed, err.Error()
	}
	if code != "" {
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("%s: %s", code, why))
		return
	}
	id := v.Identity
	word := "armed"
	if id.DryRun {
		word = "dry run"
	}
	if t := id.Target; t.Kind != "" {
		word += fmt.Sprintf(": %s %s, %s", t.Kind, t.ID, t.Action)
	}
	answer(w, http.StatusOK, plain, []byte(word+"\n"))
}

// unable says why a stop could not be carried out as configured, by the reason that a decision would give; the code is
// empty where it could.
func unable(v *loop.View) (code watchdog.Reason, why string) {
	if v == nil {
		return watchdog.NotArmed, "nothing has been decided yet"
	}
	id := v.Identity
	// What the decision itself says comes first: it knows of locked pods, of an identity that was lost, and of stops that were undone.
	for _, b := range v.Decision.Reasons {
		if b.Code == watchdog.NotArmed || b.Code == watchdog.TargetRefused || b.Code == watchdog.StopReverted {
			return b.Code, reasonText(b.Code, b.Detail)
		}
	}
	switch {
	case id.StartID == "":
		return watchdog.NotArmed, "the identity of this start is unknown"
	case v.Permission == loop.PermissionRefused:
		return watchdog.TargetRefused, reasonText(watchdog.TargetRefused, v.PermissionDetail)
	case v.Attempt.Phase == watchdog.StopRefused:
		return watchdog.StopBackoff, reasonText(watchdog.StopBackoff, v.Attempt.Detail)
	case id.DryRun && id.Target.Kind != "":
		return "", ""
	case !id.Armed:
		return watchdog.NotArmed, reasonText(watchdog.NotArmed, id.Unarmed)
	}
	return "", ""
}

// reasonText is the detail, or where there is none what the reason means.
func reasonText(code watchdog.Reason, detail string) string {
	if detail != "" {
		return detail
	}
	for _, m := range watchdog.ReasonMeaning {
		if m.Code == code {
			return m.Meaning
		}
	}
	return string(code)
}
