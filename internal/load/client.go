package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// Config says which server to ask, and how. Only URL is needed.
type Config struct {
	// URL is the server's address, http or https, without /v1. A user and password in it are sent and never shown.
	URL string
	// APIKey is sent as a bearer token.
	APIKey secret.Secret
	// UserAgent names us, as gpu-watchdog/VERSION.
	UserAgent string
	// Deadline bounds one request from its start to the end of its stream; 0 means 10 minutes.
	Deadline time.Duration
}

const (
	defaultDeadline = 10 * time.Minute
	// pageDeadline bounds a request for a page.
	pageDeadline = 10 * time.Second
	// connectDeadline bounds one connection's start.
	connectDeadline = 5 * time.Second
	// idleMost is shorter than the 5 s after which uvicorn closes an idle connection: a request that meets the closing would
	// fail, since a completion is not repeated.
	idleMost = 4 * time.Second
	// pageLimit bounds a page, answerLimit the answer of an error, in bytes.
	pageLimit   = 8 << 20
	answerLimit = 64 << 10
)

// Client asks one server. Its methods may be called from any number of goroutines; connections are used again, and there are as
// many as requests under way.
type Client struct {
	base     url.URL
	shown    string
	user     *url.Userinfo
	key      secret.Secret
	agent    string
	deadline time.Duration
	http     *http.Client
}

// New makes a client and connects to nothing yet. It errs on a URL that names no server.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("the server's URL cannot be read: %w", bare(err))
	}
	c := &Client{base: *u, user: u.User, key: cfg.APIKey, agent: cfg.UserAgent, deadline: cfg.Deadline}
	c.base.User, c.base.RawQuery, c.base.ForceQuery, c.base.Fragment, c.base.RawPath = nil, "", false, "", ""
	c.base.Path = strings.TrimSuffix(c.base.Path, "/")
	c.shown = c.base.String()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the server's URL %q has the scheme %q: write http://HOST:PORT or https://HOST:PORT", c.shown, u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("the server's URL %q names no host: write http://HOST:PORT", c.shown)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("the server's URL %q has a query or a fragment: write http://HOST:PORT alone", c.shown)
	case strings.HasSuffix(c.base.Path, "/v1"), strings.HasSuffix(c.base.Path, "/completions"):
		return nil, fmt.Errorf("the server's URL %q names a part of its API: write the server's address without it", c.shown)
	}
	if c.deadline <= 0 {
		c.deadline = defaultDeadline
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: connectDeadline}).DialContext,
			TLSHandshakeTimeout:   connectDeadline,
			MaxIdleConnsPerHost:   1 << 16,
			IdleConnTimeout:       idleMost,
			DisableCompression:    true, // a compressed stream comes in lumps
			ExpectContinueTimeout: time.Second,
		},
		// A redirect is an answer, and not one that streams.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// URL is the server's address without what may be secret in it.
func (c *Client) URL() string { return c.shown }

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// request makes a request with everything that each of ours has.
func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	u := c.base
	u.Path += path
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("ask %s%s: %w", c.shown, path, bare(err))
	}
	r.Header.Set("User-Agent", c.agent)
	if c.user != nil {
		password, _ := c.user.Password()
		r.SetBasicAuth(c.user.Username(), password)
	}
	if c.key.IsSet() {
		r.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	}
	return r, nil
}

// Page reads one page of the server whole, up to 8 MiB.
func (c *Client) Page(ctx context.Context, path string) (body []byte, contentType string, err error) {
	ctx, cancel := context.WithTimeout(ctx, pageDeadline)
	defer cancel()
	r, err := c.request(ctx, http.MethodGet, path, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, "", c.failure(ctx, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, "", refusal(path, resp)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, pageLimit+1))
	switch {
	case err != nil:
		return nil, "", c.failure(ctx, path, err)
	case len(body) > pageLimit:
		return nil, "", fmt.Errorf("%s is larger than %d bytes", path, pageLimit)
	}
	return body, resp.Header.Get("Content-Type"), nil
}

// Models names the models that the server offers, in its order.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	const path = "/v1/models"
	body, _, err := c.Page(ctx, path)
	if err != nil {
		return nil, err
	}
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("%s is not a list of models: is %s an OpenAI-compatible server?", path, c.shown)
	}
	var names []string
	for _, m := range list.Data {
		if m.ID != "" {
			names = append(names, m.ID)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s names no model: name one, or look whether %s has loaded it", path, c.shown)
	}
	return names, nil
}

// bare takes the address out of an error: url.Error quotes it whole, a password and a query with it.
func bare(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
