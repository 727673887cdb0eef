package web

import (
	"net/http"
	"strings"
	"testing"
)

var everyPath = []string{"/", "/status", "/metrics", "/healthz", "/readyz", "/armedz"}

func TestOnlyReadsAreAnswered(t *testing.T) {
	s := showing(fullView())
	for _, path := range append(everyPath, "/nothing") {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "BREW", "get"} {
			r := ask(t, s, method, path, "localhost")
			if r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: answered %d, Allow %q", method, path, r.StatusCode, r.Header.Get("Allow"))
			}
		}
	}
	for _, path := range everyPath {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if r := ask(t, s, method, path, "localhost"); r.StatusCode != http.StatusOK {
				t.Errorf("%s %s: answered %d", method, path, r.StatusCode)
			}
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	s := showing(fullView())
	for _, path := range []string{"/nothing", "/status/", "//status", "/Status", "/status/../metrics", "/metrics.txt", "/favicon.ico", "/debug/pprof/"} {
		if r := get(t, s, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: answered %d", path, r.StatusCode)
		}
	}
}

func TestHostRule(t *testing.T) {
	s := showing(fullView()) // pod.internal is a listed name
	for host, allowed := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1:9877": true, "10.1.2.3:9877": true, "[::1]:9877": true, "[::1]": true,
		"localhost": true, "localhost:9877": true, "LOCALHOST:80": true, "pod.internal": true, "Pod.Internal:9877": true,
		"": false, "evil.example": false, "evil.example:9877": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"pod.internal.evil.example": false, "evil-pod.internal": false, "2130706433": false, "0x7f.0.0.1": false, "127.1": false,
		"localhost:9877:1": false, "127.0.0.1@evil.example": false, strings.Repeat("a", 4000): false,
	} {
		for _, path := range everyPath {
			r := ask(t, s, http.MethodGet, path, host)
			text := body(t, r)
			if allowed && r.StatusCode != http.StatusOK || !allowed && r.StatusCode != http.StatusForbidden {
				t.Errorf("Host %q, %s: answered %d", clip(host), path, r.StatusCode)
			}
			if !allowed && (!strings.Contains(text, "localhost, or as pod.internal") || len(text) > 500) {
				t.Errorf("Host %q: the refusal says %q", clip(host), text)
			}
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	s := showing(fullView())
	for _, path := range append(everyPath, "/nothing") {
		h := get(t, s, path).Header
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, h.Get(name), want)
			}
		}
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy is %q", path, csp)
		}
		if origin := h.Get("Access-Control-Allow-Origin"); origin != "" {
			t.Errorf("%s: other origins may read: %q", path, origin)
		}
	}
}
