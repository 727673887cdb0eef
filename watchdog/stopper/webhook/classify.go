package webhook

import (
	"net/http"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/post"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// sort sorts an answer as a provider's is sorted. A success is a yes unless its body says otherwise, or is a page for people,
// which is what a login or a proxy answers instead of the program that was meant.
func (h *Hook) sort(r post.Answer, now time.Time) stopper.Answer {
	a := stopper.Answer{Kind: stopper.Failed, Status: r.Status, Detail: h.client.Explain(r)}
	clean := h.client.Address().Clean
	switch s := r.Status; {
	case r.OK():
		objection := h.client.Objection(r)
		switch {
		case r.Page():
			a.Detail = clean("not the program that was meant: " + a.Detail)
		case objection != "":
			a.Detail = clean("a yes that carries an error: " + objection)
		default:
			a.Kind = stopper.Accepted
		}
	case r.Redirected():
		// Followed, the request would go to somebody whom nobody named, and as a GET at that.
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		a.Kind = stopper.Denied
	case s == http.StatusNotFound, s == http.StatusGone:
		a.Kind, a.Detail = stopper.Gone, clean("nobody is there to stop anything; is "+setting+" right? "+a.Detail)
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable && r.Wait(now) > 0:
		a.Kind, a.RetryAfter = stopper.RetryAfter, r.Wait(now)
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusProxyAuthRequired:
		a.RetryAfter = r.Wait(now)
	case s >= 400:
		a.Kind = stopper.Invalid
	}
	return a
}
