package ingest

import (
	"bufio"
	"errors"
	"io"
	"math"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxValue bounds a value that has to be seen whole: a span, a resource, a JSON value. vLLM's spans have 0.6 to 2 kB.
const maxValue = 256 << 10

// errMalformed says that bytes are not in protobuf's wire format.
var errMalformed = errors.New("the body is no protobuf message")

// wire reads protobuf's wire format from a stream. Only one value is in memory at a time.
type wire struct {
	in   *bufio.Reader
	at   int64
	held []byte
}

var wires = sync.Pool{New: func() any { return &wire{in: bufio.NewReaderSize(nil, 8<<10)} }}

func newWire(r io.Reader) *wire {
	w := wires.Get().(*wire)
	w.in.Reset(r)
	w.at = 0
	return w
}

// release gives the buffers back; nothing that was taken may be used any more.
func (w *wire) release() {
	w.in.Reset(nil)
	if cap(w.held) > 16<<10 {
		w.held = nil
	}
	wires.Put(w)
}

// toTheEnd is the size of a message that ends with its stream.
const toTheEnd = -1

// each reads a message of the given size and shows field each of its length-delimited fields. field either reads the n
// bytes and returns true, or leaves them all and returns false; then they are skipped, as the fields of other kinds are.
func (w *wire) each(size int64, field func(number protowire.Number, n int64) (bool, error)) error {
	end := int64(math.MaxInt64)
	if size != toTheEnd {
		end = w.at + size
	}
	for w.at < end {
		if _, err := w.in.Peek(1); size == toTheEnd && errors.Is(err, io.EOF) {
			return nil
		}
		tag, err := w.varint()
		if err != nil {
			return err
		}
		number, kind := protowire.DecodeTag(tag)
		if number < protowire.MinValidNumber {
			return errMalformed
		}
		n := int64(0)
		switch kind {
		case protowire.VarintType:
			_, err = w.varint()
		case protowire.Fixed32Type:
			n = 4
		case protowire.Fixed64Type:
			n = 8
		case protowire.BytesType:
			n, err = w.length()
		default: // groups are not in OTLP
			err = errMalformed
		}
		if err != nil {
			return err
		}
		if n > end-w.at {
			return errMalformed
		}
		done := false
		if kind == protowire.BytesType {
			if done, err = field(number, n); err != nil {
				return err
			}
		}
		if !done {
			if err := w.skip(n); err != nil {
				return err
			}
		}
	}
	if w.at > end {
		return errMalformed
	}
	return nil
}

// take reads n bytes, at most maxValue, which are good until the next call.
func (w *wire) take(n int64) ([]byte, error) {
	if int64(cap(w.held)) < n {
		w.held = make([]byte, max(n, 4<<10))
	}
	got, err := io.ReadFull(w.in, w.held[:n])
	w.at += int64(got)
	return w.held[:n], midway(err)
}

func (w *wire) skip(n int64) error {
	for n > 0 {
		step, err := w.in.Discard(int(min(n, 1<<20)))
		w.at += int64(step)
		n -= int64(step)
		if err != nil {
			return midway(err)
		}
	}
	return nil
}

func (w *wire) length() (int64, error) {
	n, err := w.varint()
	if err == nil && n > math.MaxInt32 {
		err = errMalformed
	}
	return int64(n), err
}

func (w *wire) varint() (uint64, error) {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		b, err := w.in.ReadByte()
		if err != nil {
			return 0, midway(err)
		}
		w.at++
		if shift == 63 && b > 1 {
			return 0, errMalformed
		}
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v, nil
		}
	}
	return 0, errMalformed
}

// midway makes an end of the stream in the middle of a message an error.
func midway(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
