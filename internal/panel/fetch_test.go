package panel

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// answering is a server on loopback that answers /status with h, and its address.
func answering(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/status", h)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func sends(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
	}
}

func TestFetch(t *testing.T) {
	want, err := os.ReadFile("../web/testdata/status_full.json")
	if err != nil {
		t.Fatal(err)
	}
	address := answering(t, sends(http.StatusOK, string(want)))
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	// As a server writes its address, and as it can be asked.
	for _, a := range []string{address, "0.0.0.0:" + port, ":" + port} {
		s, raw, err := Fetch(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if string(raw) != string(want) || s.Name.Value != "pod-abc123" || s.Reason.Value != "below_threshold" {
			t.Errorf("%s: read %+v", a, s)
		}
	}
}

func TestFetchFails(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		address     string
		unreachable bool
		says        string
	}{
		"nobody listens": {nobody, true, "is gpu-watchdog running there, with WATCHDOG_LISTEN=" + nobody},
		"no port":        {"127.0.0.1", true, "WATCHDOG_LISTEN=127.0.0.1"},
		"no address":     {"127.0.0.1:98 77", false, "host:port"},
		"refused":        {answering(t, sends(http.StatusForbidden, "the host is not answered\nmore")), false, "answered 403: the host is not answered"},
		"another page":   {answering(t, sends(http.StatusOK, "<html>\x1b[2J<title>ComfyUI</title>")), false, `what answers is not gpu-watchdog (it sent "<html>?[2J<title>`},
		"other JSON":     {answering(t, sends(http.StatusOK, `{"status":"ok"}`)), false, "is not gpu-watchdog"},
		"half a page":    {answering(t, sends(http.StatusOK, `{"schema": 1, "name":`)), false, "is not gpu-watchdog"},
		"a newer one":    {answering(t, sends(http.StatusOK, `{"schema": 2, "version": "9.0.0"}`)), false, "schema 2, and this program 1: use the gpu-watchdog that runs there (9.0.0)"},
		"endless":        {answering(t, sends(http.StatusOK, strings.Repeat(" ", answerMost+1))), false, "longer than"},
		"a redirect": {answering(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/status", http.StatusFound)
		}), false, "answered 302"},
		"broken off": {answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"schema": 1`))
		}), false, "broke off"},
	} {
		t.Run(name, func(t *testing.T) {
			s, raw, err := Fetch(t.Context(), c.address)
			if err == nil || !strings.Contains(err.Error(), c.says) || errors.Is(err, ErrUnreachable) != c.unreachable {
				t.Errorf("Fetch: %v (unreachable: %v)", err, errors.Is(err, ErrUnreachable))
			}
			if s.Schema != 0 || raw != nil {
				t.Errorf("gives a status beside its error: %+v", s)
			}
		})
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	hang := make(chan struct{})
	address := answering(t, func(http.ResponseWriter, *http.Request) { <-hang })
	defer close(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := Fetch(ctx, address); !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Fetch: %v", err)
	}
}
