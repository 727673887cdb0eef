package vllm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Config says which server to read, and how.
type Config struct {
	// URL is the server's address, http or https, with a path only where vLLM is served below one. A user and password in
	// it are sent and never shown.
	URL string
	// UserAgent names us, as gpu-watchdog/VERSION.
	UserAgent string
	// Own is told of our connections; nil where nobody wants to know.
	Own OwnPorts
}

// Client reads one server. Its methods may be called from several goroutines; one read is under way at a time.
type Client struct {
	shown     string
	dialer    *dialer
	questions map[string]question
	turn      chan struct{} // holds a token while a read is under way

	// What follows belongs to the read that has the turn.
	wire   *wire
	body   []byte
	reader reader
	served servingReader
	epoch  epoch
	noLoad bool // /load answered 404 in this epoch
	asked  bool // /version was answered in this epoch

	mu      sync.Mutex
	version string
}

const (
	metricsPath = "/metrics"
	healthPath  = "/health"
	loadPath    = "/load"
	versionPath = "/version"
)

// New makes a client and connects to nothing yet. It errs on a URL that names no server.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		// url.Error quotes the whole address, and a password with it.
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, fmt.Errorf("vLLM's URL cannot be read: %w", err)
	}
	shown := *u
	shown.User, shown.RawQuery, shown.ForceQuery, shown.Fragment = nil, "", false, ""
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("vLLM's URL %q has the scheme %q: write http://HOST:PORT or https://HOST:PORT", shown.String(), u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("vLLM's URL %q names no host: write http://HOST:PORT", shown.String())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("vLLM's URL %q has a query or a fragment: write http://HOST:PORT alone", shown.String())
	case strings.HasSuffix(strings.TrimSuffix(u.Path, "/"), metricsPath):
		return nil, fmt.Errorf("vLLM's URL %q names a page: write the server's address without %s", shown.String(), metricsPath)
	}
	shown.Path = strings.TrimSuffix(shown.Path, "/")
	shown.RawPath = ""
	d := &dialer{own: cfg.Own}
	c := &Client{shown: shown.String(), dialer: d, wire: newWire(u, d), turn: make(chan struct{}, 1), questions: map[string]question{}}
	const asJSON = "application/json"
	for path, accept := range map[string]string{metricsPath: "text/plain", healthPath: "*/*", loadPath: asJSON, versionPath: asJSON} {
		if c.questions[path], err = newQuestion(request(u, path, accept, cfg.UserAgent)); err != nil {
			return nil, fmt.Errorf("vLLM's URL %q cannot be asked for %s: %w", shown.String(), path, err)
		}
	}
	return c, nil
}

// Read asks the server once and says what it answered. It returns at ctx's deadline at the latest, with what it knows by
// then; whatever goes wrong is in Outcome and Detail.
func (c *Client) Read(ctx context.Context) watchdog.Server { return c.ReadServing(ctx, nil) }

// ReadServing is Read, and reads the histograms of the same page into h, whose memory it uses again; h may be nil.
func (c *Client) ReadServing(ctx context.Context, h *Serving) watchdog.Server {
	ctx, cancel := context.WithTimeout(ctx, ceiling)
	defer cancel()
	s := watchdog.Server{URL: c.shown}
	start := time.Now()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		if h != nil {
			h.reset()
		}
		s.Outcome, s.Detail, s.Took = watchdog.OutcomeTimeout, "the read before this one is still under way", time.Since(start)
		return s
	}
	talks := c.readMetrics(ctx, &s, h)
	if h != nil && s.Outcome != watchdog.OutcomeAnswered {
		h.reset()
		h.Gone, h.Why = s.Outcome == watchdog.OutcomeRefused, s.Detail
	}
	s.Took = time.Since(start)
	if talks && s.Outcome != watchdog.OutcomeTimeout {
		if s.Mute = !c.readHealth(ctx, &s) || !c.readLoad(ctx, &s); !s.Mute {
			c.readVersion(ctx, &s)
		}
	} else if talks {
		c.readHealth(ctx, &s)
	}
	s.Version = c.knownVersion()
	return s
}

// Skipped is the reading of a window in which the server was not asked.
func (c *Client) Skipped() watchdog.Server {
	return watchdog.Server{URL: c.shown, Outcome: watchdog.OutcomeSkipped, Version: c.knownVersion()}
}

// Close closes the connection, under a read too. Reads after it fail.
func (c *Client) Close() {
	c.dialer.close()
}

