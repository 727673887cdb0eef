package vllm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// pageLimit bounds /metrics in bytes; a real page has 23 to 130 kB.
	pageLimit = 8 << 20
	// answerLimit bounds the other answers, in bytes.
	answerLimit = 64 << 10
	// maxKept bounds the buffer that is kept between pages, in bytes.
	maxKept = 1 << 20
)

// errTooLarge is an answer beyond its bound; the connection is closed, not read to its end.
var errTooLarge = errors.New("is larger than this page ever is")

// answer is one HTTP answer, read whole. Its body is valid until the next get.
type answer struct {
	status      int
	contentType string
	location    string
	body        []byte
}

// get asks for one path and reads the answer whole, up to limit bytes. A redirect is an answer like any other.
func (c *Client) get(ctx context.Context, path string, limit int) (a answer, err error) {
	if deadline, ok := ctx.Deadline(); ok {
		c.dialer.begin(deadline)
	}
	err = c.wire.ask(ctx, c.questions[path], func(resp *http.Response) (err error) {
		a = answer{
			status:      resp.StatusCode,
			contentType: resp.Header.Get("Content-Type"),
			location:    resp.Header.Get("Location"),
		}
		c.body, err = readBounded(resp.Body, c.body[:0], resp.ContentLength, limit)
		a.body = c.body
		if cap(c.body) > maxKept {
			c.body = nil
		}
		return err
	})
	return a, err
}

// readBounded reads to the end into buf, which grows to at most limit+1 bytes. announced is the Content-Length, negative
// where there is none.
func readBounded(from io.Reader, buf []byte, announced int64, limit int) ([]byte, error) {
	if announced > int64(limit) {
		return buf, fmt.Errorf("%w: %d bytes are announced, %d are the most", errTooLarge, announced, limit)
	}
	for {
		if len(buf) > limit {
			return buf[:0], fmt.Errorf("%w: more than %d bytes", errTooLarge, limit)
		}
		if len(buf) == cap(buf) {
			more := max(cap(buf), 4<<10, int(announced)+1-cap(buf))
			buf = slices.Grow(buf, min(more, limit+1-len(buf)))
		}
		n, err := from.Read(buf[len(buf):min(cap(buf), limit+1)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// request is the question for one path. It asks for no compression: the server would pay for it with milliseconds on the loop
// that serves its requests, to save 50 kB on loopback.
func request(base *url.URL, path, accept, userAgent string) *http.Request {
	u := *base
	u.User = nil
	u.Path = strings.TrimSuffix(u.Path, "/") + path
	u.RawPath = ""
	r := &http.Request{
		Method:     http.MethodGet,
		URL:        &u,
		Host:       u.Host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     http.Header{"User-Agent": {userAgent}, "Accept": {accept}},
	}
	if base.User != nil {
		password, _ := base.User.Password()
		r.SetBasicAuth(base.User.Username(), password)
	}
	return r
}

// ceiling bounds a read whose context has no deadline, or a later one.
const ceiling = 30 * time.Second

// past is a deadline that ends what is under way.
var past = time.Unix(1, 0)
