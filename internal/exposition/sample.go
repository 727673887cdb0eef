// Package exposition takes lines of metrics pages apart, in the Prometheus text format (0.0.4, 1.0.0) and in OpenMetrics.
package exposition

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Sample is one line of a page, taken apart: a series, its labels and its value. Prometheus' own library would do it, and is
// what the tests hold this against; but with it come protobuf and 1.6 MB of program, and a program is memory.
type Sample struct {
	// Series is the name and the labels as they stand on the page.
	Series []byte
	Name   []byte
	Labels []Label
	Value  float64
}

// Label has no escapes in it any more.
type Label struct{ Name, Value []byte }

// Forget lets go of the page, which may be large, and of more room for labels than a page needs.
func (s *Sample) Forget() {
	labels := s.Labels[:cap(s.Labels)]
	if len(labels) > 64 {
		labels = nil
	}
	clear(labels)
	*s = Sample{Labels: labels}
}

// Get is the value of a label, nil where the series has none.
func (s *Sample) Get(name string) []byte {
	for i := range s.Labels {
		if string(s.Labels[i].Name) == name {
			return s.Labels[i].Value
		}
	}
	return nil
}

// IdentityBut appends what tells the series from others, a label left out.
func (s *Sample) IdentityBut(without string, to []byte) []byte {
	slices.SortStableFunc(s.Labels, func(a, b Label) int { return bytes.Compare(a.Name, b.Name) })
	to = append(to, s.Name...)
	for _, l := range s.Labels {
		if string(l.Name) != without && len(l.Value) > 0 { // an empty label is no label
			to = append(append(append(append(to, 0xff), l.Name...), 0xff), l.Value...)
		}
	}
	return to
}

// Parse takes apart a line of the Prometheus text format or of OpenMetrics, its line break cut off. False: it is not a sample.
// The formats differ: text allows blanks anywhere between words, OpenMetrics one where it asks for one, and exemplars.
func (s *Sample) Parse(line []byte, openMetrics bool) bool {
	*s = Sample{Labels: s.Labels[:0]}
	c := cursor{rest: line, open: openMetrics}
	c.blanks()
	begin := len(line) - len(c.rest)
	s.Name = c.word(true)
	end := len(line) - len(c.rest)
	if c.blanks(); c.take('{') {
		if !s.inBraces(&c, false) {
			return false
		}
		end = len(line) - len(c.rest)
	}
	if s.Name == nil {
		return false
	}
	s.Series = line[begin:end]
	s.Name = unescaped(s.Name)
	value, ok := c.number()
	s.Value = value
	return ok && s.rest(&c)
}

// inBraces reads labels, and the name of the series where that stands in quotes between them, up to the closing brace.
func (s *Sample) inBraces(c *cursor, exemplar bool) bool {
	for {
		if c.blanks(); c.take('}') {
			return true
		}
		name, quoted := c.quoted()
		if !quoted {
			name = c.word(false)
		}
		if name == nil {
			return false
		}
		c.blanks()
		if quoted && !exemplar && (c.sees(',') || c.sees('}')) {
			if s.Name != nil {
				return false
			}
			s.Name = name
			c.take(',')
			continue
		}
		if !c.take('=') {
			return false
		}
		c.blanks()
		value, ok := c.quoted()
		if !ok || !utf8.Valid(value) {
			return false
		}
		if !exemplar {
			s.Labels = append(s.Labels, Label{unescaped(name), unescaped(value)})
		}
		c.blanks()
		if !c.take(',') && c.open && !c.sees('}') {
			return false
		}
	}
}

// rest reads what may follow the value: a time, and in OpenMetrics an exemplar.
func (s *Sample) rest(c *cursor) bool {
	if !c.open {
		c.blanks()
		if len(c.rest) == 0 {
			return true
		}
		_, err := strconv.ParseUint(string(c.until(" \t")), 10, 63)
		c.blanks()
		return err == nil && len(c.rest) == 0
	}
	const exemplar = " # {"
	if len(c.rest) > 0 && !bytes.HasPrefix(c.rest, []byte(exemplar)) && !c.time() {
		return false
	}
	if len(c.rest) == 0 {
		return true
	}
	if !bytes.HasPrefix(c.rest, []byte(exemplar)) {
		return false
	}
	c.rest = c.rest[len(exemplar):]
	if !s.inBraces(c, true) {
		return false
	}
	_, ok := c.number()
	return ok && (len(c.rest) == 0 || c.time() && len(c.rest) == 0)
}

// cursor walks along a line.
type cursor struct {
	rest []byte
	open bool
}

// blanks passes over blanks where the format does not count them.
func (c *cursor) blanks() {
	for !c.open && (c.sees(' ') || c.sees('\t')) {
		c.rest = c.rest[1:]
	}
}

func (c *cursor) sees(b byte) bool { return len(c.rest) > 0 && c.rest[0] == b }

func (c *cursor) take(b byte) bool {
	if !c.sees(b) {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// word is the name of a series or of a label, nil where none begins here; only that of a series may have colons.
func (c *cursor) word(series bool) []byte {
	n := NameEnd(c.rest)
	if !series {
		if colon := bytes.IndexByte(c.rest[:n], ':'); colon >= 0 {
			n = colon
		}
	}
	if n == 0 {
		return nil
	}
	word := c.rest[:n]
	c.rest = c.rest[n:]
	return word
}

// NameEnd is the length of the metric name that a line starts with; 0 where it starts with none.
func NameEnd(line []byte) int {
	for i, c := range line {
		if c >= 'a' && c <= 'z' || c == '_' || c == ':' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return i
	}
	return len(line)
}

// quoted is what stands between quotes, escapes and all.
func (c *cursor) quoted() ([]byte, bool) {
	if !c.sees('"') {
		return nil, false
	}
	for i := 1; i < len(c.rest); i++ {
		switch c.rest[i] {
		case '\\':
			i++
		case '"':
			text := c.rest[1:i]
			c.rest = c.rest[i+1:]
			return text, true
		}
	}
	return nil, false
}

// until is what stands before the next of some bytes.
func (c *cursor) until(stop string) []byte {
	n := bytes.IndexAny(c.rest, stop)
	if n < 0 {
		n = len(c.rest)
	}
	word := c.rest[:n]
	c.rest = c.rest[n:]
	return word
}

// number is a value: the next word, in OpenMetrics after one blank.
func (c *cursor) number() (float64, bool) {
	if !c.open {
		c.blanks()
		v, err := parseFloat(string(c.until("{ \t")))
		return v, err == nil
	}
	if !c.take(' ') {
		return 0, false
	}
	v, err := parseFloat(string(c.until(" ")))
	return v, err == nil
}

// time passes over the stamp of an OpenMetrics sample, in seconds.
func (c *cursor) time() bool {
	v, ok := c.number()
	return ok && !math.IsNaN(v) && !math.IsInf(v, 0)
}

var errFloat = errors.New("neither decimal nor exponential")

// parseFloat knows no underscores and no hexadecimal floats, as the formats do not.
func parseFloat(text string) (float64, error) {
	if strings.ContainsAny(text, "pP_") {
		return 0, errFloat
	}
	return strconv.ParseFloat(text, 64)
}

var escapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\n`, "\n")

// unescaped has the three escapes of both formats resolved; any other stays as it stands.
func unescaped(text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return text
	}
	return []byte(escapes.Replace(string(text)))
}
