package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
)

const plain = "text/plain; charset=utf-8"

// routes is everything that can be asked for.
func (s *Server) routes() http.Handler {
	paths := map[string]http.HandlerFunc{
		"/":        servePage,
		"/status":  s.serveStatus,
		"/metrics": s.metrics.handler(s.log).ServeHTTP,
		"/healthz": func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, plain, []byte("ok\n")) },
		"/readyz":  s.serveReady,
		"/armedz":  s.serveArmed,
	}
	return s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve, ok := paths[r.URL.Path]
		if !ok {
			refuse(w, http.StatusNotFound, "there is no such page: there are /, /status, /metrics, /healthz, /readyz and /armedz")
			return
		}
		serve(w, r)
	}))
}

// guard lets through only what may be answered: reads, under a name that no foreign page can have made up.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !hostAllowed(r.Host, s.config.AllowedHosts) {
			refuse(w, http.StatusForbidden, fmt.Sprintf(
				"the host %q is not answered: ask for this machine by its IP address or as localhost%s (a web page elsewhere could point a name of its own here)",
				clip(r.Host), also(s.config.AllowedHosts)))
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "nothing can be changed here: only GET and HEAD are answered")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hostAllowed keeps DNS rebinding out: a browser that was lured by a name sends that name, which is no IP address.
func hostAllowed(hostport string, names []string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	for _, name := range names {
		if name != "" && strings.EqualFold(host, name) {
			return true
		}
	}
	return false
}

func also(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", or as " + strings.Join(names, ", ")
}

// clip bounds what a client sent before it is shown back.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

func (s *Server) serveStatus(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	out := json.NewEncoder(&body)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	document := status.Of(s.config.Latest(), s.now(), s.config.Version)
	if s.config.Served != nil {
		served := s.config.Served(s.now())
		document.Serving, document.Money.USDPerMillionTokens = served.Summary, served.USDPerMillionTokens
	}
	if err := out.Encode(document); err != nil {
		s.log.Error("status cannot be written as JSON", zap.Error(err))
		refuse(w, http.StatusInternalServerError, "the status cannot be written as JSON; the log says why")
		return
	}
	answer(w, http.StatusOK, "application/json", body.Bytes())
}

func refuse(w http.ResponseWriter, code int, why string) {
	answer(w, code, plain, []byte(why+"\n"))
}

// answer writes a whole body. An error of the connection is the client's own business.
func answer(w http.ResponseWriter, code int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	_, _ = w.Write(body)
}
