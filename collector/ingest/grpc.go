package ingest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// gRPC's status codes that are answered with.
const (
	codeOK                = 0
	codeInvalidArgument   = 3
	codeDeadlineExceeded  = 4
	codePermissionDenied  = 7
	codeResourceExhausted = 8
	codeUnimplemented     = 12
	codeUnavailable       = 14
)

// grpcCode is the code that means what a status of HTTP means. Exporters come again after 4 and 14.
func grpcCode(status int) int {
	switch status {
	case http.StatusForbidden:
		return codePermissionDenied
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusHTTPVersionNotSupported:
		return codeUnimplemented
	case http.StatusRequestEntityTooLarge:
		return codeResourceExhausted
	case http.StatusRequestTimeout:
		return codeDeadlineExceeded
	case http.StatusServiceUnavailable:
		return codeUnavailable
	}
	return codeInvalidArgument
}

// isGRPC says that a content type is gRPC's.
func isGRPC(contentType string) bool {
	kind := mediaType(contentType)
	return kind == "application/grpc" || strings.HasPrefix(kind, "application/grpc+")
}

// unary reads the one message of a unary call, unpacked, and never more than most bytes of it. Its frame is a byte that
// says whether it is packed, and four with its length (gRPC over HTTP/2, "Length-Prefixed-Message"). Whoever got it calls
// done, and last once the message has been read.
func unary(r *http.Request, most int64) (in io.Reader, last func() error, done func(), err error) {
	var frame [5]byte
	if _, err := io.ReadFull(r.Body, frame[:]); err != nil {
		return nil, nil, nil, midway(err)
	}
	length := int64(binary.BigEndian.Uint32(frame[1:]))
	if length > most {
		return nil, nil, nil, tooLarge(most)
	}
	exact := &exactly{in: r.Body, left: length}
	last = func() error {
		if _, err := io.Copy(io.Discard, exact); err != nil {
			return err
		}
		if n, err := io.ReadFull(r.Body, frame[:1]); n > 0 {
			return refused(http.StatusBadRequest, "something follows behind the message of a unary call")
		} else if !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
	encoding := strings.ToLower(r.Header.Get("Grpc-Encoding"))
	switch {
	case frame[0] == 0:
		return exact, last, func() {}, nil
	case frame[0] != 1:
		return nil, nil, nil, refused(http.StatusBadRequest, "the frame of the message begins with %d, where 0 or 1 belongs", frame[0])
	case encoding != "gzip":
		return nil, nil, nil, refused(http.StatusUnsupportedMediaType, "the message is packed with %q: gzip is known, and none at all", clip(encoding))
	}
	in, done, err = unpacked(exact, most)
	return in, last, done, err
}

// exactly reads so many bytes, and calls anything less an error.
type exactly struct {
	in   io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.in.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if e.left > 0 {
		err = midway(err)
	} else if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// answerGRPC ends a unary call: with a message where there is one, and the status in the trailers.
func answerGRPC(w http.ResponseWriter, code int, text string, message []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/grpc+proto")
	h.Set("Grpc-Accept-Encoding", "gzip, identity")
	w.WriteHeader(http.StatusOK)
	if code == codeOK {
		frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
		_, _ = w.Write(append(frame, message...))
	}
	h.Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(code))
	if text != "" {
		h.Set(http.TrailerPrefix+"Grpc-Message", percentEncoded(text))
	}
}

// percentEncoded is how gRPC writes a text into a header.
func percentEncoded(text string) string {
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}
