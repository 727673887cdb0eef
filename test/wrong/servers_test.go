package wrong

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
)

// badServer is one way in which what listens on the server's port can be wrong, and what must be said of it.
type badServer struct {
	name   string
	secure bool
	wrong  nonsense.Way
	// says are words of the detail: what is wrong, and the remedy where there is one.
	says []string
}

var badServers = []badServer{
	{"hangs", false, nonsense.Hangs, []string{"no whole answer within"}},
	{"HTML", false, nonsense.HTML, []string{"HTML"}},
	{"half a page", false, nonsense.HalfAPage, []string{"half a page"}},
	{"half a line", false, nonsense.HalfALine, []string{"end"}},
	{"200 MB", false, nonsense.Endless, []string{"larger than"}},
	{"200 MB announced", false, nonsense.AnnouncesTooMuch, []string{"larger than", "209715200 bytes are announced"}},
	{"redirect loop", false, nonsense.Redirects, []string{"redirect to /metrics", "not followed"}},
	{"login", false, nonsense.WantsLogin, []string{"401", "wants a login"}},
	{"noise", false, nonsense.Noise, []string{"/metrics"}},
	{"not HTTP", false, nonsense.NotHTTP, []string{"does not speak HTTP"}},
}

// TestServersThatTurnWrong: a server that has worked and then answers nonsense, or not at all, is unknown, never quiet.
func TestServersThatTurnWrong(t *testing.T) {
	t.Parallel()
	for _, c := range badServers {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.secure, c.wrong)
			p := start(t, "WATCHDOG_VLLM_URLS="+s.URL)
			p.Says("decision", "busy")
			s.turned.Store(true)
			p.state("hold", "unknown", "source_failed")
			p.shows(append(slices.Clone(c.says), s.URL)...)
			p.once("decision", "source_failed")
			p.armed(http.StatusOK, "armed: runpod "+podID)
			p.unharmed()
			p.state("hold", "unknown", "source_failed")
		})
	}
}

// TestServersThatAreWrongFromTheStart: what does not answer as vLLM does may be one that is loading, so it holds the pod; what is
// wrong is said at once.
func TestServersThatAreWrongFromTheStart(t *testing.T) {
	t.Parallel()
	for _, c := range slices.Concat(badServers, []badServer{{"bad certificate", true, nonsense.HTML, []string{"certificate does not hold", "SSL_CERT_FILE"}}}) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.secure, c.wrong)
			s.turned.Store(true)
			p := start(t, "WATCHDOG_VLLM_URLS="+s.URL)
			p.state("hold", "busy", "server_loading")
			p.shows(append(slices.Clone(c.says), s.URL)...)
			if c.name != "hangs" { // so does a server that is still loading, behind some proxies
				p.Says("alarm", s.URL, "WATCHDOG_VLLM_URLS")
			}
			p.armed(http.StatusOK)
			p.unharmed()
			p.once("alarm", s.URL)
			p.state("hold", "busy", "server_loading")
		})
	}
}

// TestPlainServerUnderHTTPS: the scheme is a mistake of one letter.
func TestPlainServerUnderHTTPS(t *testing.T) {
	t.Parallel()
	s := newServer(t, false, nonsense.HTML)
	url := strings.Replace(s.URL, "http:", "https:", 1)
	p := start(t, "WATCHDOG_VLLM_URLS="+url)
	p.state("hold", "busy", "server_loading")
	p.Says("alarm", url, "does not speak TLS", "use http://", "WATCHDOG_VLLM_URLS")
	p.unharmed()
}

// TestNobodyListens: at first a server that is loading; after it was there a dead one. Neither is quiet.
func TestNobodyListens(t *testing.T) {
	t.Parallel()
	t.Run("ever", func(t *testing.T) {
		t.Parallel()
		url := nobody(t)
		p := start(t, "WATCHDOG_VLLM_URLS="+url)
		p.state("hold", "busy", "server_loading")
		p.Says("decision", "server_loading")
		p.unharmed()
		p.state("hold", "busy", "server_loading")
	})
	t.Run("any more", func(t *testing.T) {
		t.Parallel()
		s := newServer(t, false, nonsense.HTML)
		p := start(t, "WATCHDOG_VLLM_URLS="+s.URL)
		p.Says("decision", "busy")
		s.Close()
		p.state("hold", "broken", "server_dead")
		p.Says("alarm", s.URL, "nobody listens", "restart the server, or stop the pod")
		p.unharmed()
		p.state("hold", "broken", "server_dead")
	})
	t.Run("within STARTUP_TIMEOUT", func(t *testing.T) {
		t.Parallel()
		url := nobody(t)
		p := start(t, "WATCHDOG_VLLM_URLS="+url, "WATCHDOG_STARTUP_TIMEOUT=600ms")
		p.state("hold", "broken", "never_ready")
		p.Says("alarm", url, "not been ready within STARTUP_TIMEOUT (600ms)", "look at the server's log", "stopped after 30m0s")
		p.unharmed()
		p.state("hold", "broken", "never_ready")
	})
}
