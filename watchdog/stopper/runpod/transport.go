package runpod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxBody bounds what is kept of any answer, after decompression.
const maxBody = 1 << 20

// response is an answer by HTTP, as far as it came.
type response struct {
	status int
	header http.Header
	body   []byte
	// partial: the body was longer than maxBody, or the connection broke within it.
	partial bool
}

// ownHTTPClient returns given, or a client with bounds of its own, with redirects turned off and without cookies: a
// redirect would carry the key to a host that nobody named.
func ownHTTPClient(given *http.Client) *http.Client {
	own := http.Client{Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		// Calls are minutes apart, and a stop must not go out on a connection that died unnoticed.
		DisableKeepAlives: true,
	}}
	if given != nil {
		own = *given
	}
	own.Jar = nil
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

// send makes one request and reads its answer, both within the client's timeout. An error means that no status line
// came; it holds neither URL nor key.
func (c *Client) send(ctx context.Context, method, address string, payload any) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	var body io.Reader
	if payload != nil {
		encoded, err := json.Marshal(payload)
		if err != nil {
			return response{}, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return response{}, errors.New(c.clean("make request: " + withoutURL(err).Error()))
	}
	req.Header.Set("Authorization", "Bearer "+c.key())
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}

	res, err := c.http.Do(req)
	if err != nil {
		return response{}, c.transportError(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	r := response{status: res.StatusCode, header: res.Header, body: got, partial: err != nil}
	if len(got) > maxBody {
		// Drop what could be the first half of the key, which would not be recognised.
		r.body, r.partial = got[:max(0, maxBody-len(c.key()))], true
	}
	return r, nil
}

// transportError says why no answer came; it keeps what errors.Is may want to know of it.
func (c *Client) transportError(err error) error {
	inner := withoutURL(err)
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("given up: %w", context.Canceled)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	default:
		return errors.New(c.clean(inner.Error()))
	}
}

// withoutURL unwraps the error type of net/http that prints the whole URL.
func withoutURL(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) && withURL.Err != nil {
		return withURL.Err
	}
	return err
}
