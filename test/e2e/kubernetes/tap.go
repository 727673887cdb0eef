//go:build linux

package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// asked is one request that went through the tap.
type asked struct {
	at           time.Time
	method, path string
	dry          bool
	status       int
}

func (a asked) String() string {
	word := ""
	if a.dry {
		word = " (dry run)"
	}
	return fmt.Sprintf("%s %s%s: %d", a.method, a.path, word, a.status)
}

// writes says that it is meant to change the scale.
func (a asked) writes() bool {
	return !a.dry && strings.HasSuffix(a.path, "/scale") && (a.method == http.MethodPut || a.method == http.MethodPatch)
}

// tap stands between the watchdog and the API server, with a certificate of its own, and writes down what is asked.
type tap struct {
	server *httptest.Server
	// before is called once, before the first request that writes a scale goes on. It may be nil.
	before func(context.Context)

	mu   sync.Mutex
	once sync.Once
	all  []asked
}

func (k *cluster) newTap(before func(context.Context)) (*tap, error) {
	to, err := url.Parse(k.base)
	if err != nil {
		return nil, err
	}
	t := &tap{before: before}
	onward := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: k.transport(),
		ModifyResponse: func(resp *http.Response) error {
			t.note(resp.Request, resp.StatusCode)
			return nil
		},
		ErrorLog: log.New(io.Discard, "", 0), // what fails shows in what the watchdog says of it
	}
	t.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := asked{method: r.Method, path: r.URL.Path, dry: r.URL.Query().Has("dryRun")}
		if a.writes() && t.before != nil {
			t.once.Do(func() { t.before(r.Context()) })
		}
		onward.ServeHTTP(w, r)
	}))
	return t, nil
}

func (t *tap) note(r *http.Request, status int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, asked{at: time.Now(), method: r.Method, path: r.URL.Path, dry: r.URL.Query().Has("dryRun"), status: status})
}

// seen are the requests for which want is true, all where it is nil.
func (t *tap) seen(want func(asked) bool) (out []asked) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.all {
		if want == nil || want(a) {
			out = append(out, a)
		}
	}
	return out
}

// lines are for people.
func lines(all []asked) (out []string) {
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}

// authority writes the certificate by which the tap is trusted.
func (t *tap) authority(file string) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: t.server.Certificate().Raw}), 0o644)
}

func (t *tap) close() { t.server.Close() }
