package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// maxEvent bounds one event, in bytes; a chunk of a completion has some hundred.
	maxEvent = 1 << 20
	// maxStream bounds a whole stream, in bytes; 100,000 tokens have some 30 million.
	maxStream = 1 << 30
)

// events reads server-sent events. Lines end with \n or \r\n; comments and fields other than data are passed over, several
// data lines of one event are joined, and what stands before the end without an empty line after it is no event.
type events struct {
	from  *bufio.Reader
	data  []byte
	read  int
	begun bool
}

var byteOrderMark = []byte("\xef\xbb\xbf")

func newEvents(from io.Reader) *events { return &events{from: bufio.NewReaderSize(from, 16<<10)} }

// next returns the data of the next event, which is valid until the call after it. The error is io.EOF at the end of the stream,
// and wraps ErrTooMuch beyond the bounds.
func (e *events) next() ([]byte, error) {
	e.data = e.data[:0]
	some := false
	for {
		from, to, err := e.line()
		if err != nil {
			return nil, err
		}
		line := e.data[from:to]
		e.data = e.data[:from]
		if len(line) == 0 {
			if some {
				return bytes.TrimSuffix(e.data, []byte("\n")), nil
			}
			continue
		}
		value, isData := bytes.CutPrefix(line, []byte("data"))
		if !isData || len(value) > 0 && value[0] != ':' {
			continue
		}
		value = bytes.TrimPrefix(bytes.TrimPrefix(value, []byte(":")), []byte(" "))
		some = true
		e.data = append(append(e.data, value...), '\n') // value lies behind, and append copies overlapping bytes rightly
	}
}

// line reads a line to the end of data, without its end, and says where it lies.
func (e *events) line() (from, to int, err error) {
	from = len(e.data)
	for {
		part, err := e.from.ReadSlice('\n')
		e.data = append(e.data, part...)
		e.read += len(part)
		if len(e.data) > maxEvent || e.read > maxStream {
			return 0, 0, fmt.Errorf("%w: an event of more than %d bytes, or a stream of more than %d", ErrTooMuch, maxEvent, maxStream)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		break
	}
	if !e.begun {
		e.begun = true
		if bytes.HasPrefix(e.data[from:], byteOrderMark) {
			e.data = append(e.data[:from], e.data[from+len(byteOrderMark):]...)
		}
	}
	to = len(e.data) - 1
	if to > from && e.data[to-1] == '\r' {
		to--
	}
	return from, to, nil
}
