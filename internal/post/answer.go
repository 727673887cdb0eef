package post

import (
	"bytes"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// MaxWait bounds what a host may ask us to wait: nothing is forgotten for days because of one header.
const MaxWait = 10 * time.Minute

// Answer is what a host answered. Its parts are as they came; what may be shown of them says Explain.
type Answer struct {
	Status int
	Header http.Header
	// Body is the beginning of the body, at most 64 KiB.
	Body []byte
}

// OK says that the status is one of success, 200 to 299.
func (a Answer) OK() bool { return a.Status >= 200 && a.Status <= 299 }

// Redirected says that the host named another place.
func (a Answer) Redirected() bool { return a.Status >= 300 && a.Status <= 399 }

// Wait is how long the header Retry-After (RFC 9110: seconds, or a date) asks to wait, within 0 and MaxWait; 0 where it says
// nothing. A date is taken by the host's own clock, where it tells it: ours may be off.
func (a Answer) Wait(now time.Time) time.Duration {
	value := strings.TrimSpace(a.Header.Get("Retry-After"))
	if at, err := http.ParseTime(value); err == nil {
		if sent, err := http.ParseTime(a.Header.Get("Date")); err == nil {
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
	return time.Duration(min(seconds, MaxWait.Seconds()) * float64(time.Second))
}

// Page says that a page for people came, which no hook answers with: a login, a proxy's error.
func (a Answer) Page() bool { return htmlOpening.Match(bytes.TrimSpace(a.Body)) }

var (
	htmlOpening  = regexp.MustCompile(`(?i)^(<!doctype\s+html|<html|<head|<body|<\?xml[^>]*>\s*<!doctype\s+html)`)
	titleElement = regexp.MustCompile(`(?is)<title[^>]*>([^<]*)`)
)

// Objection is what the body of a success says against it: {"ok": false}, {"success": false}, or an "error" that is not empty,
// as some hosts answer under 200. Empty where it says nothing of the kind.
func (c *Client) Objection(a Answer) string {
	said, object := read(a.Body)
	if !object || !said.no {
		return ""
	}
	if words := said.String(); words != "" {
		return c.address.Clean(words, c.key)
	}
	return "it says itself that it is none"
}

// Explain is what an answer says of itself, fit to be shown: the words of an error, a short text, or what its status means.
func (c *Client) Explain(a Answer) string {
	body := bytes.TrimSpace(a.Body)
	text := ""
	switch said, object := read(body); {
	case a.Redirected():
		text = "redirected, which is not followed: " + placeOf(a.Header.Get("Location"))
	case a.Page():
		text = "a page for people"
		if title := titleElement.FindSubmatch(body[:min(len(body), 16<<10)]); title != nil {
			text += ` ("` + string(bytes.TrimSpace(title[1])) + `")`
		}
	case object:
		text = said.String()
	case len(body) > 0 && body[0] != '{' && body[0] != '[':
		text = string(body)
	}
	if text == "" {
		text = http.StatusText(a.Status)
	}
	return c.address.Clean(text, c.key)
}

func placeOf(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" || !isHost(u.Host) {
		return "no host named"
	}
	return "to " + u.Scheme + "://" + u.Host
}
