package runpod

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// errorBody holds the words that an error's body may carry: RFC 9457's title, detail and errors, and what other
// servers call them. No other field of an answer is ever shown, since a pod's environment is among them.
type errorBody struct {
	Title   message `json:"title"`
	Detail  message `json:"detail"`
	Errors  message `json:"errors"`
	Message message `json:"message"`
	Error   message `json:"error"`
}

func (e errorBody) String() string {
	var words []string
	for _, m := range []message{e.Title, e.Detail, e.Message, e.Error, e.Errors} {
		if m != "" {
			words = append(words, string(m))
		}
	}
	return strings.Join(words, ": ")
}

// refusal sorts every answer outside of 200 to 299; it is the same for all ways by HTTP.
func (c *Client) refusal(r response) stopper.Answer {
	a := stopper.Answer{Kind: stopper.Failed, Status: r.status, Detail: c.clean(explain(r))}
	switch s := r.status; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		a.Kind = stopper.Denied
		if inFront(r) {
			a.Detail = c.clean("blocked before RunPod: " + explain(r))
		}
	case s == http.StatusNotFound:
		a.Kind = stopper.Gone
		a.Detail = c.clean("wrong pod id or address: " + explain(r))
	case s == http.StatusGone:
		a.Kind = stopper.Gone
		a.Detail = c.clean("this API was retired: " + explain(r))
	case s == http.StatusTooManyRequests:
		a.Kind, a.RetryAfter = stopper.RetryAfter, askedToWait(r.header, c.now())
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooEarly, s == http.StatusProxyAuthRequired:
		a.RetryAfter = askedToWait(r.header, c.now())
	case s >= 400:
		a.Kind = stopper.Invalid
	case s >= 300:
		a.Detail = c.clean("redirected, not followed: " + redirectHost(r.header.Get("Location")))
	default:
		a.Detail = fmt.Sprintf("unexpected status %d", s)
	}
	return a
}

// accepted sorts an answer between 200 and 299 to a stop by REST v2. Those that the API documents are a yes, unless the
// body says otherwise. A body that broke off is no objection: we may be losing our network to the very stop.
func (c *Client) accepted(r response) stopper.Answer {
	a := stopper.Answer{Kind: stopper.Failed, Status: r.status}
	switch r.status {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
	default:
		a.Detail = fmt.Sprintf("unexpected status %d", r.status)
		return a
	}
	if inFront(r) {
		a.Detail = c.clean("not RunPod's API: " + explain(r))
		return a
	}
	var pod struct {
		errorBody
		ID     loosely[string]          `json:"id"`
		Status loosely[json.RawMessage] `json:"status"`
	}
	if err := json.Unmarshal(r.body, &pod); err != nil {
		a.Kind, a.Detail = stopper.Accepted, "without the pod in the answer"
		return a
	}
	var code loosely[float64] // problem+json has a number where a pod has a word
	var word loosely[string]
	_ = json.Unmarshal(pod.Status.Value, &code)
	_ = json.Unmarshal(pod.Status.Value, &word)
	switch {
	case pod.ID.Known && pod.ID.Value != c.podID:
		a.Kind, a.Detail = stopper.Invalid, c.clean("the answer is about another pod: "+pod.ID.Value)
	case code.Or(0) >= 400, pod.Errors != "", pod.Error != "":
		a.Detail = c.clean("a yes that carries an error: " + pod.String())
	case pod.ID.Known:
		a.Kind, a.Detail = stopper.Accepted, c.clean("pod status "+word.Or("not told"))
	default:
		a.Kind, a.Detail = stopper.Accepted, "without the pod in the answer"
	}
	return a
}

// explain is what an answer says of itself, in words that hold nothing but an error's.
func explain(r response) string {
	body := bytes.TrimSpace(r.body)
	switch {
	case len(body) == 0:
		return http.StatusText(r.status)
	case isHTML(r):
		return "an HTML page" + pageTitle(body)
	case body[0] == '{' || body[0] == '[' || strings.Contains(r.header.Get("Content-Type"), "json"):
		var e errorBody
		if json.Unmarshal(body, &e) == nil && e.String() != "" {
			return e.String()
		}
		return strings.TrimSpace(http.StatusText(r.status) + " (JSON that names no error)")
	default:
		return string(body)
	}
}

var (
	titleElement = regexp.MustCompile(`(?is)<title[^>]*>([^<]*)`)
	// Cloudflare's plain refusals; 1010 is the one for a client it does not like the look of.
	cloudflareCode = regexp.MustCompile(`(?i)error code: 1\d{3}`)
)

// inFront says that not RunPod answered but what stands before it: its own errors are JSON.
func inFront(r response) bool {
	return isHTML(r) || cloudflareCode.Match(r.body[:min(len(r.body), 4096)])
}

// isHTML goes by the body first: the header alone is often a server's default.
func isHTML(r response) bool {
	body := bytes.TrimSpace(r.body)
	if len(body) == 0 || body[0] == '{' {
		return false
	}
	return body[0] == '<' || strings.Contains(strings.ToLower(r.header.Get("Content-Type")), "text/html")
}

func pageTitle(body []byte) string {
	found := titleElement.FindSubmatch(body[:min(len(body), 16<<10)])
	if found == nil {
		return ""
	}
	return ` ("` + string(bytes.TrimSpace(found[1])) + `")`
}

func redirectHost(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return "no host named"
	}
	return "to " + u.Scheme + "://" + u.Host
}
