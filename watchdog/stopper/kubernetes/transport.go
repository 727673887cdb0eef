package kubernetes

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// maxBody bounds what is kept of any answer. An object's metadata are some kilobytes, the kinds of the largest API group
// some hundred.
const maxBody = 1 << 20

// What we ask the API server to send. Metadata alone keep the environment of pods, which is full of secrets, off the wire;
// a server that does not know the form sends the whole object, whose other fields are dropped.
const (
	acceptJSON     = "application/json"
	acceptMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
)

// question is one request.
type question struct {
	method, path string
	query        url.Values
	accept       string
	payload      any
	// rule is the right that this takes.
	rule Rule
}

// response is an answer, as far as it came.
type response struct {
	status int
	header http.Header
	body   []byte
	// partial: the body was longer than maxBody, or the connection broke within it.
	partial bool
	// token is the one that was sent, to be kept out of what is shown.
	token secret.Secret
}

// Error is a question that did not get what it asked for.
type Error struct {
	// Answer is what came, sorted like the answers to a stop; its Detail says what was asked.
	Answer stopper.Answer
	// Missing is the right whose lack the server told; the zero Rule where it was something else.
	Missing Rule

	cause error
}

func (e *Error) Error() string {
	s := e.Answer.Kind.String()
	if e.Answer.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", e.Answer.Status)
	}
	return s + ": " + e.Answer.Detail
}

// Unwrap gives the cause, where there was no answer.
func (e *Error) Unwrap() error { return e.cause }

// errorf makes an Error of ours, one without an answer by HTTP.
func errorf(kind stopper.Kind, format string, args ...any) *Error {
	return &Error{Answer: stopper.Answer{Kind: kind, Detail: shown(fmt.Sprintf(format, args...), secret.Secret{})}}
}

// ask makes one request and returns its answer where that has a status from 200 to 299.
func (c *Client) ask(ctx context.Context, q question) (response, *Error) {
	r, err := c.send(ctx, q)
	if err != nil {
		detail := shown(q.rule.doing()+": "+err.Error(), r.token)
		return response{}, &Error{Answer: stopper.Answer{Detail: detail}, cause: err}
	}
	if r.status < 200 || r.status > 299 {
		return response{}, sorted(r, q.rule, c.now())
	}
	return r, nil
}

// send makes one request and reads its answer, both within the client's timeout. An error means that no status line came;
// it holds neither URL nor token.
func (c *Client) send(ctx context.Context, q question) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	token, err := c.account.token()
	if err != nil {
		return response{}, err
	}
	client, err := c.account.https()
	if err != nil {
		return response{}, err
	}
	var body io.Reader
	if q.payload != nil {
		encoded, err := json.Marshal(q.payload)
		if err != nil {
			return response{}, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	address := "https://" + c.address + q.path
	if len(q.query) > 0 {
		address += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, q.method, address, body)
	if err != nil {
		return response{}, errors.New("make request: " + withoutURL(err).Error())
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", q.accept)
	if q.payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}

	res, err := client.Do(req)
	if err != nil {
		return response{token: token}, c.transportError(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	r := response{status: res.StatusCode, header: res.Header, body: got, partial: err != nil, token: token}
	if len(got) > maxBody {
		// Drop what could be the first half of the token, which would not be recognised.
		r.body, r.partial = got[:max(0, maxBody-len(token.Reveal()))], true
	}
	return r, nil
}

// transportError says why no answer came; it keeps what errors.Is may want to know of it.
func (c *Client) transportError(err error) error {
	var (
		timeout    net.Error
		unverified *tls.CertificateVerificationError
	)
	switch inner := withoutURL(err); {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("given up: %w", context.Canceled)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer from %s in time: %w", c.address, context.DeadlineExceeded)
	case errors.As(err, &unverified):
		return fmt.Errorf("ca.crt of the service account does not vouch for %s: %w", c.address, inner)
	default:
		return inner
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

// anyToken is the form of signed tokens: one of before its renewal is a secret, too.
var anyToken = regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]*){0,2}`)

// shown makes text of the outside world fit to be shown.
func shown(text string, token secret.Secret) string {
	// Before the text is cut: half a token is not recognised.
	return stopper.CleanDetail(anyToken.ReplaceAllString(text, secret.Mask), token.Reveal())
}

// maxWait bounds what the server may ask us to wait: an idle pod must not be forgotten because of one header.
const maxWait = 10 * time.Minute
