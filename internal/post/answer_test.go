package post

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

func TestWait(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name, after, date string
		want              time.Duration
	}{
		{"nothing", "", "", 0},
		{"seconds", "12", "", 12 * time.Second},
		{"padded", " 12 ", "", 12 * time.Second},
		{"fraction", "0.25", "", 250 * time.Millisecond},
		{"none", "0", "", 0},
		{"negative", "-5", "", 0},
		{"words", "soon", "", 0},
		{"not a number", "NaN", "", 0},
		{"beyond every number", "1e999", "", MaxWait},
		{"long", "86400", "", MaxWait},
		{"a date by our clock", date(time.Minute), "", time.Minute},
		{"a date in the past", date(-time.Minute), "", 0},
		{"a date by their clock, an hour ahead", date(61 * time.Minute), date(time.Hour), time.Minute},
		{"their clock cannot be read", date(time.Minute), "today", time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Answer{Header: http.Header{"Retry-After": {c.after}, "Date": {c.date}}}
			if got := a.Wait(now); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got := (Answer{}).Wait(now); got != 0 {
		t.Errorf("no answer asks to wait %s", got)
	}
}

func TestExplain(t *testing.T) {
	c := NewClient(Config{Address: parsed(t, "https://h.example/"+planted), Key: secret.New("signing-key")})
	for _, a := range []struct {
		name      string
		status    int
		body      string
		want      string
		objection string
	}{
		{"nothing", 503, "", "Service Unavailable", ""},
		{"blank", 503, " \n", "Service Unavailable", ""},
		{"a status without a name", 599, "", "", ""},
		{"Slack's", 403, "invalid_token", "invalid_token", ""},
		{"Discord's", 404, `{"message": "Unknown Webhook", "code": 10015}`, "Unknown Webhook", ""},
		{"a problem", 400, `{"title":"Bad","detail":"no such pod","env":{"A":"hunter2"}}`, "Bad: no such pod", ""},
		{"an error with a message", 400, `{"error":{"message":"no such pod","trace":"hunter2"}}`, "no such pod", "no such pod"},
		{"an object without words", 400, `{"env":"hunter2"}`, "Bad Request", ""},
		{"broken JSON", 400, `{"env":"hunter2`, "Bad Request", ""},
		{"a list", 400, `["hunter2"]`, "Bad Request", ""},
		{"a page", 200, "<!DOCTYPE html><title>Sign in</title>", `a page for people ("Sign in")`, ""},
		{"a page without a title", 200, "<html>", "a page for people", ""},
		{"what we sent", 404, "no hook /" + planted + " signed by signing-key", "no hook [secret] signed by [secret]", ""},
		{"several lines", 500, "a\n\tb", "a b", ""},
		{"a yes", 200, "ok", "ok", ""},
		{"a yes in JSON", 200, `{"ok": true, "error": null}`, "OK", ""},
		{"a no under 200", 200, `{"ok": false, "error": "no_pod"}`, "no_pod", "no_pod"},
		{"a no without words", 200, `{"success": false}`, "OK", "it says itself that it is none"},
		{"an error in a form of its own", 200, `{"error": [1]}`, "OK", "it says itself that it is none"},
		{"errors that are none", 200, `{"error": {}, "success": null, "ok": "no"}`, "OK", ""},
	} {
		t.Run(a.name, func(t *testing.T) {
			answer := Answer{Status: a.status, Body: []byte(a.body)}
			if got := c.Explain(answer); got != a.want {
				t.Errorf("explained as %q, want %q", got, a.want)
			}
			if got := c.Objection(answer); got != a.objection {
				t.Errorf("objection %q, want %q", got, a.objection)
			}
		})
	}
}

func TestExplainRedirects(t *testing.T) {
	c := NewClient(Config{Address: parsed(t, "https://h.example/x")})
	for location, want := range map[string]string{
		"https://elsewhere.example/key?a=b": "redirected, which is not followed: to https://elsewhere.example",
		"/login":                            "redirected, which is not followed: no host named",
		"":                                  "redirected, which is not followed: no host named",
		"https://a b/":                      "redirected, which is not followed: no host named",
	} {
		got := c.Explain(Answer{Status: 302, Header: http.Header{"Location": {location}}, Body: []byte("<html>moved")})
		if got != want {
			t.Errorf("%q is explained as %q, want %q", location, got, want)
		}
	}
}

// Whatever comes, what is shown of it is short, on one line, and without the address.
func FuzzExplain(f *testing.F) {
	for _, s := range []struct {
		status   int
		location string
		body     string
	}{
		{200, "", `{"ok":false,"error":{"message":"` + planted + `"}}`},
		{302, "https://x/" + planted, "<html>"},
		{404, "", "no " + planted},
		{500, "", strings.Repeat("[", 300)},
		{-1, "\x00", "\xff"},
		{403, "", "<title>" + strings.Repeat("中", 400)},
	} {
		f.Add(s.status, s.location, []byte(s.body))
	}
	a, err := ParseAddress("WATCHDOG_X", secret.New("https://h.example/"+planted))
	if err != nil {
		f.Fatal(err)
	}
	c := NewClient(Config{Address: a})
	f.Fuzz(func(t *testing.T, status int, location string, body []byte) {
		answer := Answer{Status: status, Header: http.Header{"Location": {location}, "Retry-After": {location}}, Body: body}
		for _, text := range []string{c.Explain(answer), c.Objection(answer)} {
			if len(text) > 300 || strings.ContainsAny(text, "\n\x00") || strings.Contains(text, planted) {
				t.Errorf("shown: %q", text)
			}
		}
		if wait := answer.Wait(time.Now()); wait < 0 || wait > MaxWait {
			t.Errorf("asked to wait %s", wait)
		}
	})
}
