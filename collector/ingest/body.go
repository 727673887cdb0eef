package ingest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

var errGzip = errors.New("the body is no gzip, or a damaged one")

// body returns what a request brings, unpacked, and never more than most bytes of it, packed or not. Whoever got it calls
// done.
func body(w http.ResponseWriter, r *http.Request, most int64) (in io.Reader, done func(), err error) {
	if r.ContentLength > most {
		return nil, nil, tooLarge(most)
	}
	in = http.MaxBytesReader(w, r.Body, most)
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
		return in, func() {}, nil
	case "gzip":
		return unpacked(in, most)
	default:
		return nil, nil, refused(http.StatusUnsupportedMediaType, "the content encoding %q is not known: gzip is, and none at all", clip(encoding))
	}
}

var unpackers = sync.Pool{New: func() any { return new(unpacker) }}

// unpacker is gzip's reader, whose errors are told apart from those of what it reads.
type unpacker struct {
	gzip.Reader
	in failing
}

// failing remembers the error of a reader.
type failing struct {
	io.Reader
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// unpacked reads gzip, at most so many bytes of what is in it.
func unpacked(in io.Reader, most int64) (io.Reader, func(), error) {
	u := unpackers.Get().(*unpacker)
	u.in = failing{Reader: in}
	done := func() {
		u.in = failing{}
		unpackers.Put(u)
	}
	if err := u.explain(u.Reset(&u.in)); err != nil {
		done()
		return nil, nil, err
	}
	return &bounded{in: readerFunc(func(b []byte) (int, error) {
		n, err := u.Reader.Read(b)
		return n, u.explain(err)
	}), left: most, most: most}, done, nil
}

// explain says whether the gzip is damaged or could not be read.
func (u *unpacker) explain(err error) error {
	switch {
	case err == nil || u.in.err == nil && errors.Is(err, io.EOF):
		return err
	case u.in.err != nil:
		return u.in.err
	}
	return fmt.Errorf("%w (%w)", errGzip, err)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// bounded reads no more than most bytes; whatever has more is refused, not cut off.
type bounded struct {
	in         io.Reader
	left, most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge(b.most)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.in.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n - 1, tooLarge(b.most)
	}
	return n, err
}

func tooLarge(most int64) error {
	return refused(http.StatusRequestEntityTooLarge, "the body has more than %d bytes, packed or unpacked: send it in parts", most)
}
