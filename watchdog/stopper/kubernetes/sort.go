package kubernetes

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

var (
	// lacksRight is how every authorizer of Kubernetes words the lack of a right; who it speaks of comes before.
	lacksRight = regexp.MustCompile(`cannot [a-z]+ (resource|path) `)
	anonymous  = `User "system:anonymous"`
	// byAdmission is how the API server words what a policy or a webhook refused.
	byAdmission = regexp.MustCompile(`(?i)admission webhook|ValidatingAdmissionPolicy|MutatingAdmissionPolicy`)
)

// sorted sorts every answer outside of 200 to 299.
func sorted(r response, rule Rule, now time.Time) *Error {
	told, isStatus := readStatus(r.body)
	words := told.Message
	if words == "" {
		words = told.Reason
	}
	if !isStatus || words == "" {
		words = unworded(r)
	}
	say := func(text string) string { return shown(rule.doing()+": "+text, r.token) }

	e := &Error{Answer: stopper.Answer{Kind: stopper.Failed, Status: r.status, Detail: say(words)}}
	a := &e.Answer
	switch s := r.status; {
	case s == http.StatusUnauthorized:
		a.Kind, a.Detail = stopper.Denied, say("the service account's token is not accepted (too old, or for another audience): "+words)
	case s == http.StatusForbidden:
		a.Kind = stopper.Denied
		switch {
		case strings.Contains(words, anonymous):
			a.Detail = say("the server took no notice of the service account's token: " + words)
		case lacksRight.MatchString(words):
			e.Missing = rule
			a.Detail = say("the service account may not; its Role needs " + rule.String())
		case byAdmission.MatchString(words):
			a.Detail = say("refused by an admission rule: " + words)
		}
	case s == http.StatusNotFound:
		a.Kind, a.Detail = stopper.Gone, say("nothing there by this name: "+words)
	case s == http.StatusGone:
		a.Kind, a.Detail = stopper.Gone, say("this API was retired: "+words)
	case s == http.StatusConflict:
		a.Kind, a.Detail = stopper.Invalid, say("changed at the same time: "+words)
	case s == http.StatusUnprocessableEntity && byAdmission.MatchString(words):
		a.Kind, a.Detail = stopper.Invalid, say("refused by an admission rule: "+words)
	case s == http.StatusTooManyRequests:
		a.Kind, a.RetryAfter = stopper.RetryAfter, askedToWait(r.header, told, now)
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusProxyAuthRequired:
		a.RetryAfter = askedToWait(r.header, told, now)
	case s >= 400:
		a.Kind = stopper.Invalid
	case s >= 300:
		a.Detail = say("redirected, not followed: " + redirectHost(r.header.Get("Location")))
	default:
		a.Detail = say(fmt.Sprintf("unexpected status %d", s))
	}
	return e
}

// unworded is what is said of an answer that is not Kubernetes' own. Its text is shown only where it is plain: a page or
// another object's JSON says nothing to people.
func unworded(r response) string {
	body := bytes.TrimSpace(r.body)
	name := http.StatusText(r.status)
	if name == "" {
		name = fmt.Sprintf("status %d", r.status)
	}
	switch {
	case len(body) == 0:
		return name
	case body[0] == '<':
		return name + " (an HTML page, so not the API server)"
	case body[0] == '{' || body[0] == '[' || r.partial:
		return name + " (without words that can be read)"
	default:
		return string(body)
	}
}

func redirectHost(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "no host named"
	}
	return "to " + u.Scheme + "://" + u.Host
}

// askedToWait is the longer of what the header Retry-After (RFC 9110: seconds, or a date) and the status in the body ask
// for, within 0 and maxWait; 0 where they say nothing.
func askedToWait(h http.Header, told status, now time.Time) time.Duration {
	return max(retryAfter(h.Get("Retry-After"), h.Get("Date"), now), clampWait(told.Details.RetryAfterSeconds))
}

func retryAfter(value, date string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if at, err := http.ParseTime(value); err == nil {
		// The sender's own clock, where it tells it: ours may be off.
		if sent, err := http.ParseTime(date); err == nil {
			now = sent
		}
		return clampWait(at.Sub(now).Seconds())
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil && !math.IsInf(seconds, 1) {
		return 0
	}
	return clampWait(seconds)
}

func clampWait(seconds float64) time.Duration {
	if !(seconds > 0) { // NaN too
		return 0
	}
	return time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second))
}
