package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// jsonIn reads JSON from a stream, one value at a time; a value that has to be seen whole is at most maxValue long.
type jsonIn struct {
	*json.Decoder
	in   io.Reader
	read int64
}

func newJSONIn(r io.Reader) *jsonIn {
	j := &jsonIn{in: r}
	j.Decoder = json.NewDecoder(j)
	j.UseNumber()
	return j
}

// errLongValue says that one value is longer than is held in memory.
var errLongValue = fmt.Errorf("one value of the body is longer than %d kB", maxValue>>10)

// Read gives the decoder more while the value that it is reading is not too long.
func (j *jsonIn) Read(b []byte) (int, error) {
	if j.read-j.InputOffset() > maxValue {
		return 0, errLongValue
	}
	n, err := j.in.Read(b)
	j.read += int64(n)
	return n, err
}

// object reads an object or null from the stream; member must read the value of each key.
func (j *jsonIn) object(what string, member func(key string) error) error {
	open, err := j.open('{', what, "an object")
	if !open {
		return err
	}
	for j.More() {
		key, err := j.Token()
		if err != nil {
			return err
		}
		if err := member(key.(string)); err != nil {
			return err
		}
	}
	_, err = j.Token()
	return err
}

// array reads an array or null from the stream; element must read each element.
func (j *jsonIn) array(what string, element func() error) error {
	open, err := j.open('[', what, "an array")
	if !open {
		return err
	}
	for j.More() {
		if err := element(); err != nil {
			return err
		}
	}
	_, err = j.Token()
	return err
}

// open says whether there is something to read; null is nothing.
func (j *jsonIn) open(delimiter json.Delim, what, kind string) (bool, error) {
	token, err := j.Token()
	if err != nil || token == nil {
		return false, err
	}
	if token == delimiter {
		return true, nil
	}
	var got node
	if d, ok := token.(json.Delim); ok {
		got = node(d.String())
	} else if got, err = json.Marshal(token); err != nil {
		return false, err
	}
	return false, &typeError{fmt.Sprintf("%s is %s, where %s belongs", what, got.describe(), kind)}
}

// value reads one value from the stream and shows it. Its error is that of the stream, or that of show.
func (j *jsonIn) value(show func(node) error) error {
	v := shown{show: show}
	if err := j.Decode(&v); err != nil {
		return err
	}
	return v.err
}

// shown is a value that is looked at while the decoder has it in memory.
type shown struct {
	show func(node) error
	err  error
}

func (s *shown) UnmarshalJSON(b []byte) error {
	s.err = s.show(b)
	return nil
}

// ignore reads a value that nobody needs.
func (j *jsonIn) ignore() error { return j.value(func(node) error { return nil }) }

// end checks that nothing follows.
func (j *jsonIn) end() error {
	if _, err := j.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = &typeError{"something follows behind the JSON"}
		}
		return err
	}
	return nil
}

// A typeError is JSON that is not what belongs there.
type typeError struct{ text string }

func (e *typeError) Error() string { return e.text }

// A node is one value of JSON that is known to be good JSON, without blanks around it.
type node []byte

func (v node) isNull() bool   { return v[0] == 'n' }
func (v node) isText() bool   { return v[0] == '"' }
func (v node) isObject() bool { return v[0] == '{' }
func (v node) isArray() bool  { return v[0] == '[' }
func (v node) isNumber() bool { return v[0] == '-' || '0' <= v[0] && v[0] <= '9' }

// text is what a text says. It may lie in the node's own bytes.
func (v node) text() []byte {
	plain := v[1 : len(v)-1]
	if bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return plain
	}
	var s string
	_ = json.Unmarshal(v, &s) // which does not fail for good JSON
	return []byte(s)
}

// describe names a value for people, without showing much of what came.
func (v node) describe() string {
	switch {
	case v.isObject():
		return "an object"
	case v.isArray():
		return "an array"
	case v.isText():
		return fmt.Sprintf("the text %q", clip(string(v.text())))
	case v.isNumber():
		return "the number " + clip(string(v))
	}
	return string(v)
}

// members shows each member of an object.
func (v node) members(member func(key []byte, value node) error) error {
	for at := v.next(1); v[at] != '}'; at = v.next(at) {
		end := v.end(at)
		key := v[at:end]
		at = v.next(end) // behind the colon
		end = v.end(at)
		if err := member(key.text(), v[at:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// elements shows each element of an array.
func (v node) elements(element func(node) error) error {
	for at := v.next(1); v[at] != ']'; at = v.next(at) {
		end := v.end(at)
		if err := element(v[at:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// next is where the next value, or the end of this one, begins behind blanks and a comma or colon.
func (v node) next(at int) int {
	for v[at] <= ' ' || v[at] == ',' || v[at] == ':' {
		at++
	}
	return at
}

// end is where the value that begins at a place ends.
func (v node) end(at int) int {
	for depth := 0; ; at++ {
		switch v[at] {
		case '"':
			for at++; v[at] != '"'; at++ {
				if v[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default: // a number or a word, or what stands between values
			if depth > 0 {
				continue
			}
			for at < len(v) && v[at] > ' ' && v[at] != ',' && v[at] != '}' && v[at] != ']' {
				at++
			}
			return at
		}
		if depth == 0 {
			return at + 1
		}
	}
}

// clip bounds what a client sent before it is shown back.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
