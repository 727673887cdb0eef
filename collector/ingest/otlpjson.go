package ingest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// decodeJSON reads an ExportTraceServiceRequest in OTLP's JSON, which is protobuf's own but for the ids, which are
// hexadecimal. A span of wrong types is rejected and the next one is read; what is no JSON ends the message.
func decodeJSON(r io.Reader, m *message) error {
	j := newJSONIn(r)
	err := j.object("the body", func(key string) error {
		if key != "resourceSpans" {
			return j.ignore()
		}
		return j.array("resourceSpans", func() error {
			m.beginResource()
			defer m.endResource()
			return j.object("an element of resourceSpans", func(key string) error {
				switch key {
				case "resource":
					return j.value(func(v node) error { return m.resourceJSON(v) })
				case "scopeSpans":
					return j.scopes(m)
				}
				return j.ignore()
			})
		})
	})
	if err != nil {
		return err
	}
	return j.end()
}

func (j *jsonIn) scopes(m *message) error {
	var s span
	read := func(v node) error {
		s = span{}
		var wrong *typeError
		switch err := s.readJSON(v); {
		case errors.As(err, &wrong):
			m.reject(err)
			return nil
		case err != nil:
			return err
		}
		return m.add(&s)
	}
	return j.array("scopeSpans", func() error {
		return j.object("an element of scopeSpans", func(key string) error {
			if key != "spans" {
				return j.ignore()
			}
			return j.array("spans", func() error { return j.value(read) })
		})
	})
}

// resourceJSON reads which process the spans come from.
func (m *message) resourceJSON(v node) error {
	var values [numAttributes]value
	err := v.asObject("a resource", func(key []byte, v node) error {
		if string(key) != "attributes" {
			return nil
		}
		return readAttributesJSON(v, &values)
	})
	m.resource(values[attrProcess].text)
	return err
}

// readJSON reads a Span; of wrong types it makes a typeError.
func (s *span) readJSON(v node) error {
	return v.asObject("a span", func(key []byte, v node) (err error) {
		switch string(key) {
		case "traceId":
			s.traceID, err = v.asID("traceId")
		case "spanId":
			s.spanID, err = v.asID("spanId")
		case "parentSpanId":
			s.parentID, err = v.asID("parentSpanId")
		case "name":
			s.name, err = v.asText("name")
		case "startTimeUnixNano":
			s.start, err = v.asTime("startTimeUnixNano")
		case "endTimeUnixNano":
			s.end, err = v.asTime("endTimeUnixNano")
		case "attributes":
			err = readAttributesJSON(v, &s.values)
		}
		return err
	})
}

func readAttributesJSON(v node, into *[numAttributes]value) error {
	if v.isNull() {
		return nil
	}
	if !v.isArray() {
		return wrongType("attributes", v, "an array")
	}
	return v.elements(func(v node) error {
		which := notRead
		var is value
		err := v.asObject("an attribute", func(key []byte, v node) (err error) {
			switch string(key) {
			case "key":
				var name []byte
				name, err = v.asText("the key of an attribute")
				which = attributeOf(name)
			case "value":
				is, err = v.asValue()
			}
			return err
		})
		if which != notRead {
			into[which] = is
		}
		return err
	})
}

// asValue reads an AnyValue: numbers may come as texts.
func (v node) asValue() (value, error) {
	var is value
	err := v.asObject("the value of an attribute", func(key []byte, v node) (err error) {
		if v.isNull() {
			return nil
		}
		switch string(key) {
		case "stringValue":
			is = value{kind: isText}
			is.text, err = v.asText("stringValue")
		case "intValue":
			is = value{kind: isInteger}
			if is.integer, err = strconv.ParseInt(v.number(), 10, 64); err != nil {
				err = wrongType("intValue", v, "an integer")
			}
		case "doubleValue":
			is = value{kind: isDouble}
			is.double, err = v.asDouble()
		case "boolValue", "arrayValue", "kvlistValue", "bytesValue", "stringValueStrindex":
			is = value{kind: isOther}
		}
		return err
	})
	return is, err
}

// asDouble reads a number, or one of the three texts that protobuf has for what JSON cannot say.
func (v node) asDouble() (float64, error) {
	switch v.number() {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	number, err := strconv.ParseFloat(v.number(), 64)
	if err != nil {
		return 0, wrongType("doubleValue", v, "a number")
	}
	return number, nil
}

// number is what stands for a number, with or without quotes.
func (v node) number() string {
	if v.isText() {
		return string(v.text())
	}
	return string(v)
}

// asObject shows the members of an object; null is an empty one.
func (v node) asObject(what string, member func(key []byte, v node) error) error {
	switch {
	case v.isNull():
		return nil
	case !v.isObject():
		return wrongType(what, v, "an object")
	}
	return v.members(member)
}

func (v node) asText(what string) ([]byte, error) {
	switch {
	case v.isNull():
		return nil, nil
	case !v.isText():
		return nil, wrongType(what, v, "a text")
	}
	return v.text(), nil
}

func (v node) asID(what string) ([]byte, error) {
	text, err := v.asText(what)
	if err != nil {
		return nil, err
	}
	id := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(id, text); err != nil {
		return nil, wrongType(what, v, "an id in hexadecimal")
	}
	return id, nil
}

func (v node) asTime(what string) (uint64, error) {
	if v.isNull() {
		return 0, nil
	}
	t, err := strconv.ParseUint(v.number(), 10, 64)
	if err != nil {
		return 0, wrongType(what, v, "a number of nanoseconds")
	}
	return t, nil
}

func wrongType(what string, v node, belongs string) error {
	return &typeError{fmt.Sprintf("%s is %s, where %s belongs", what, v.describe(), belongs)}
}
