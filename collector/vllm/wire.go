package vllm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
)

// wire is our one connection to a server, kept from request to request. Whoever asks writes and reads by itself:
// net/http's transport keeps two more goroutines for each connection, and handing over to them and back costs more than
// reading the page. It uses no proxy, follows no redirect, and belongs to one goroutine at a time.
type wire struct {
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	address string
	tls     *tls.Config // nil for plain HTTP

	conn net.Conn // nil while there is none
	head header
	in   *bufio.Reader
}

// question is a request, and the bytes that it is sent as.
type question struct {
	request *http.Request
	bytes   []byte
}

func newQuestion(r *http.Request) (question, error) {
	var b bytes.Buffer
	err := r.Write(&b)
	return question{r, b.Bytes()}, err
}

func newWire(u *url.URL, d *dialer) *wire {
	w := &wire{dial: d.dial}
	port := u.Port()
	if u.Scheme == "https" {
		w.tls = &tls.Config{ServerName: u.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
		if port == "" {
			port = "443"
		}
	}
	if port == "" {
		port = "80"
	}
	w.address = net.JoinHostPort(u.Hostname(), port)
	w.in = bufio.NewReaderSize(&w.head, 4<<10)
	return w
}

// ask sends one request and hands its answer to read, which must read the body to its end. ctx ends it. A kept connection
// that the server closed in the meantime is replaced, once and without a word: GET may be repeated.
func (w *wire) ask(ctx context.Context, q question, read func(*http.Response) error) error {
	kept := w.conn != nil
	err := w.try(ctx, q, kept, read)
	if kept && errors.Is(err, errStale) {
		err = w.try(ctx, q, false, read)
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// errStale is a kept connection on which no answer came: nobody can tell whether the server was gone before we asked.
var errStale = errors.New("the kept connection had ended")

func (w *wire) try(ctx context.Context, q question, kept bool, read func(*http.Response) error) error {
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	conn := w.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) })
	keep, err := w.exchange(q, kept, read)
	if !stop() || !keep {
		w.drop()
	}
	return err
}

// exchange says whether the connection may be kept. Nothing of an answer is used where it errs.
func (w *wire) exchange(q question, kept bool, read func(*http.Response) error) (keep bool, err error) {
	_, err = w.conn.Write(q.bytes)
	if err == nil {
		w.head.left = answerLimit
		_, err = w.in.Peek(1)
	}
	if err != nil && kept {
		return false, fmt.Errorf("%w: %w", errStale, err)
	}
	if err != nil {
		return false, err
	}
	resp, err := w.response(q)
	if err != nil {
		return false, err
	}
	w.head.left = math.MaxInt
	if err = errStale; !kept || resp.StatusCode != http.StatusRequestTimeout { // that was on its way before we asked
		err = read(resp)
	}
	if err != nil {
		w.conn.Close() // or else closing the body reads it to its end, however far that is
	}
	resp.Body.Close()
	return err == nil && !resp.Close && w.in.Buffered() == 0, err
}

// mostInterim bounds the interim answers (1xx) before one.
const mostInterim = 5

func (w *wire) response(q question) (*http.Response, error) {
	for range mostInterim {
		resp, err := http.ReadResponse(w.in, q.request)
		if err != nil || resp.StatusCode >= http.StatusOK || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
	return nil, fmt.Errorf("more than %d interim answers", mostInterim)
}

func (w *wire) connect(ctx context.Context) error {
	conn, err := w.dial(ctx, "tcp", w.address)
	if err != nil {
		return err
	}
	if w.tls != nil {
		secured := tls.Client(conn, w.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return err
		}
		conn = secured
	}
	w.conn, w.head.from = conn, conn
	w.in.Reset(&w.head)
	return nil
}

func (w *wire) drop() {
	w.conn.Close()
	w.conn, w.head.from = nil, nil
}

// header bounds what is read of an answer's header, in bytes; with the start of a body in the buffer, about that.
type header struct {
	from io.Reader
	left int
}

var errLongHeader = errors.New("its header does not end")

func (h *header) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errLongHeader
	}
	n, err := h.from.Read(p)
	h.left -= n
	return n, err
}
