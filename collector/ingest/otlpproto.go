package ingest

import (
	"io"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of OTLP's messages that are read, by their numbers in opentelemetry-proto 1.x.
const (
	fieldResourceSpans protowire.Number = 1 // of ExportTraceServiceRequest

	fieldResource   protowire.Number = 1 // of ResourceSpans
	fieldScopeSpans protowire.Number = 2

	fieldSpans protowire.Number = 2 // of ScopeSpans

	fieldResourceAttributes protowire.Number = 1 // of Resource

	fieldTraceID        protowire.Number = 1 // of Span
	fieldSpanID         protowire.Number = 2
	fieldParentID       protowire.Number = 4
	fieldName           protowire.Number = 5
	fieldStart          protowire.Number = 7
	fieldEnd            protowire.Number = 8
	fieldSpanAttributes protowire.Number = 9

	fieldKey   protowire.Number = 1 // of KeyValue
	fieldValue protowire.Number = 2

	fieldString protowire.Number = 1 // of AnyValue
	fieldBool   protowire.Number = 2
	fieldInt    protowire.Number = 3
	fieldDouble protowire.Number = 4
	fieldArray  protowire.Number = 5
	fieldList   protowire.Number = 6
	fieldBytes  protowire.Number = 7
	fieldIndex  protowire.Number = 8
)

// usualSpan is about what one of vLLM's request spans takes, in bytes.
const usualSpan = 512

// decodeProto reads an ExportTraceServiceRequest from r to its end. A span that is broken in itself is rejected and the
// next one is read; where the frame around the spans is broken, nobody can tell where the next one begins.
func decodeProto(r io.Reader, m *message) error {
	w := newWire(r)
	defer w.release()
	var s span
	spans := func(number protowire.Number, n int64) (bool, error) {
		switch {
		case number != fieldSpans:
			return false, nil
		case n > maxValue:
			m.reject(errTooLong)
			return false, nil
		}
		b, err := w.take(n)
		if err != nil {
			return false, err
		}
		s = span{}
		if !s.read(b) {
			m.reject(errBrokenSpan)
			return true, nil
		}
		return true, m.add(&s)
	}
	resource := func(number protowire.Number, n int64) (bool, error) {
		switch {
		case number == fieldScopeSpans:
			m.expect(n / usualSpan)
			return true, w.each(n, spans)
		case number != fieldResource || n > maxValue:
			return false, nil
		}
		b, err := w.take(n)
		if err != nil {
			return false, err
		}
		var values [numAttributes]value
		if !readAttributes(b, fieldResourceAttributes, &values) {
			return false, errMalformed
		}
		m.resource(values[attrProcess].text)
		return true, nil
	}
	return w.each(toTheEnd, func(number protowire.Number, n int64) (bool, error) {
		if number != fieldResourceSpans {
			return false, nil
		}
		m.beginResource()
		if err := w.each(n, resource); err != nil {
			return false, err
		}
		m.endResource()
		return true, nil
	})
}

// read reads a Span and says whether it is one.
func (s *span) read(b []byte) bool {
	return fields(b, func(number protowire.Number, kind protowire.Type, number64 uint64, body []byte) bool {
		switch {
		case number == fieldTraceID && kind == protowire.BytesType:
			s.traceID = body
		case number == fieldSpanID && kind == protowire.BytesType:
			s.spanID = body
		case number == fieldParentID && kind == protowire.BytesType:
			s.parentID = body
		case number == fieldName && kind == protowire.BytesType:
			s.name = body
		case number == fieldStart && kind == protowire.Fixed64Type:
			s.start = number64
		case number == fieldEnd && kind == protowire.Fixed64Type:
			s.end = number64
		case number == fieldSpanAttributes && kind == protowire.BytesType:
			return readAttribute(body, &s.values)
		}
		return true
	})
}

// readAttributes reads the KeyValues under one field of a message.
func readAttributes(b []byte, field protowire.Number, into *[numAttributes]value) bool {
	return fields(b, func(number protowire.Number, kind protowire.Type, _ uint64, body []byte) bool {
		return number != field || kind != protowire.BytesType || readAttribute(body, into)
	})
}

// readAttribute reads one KeyValue, and keeps it where its key is one that is read.
func readAttribute(b []byte, into *[numAttributes]value) bool {
	var key []byte
	var v value
	ok := fields(b, func(number protowire.Number, kind protowire.Type, _ uint64, body []byte) bool {
		switch {
		case number == fieldKey && kind == protowire.BytesType:
			key = body
		case number == fieldValue && kind == protowire.BytesType:
			return v.read(body)
		}
		return true
	})
	if a := attributeOf(key); ok && a != notRead {
		into[a] = v
	}
	return ok
}

// read reads an AnyValue.
func (v *value) read(b []byte) bool {
	return fields(b, func(number protowire.Number, kind protowire.Type, number64 uint64, body []byte) bool {
		switch {
		case number == fieldString && kind == protowire.BytesType:
			*v = value{kind: isText, text: body}
		case number == fieldInt && kind == protowire.VarintType:
			*v = value{kind: isInteger, integer: int64(number64)}
		case number == fieldDouble && kind == protowire.Fixed64Type:
			*v = value{kind: isDouble, double: math.Float64frombits(number64)}
		case (number == fieldBool || number == fieldIndex) && kind == protowire.VarintType,
			(number == fieldArray || number == fieldList || number == fieldBytes) && kind == protowire.BytesType:
			*v = value{kind: isOther}
		}
		return true
	})
}

// fields shows each field of a message in memory: its number for a varint or a fixed one, its body for a
// length-delimited one. It says whether this was a message, and field content with it.
func fields(b []byte, field func(number protowire.Number, kind protowire.Type, number64 uint64, body []byte) bool) bool {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		var number64 uint64
		var body []byte
		switch kind {
		case protowire.VarintType:
			number64, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			number64, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			body, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 || !field(number, kind, number64, body) {
			return false
		}
		b = b[n:]
	}
	return true
}