// readMetrics reads the page, for which it takes three quarters of the time: a server whose page hangs can still say that
// its engine is dead. It reports whether there is someone who may answer more.
func (c *Client) readMetrics(ctx context.Context, s *watchdog.Server, h *Serving) bool {
	start := time.Now()
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(ctx, time.Until(deadline)*3/4)
	defer cancel()
	a, err := c.get(ctx, metricsPath, pageLimit)
	if err != nil {
		f := classify(err, time.Since(start), c.dialer.connected())
		s.Outcome, s.Detail = f.outcome, metricsPath+" "+f.detail
		if f.gone {
			c.forget()
		}
		return !f.mute
	}
	if a.status != http.StatusOK {
		s.Detail = metricsPath + " " + refusal(a)
		return true
	}
	page, err := c.reader.read(a.body, a.contentType)
	if err != nil {
		s.Detail = metricsPath + " " + clean(err.Error())
		return true
	}
	if c.epoch.next(page) {
		c.forget()
	}
	s.Outcome = watchdog.OutcomeAnswered
	page.into(s)
	if h != nil {
		c.served.read(a.body, a.contentType, page, h)
	}
	return true
}

// into fills in what the page said.
func (p Page) into(s *watchdog.Server) {
	s.EngineSeries, s.HTTPSeries = p.EngineSeries, p.HTTPSeries
	s.Engines, s.HTTPRequests, s.StartedAt = p.Engines, p.HTTPRequests, p.StartedAt
	switch {
	case p.EngineSeries:
	case p.HTTPSeries:
		s.Detail = "no vllm: series on /metrics: started with --disable-log-stats?"
	default:
		s.Detail = "neither vllm: series nor http_requests_total on /metrics: is this vLLM?"
	}
}

// readHealth reports whether the server still talks. 503 is vLLM's word for a dead engine, and only that.
func (c *Client) readHealth(ctx context.Context, s *watchdog.Server) bool {
	start := time.Now()
	a, err := c.get(ctx, healthPath, answerLimit)
	switch {
	case err == nil && a.status == http.StatusOK:
		s.Health = watchdog.HealthOK
	case err == nil && a.status == http.StatusServiceUnavailable:
		s.Health = watchdog.HealthDead
		note(s, healthPath+" answers 503: the engine is dead")
	case err == nil:
		note(s, healthPath+" "+refusal(a))
	default:
		note(s, healthPath+" "+classify(err, time.Since(start), c.dialer.connected()).detail)
	}
	return err == nil
}

// readLoad asks /load, unless it is known not to exist, and reports whether the server still talks. A negative answer is a counter that has drifted and says
// nothing; so does an answer in another form.
func (c *Client) readLoad(ctx context.Context, s *watchdog.Server) bool {
	if c.noLoad {
		return true
	}
	start := time.Now()
	a, err := c.get(ctx, loadPath, answerLimit)
	if err != nil {
		note(s, loadPath+" "+classify(err, time.Since(start), c.dialer.connected()).detail)
		return false
	}
	c.noLoad = a.status == http.StatusNotFound
	var body struct {
		Load *float64 `json:"server_load"`
	}
	if a.status == http.StatusOK && json.Unmarshal(a.body, &body) == nil && body.Load != nil && possible(*body.Load) {
		s.Load = watchdog.Known(*body.Load)
	}
	return true
}

// readVersion asks /version once in an epoch.
func (c *Client) readVersion(ctx context.Context, s *watchdog.Server) {
	if c.asked || s.Outcome != watchdog.OutcomeAnswered {
		return
	}
	a, err := c.get(ctx, versionPath, answerLimit)
	if err != nil {
		return
	}
	c.asked = true
	var body struct {
		Version string `json:"version"`
	}
	if a.status == http.StatusOK && json.Unmarshal(a.body, &body) == nil && len(body.Version) <= 64 {
		c.setVersion(clean(body.Version))
	}
}

// forget drops what was true of a server that may have been replaced.
func (c *Client) forget() {
	c.noLoad, c.asked = false, false
	c.setVersion("")
}

func (c *Client) setVersion(v string) {
	c.mu.Lock()
	c.version = v
	c.mu.Unlock()
}

func (c *Client) knownVersion() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// note adds to what was wrong.
func note(s *watchdog.Server, text string) {
	if s.Detail != "" {
		s.Detail += "; "
	}
	s.Detail += text
}
