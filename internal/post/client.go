package post

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

const (
	// maxBody bounds what is kept of any answer, after decompression, in bytes.
	maxBody          = 64 << 10
	defaultTimeout   = 10 * time.Second
	connectTimeout   = 5 * time.Second
	defaultUserAgent = "gpu-watchdog"
)

// Config is what a Client needs.
type Config struct {
	// Address is of ParseAddress.
	Address Address
	// Key signs what is sent; where it is not set, nothing is signed.
	Key secret.Secret
	// UserAgent names us; empty means gpu-watchdog.
	UserAgent string
	// Timeout bounds each request with its answer; 0 means 10 s.
	Timeout time.Duration
	// Transport carries the requests; nil means one of our own.
	Transport http.RoundTripper
}

// Client posts to one address. It is safe for concurrent use.
type Client struct {
	address   Address
	key       secret.Secret
	userAgent string
	timeout   time.Duration
	http      http.Client
}

// NewClient makes a client, which reaches nothing until Send.
func NewClient(c Config) *Client {
	client := &Client{address: c.Address, key: c.Key, userAgent: c.UserAgent, timeout: c.Timeout, http: http.Client{
		Transport: c.Transport,
		// A redirect would carry the document, and a password in the address, to a host that nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if client.userAgent == "" {
		client.userAgent = defaultUserAgent
	}
	if client.timeout <= 0 {
		client.timeout = defaultTimeout
	}
	if client.http.Transport == nil {
		client.http.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:    connectTimeout,
			MaxResponseHeaderBytes: 64 << 10,
			// Messages are minutes apart. On a connection of its own, none is lost to one that died unnoticed, and none is
			// repeated by net/http.
			DisableKeepAlives: true,
		}
	}
	return client
}

// Address is where the client posts to.
func (c *Client) Address() Address { return c.address }

// Send posts body, which is JSON, once, and reads the answer, both within the client's timeout and ctx. An error means that no
// status line came: nobody knows whether the body arrived. It wraps context.Canceled or context.DeadlineExceeded where the time
// was over.
func (c *Client) Send(ctx context.Context, body []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address.whole.Reveal(), bytes.NewReader(body))
	if err != nil {
		return Answer{}, c.failed(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/plain")
	req.Header.Set("User-Agent", c.userAgent)
	if signature := Signature(c.key, body); signature != "" {
		req.Header.Set(SignatureHeader, signature)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return Answer{}, c.failed(err)
	}
	defer res.Body.Close()
	// An answer that breaks off has said its status.
	got, _ := io.ReadAll(io.LimitReader(res.Body, maxBody))
	return Answer{Status: res.StatusCode, Header: res.Header, Body: got}, nil
}

// Reach connects to the host, and shakes hands by TLS where the address asks for it, but sends nothing: a receiver might act on
// any request, whatever its method. Where a proxy leads there, only the proxy is reached.
func (c *Client) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u, err := url.Parse(c.address.whole.Reveal())
	if err != nil {
		return c.failed(err)
	}
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u})
	if err != nil {
		return c.failed(fmt.Errorf("read the proxy's address: %w", err))
	}
	if proxy != nil {
		u = proxy
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	dial := (&net.Dialer{Timeout: connectTimeout}).DialContext
	if u.Scheme == "https" {
		dial = new(tls.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return c.failed(err)
	}
	return conn.Close()
}

// failed says why no answer came, in words that may be shown.
func (c *Client) failed(err error) error {
	var (
		whole   *url.Error // prints the URL
		timeout net.Error
	)
	inner := err
	if errors.As(err, &whole) && whole.Err != nil {
		inner = whole.Err
	}
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("given up: %w", context.Canceled)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	default:
		return errors.New(c.address.Clean(inner.Error(), c.key))
	}
}
