package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

// mostBody bounds the body of an order, in bytes: far more than a long reason.
const mostBody = 4 << 10

// The fields of an order's body.
const (
	fieldFor      = "for"
	fieldWhy      = "why"
	fieldOwn      = "own"
	fieldRehearse = "rehearse"
)

// request is the body of an order.
type request struct {
	// For is from orders.Least to orders.Most where the order has a duration, else 0.
	For time.Duration
	// Why is clean: see orders.Clean.
	Why string

	Own, Rehearse bool
}

// decode reads a body: one JSON object with no fields but those that it may have, each once and of its own type. Empty is the
// empty object. Its error is orders.WrongUse.
func decode(body []byte, may []string) (request, error) {
	var r request
	if len(body) == 0 {
		return r.complete(may)
	}
	if !utf8.Valid(body) {
		return request{}, orders.WrongUse("the order is no JSON: it is not UTF-8")
	}
	in := json.NewDecoder(bytes.NewReader(body))
	in.UseNumber() // a number is no value of any field, and is said as it was written
	if token, err := in.Token(); err != nil {
		return request{}, notJSON(err)
	} else if token != json.Delim('{') {
		return request{}, orders.WrongUse(`the order is no JSON object: it looks like {"for": "2h"}`)
	}
	var seen []string
	for in.More() {
		token, err := in.Token()
		if err != nil {
			return request{}, notJSON(err)
		}
		name, _ := token.(string) // the decoder takes nothing else in its place
		switch {
		case !slices.Contains(may, name):
			return request{}, orders.WrongUse("the order has the field %q, which is not known: %s", shown(name), known(may))
		case slices.Contains(seen, name):
			return request{}, orders.WrongUse("the order has the field %q twice", shown(name))
		}
		seen = append(seen, name)
		value, err := in.Token()
		if err != nil {
			return request{}, notJSON(err)
		}
		if err := r.set(name, value); err != nil {
			return request{}, err
		}
	}
	if _, err := in.Token(); err != nil { // the closing brace
		return request{}, notJSON(err)
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return request{}, orders.WrongUse("the order goes on after its JSON object")
	}
	return r.complete(may)
}

// set takes one field's value over.
func (r *request) set(name string, value json.Token) (err error) {
	switch name {
	case fieldFor:
		text, ok := value.(string)
		if !ok {
			return orders.WrongUse(`the field "for" is %s, where a text such as "30m" or "8h" belongs`, described(value))
		}
		r.For, err = orders.ParseFor(text)
		return err
	case fieldWhy:
		text, ok := value.(string)
		if !ok {
			return orders.WrongUse(`the field "why" is %s, where a text belongs`, described(value))
		}
		r.Why = orders.Clean(text, orders.MostWhy)
		return nil
	}
	yes, ok := value.(bool)
	if !ok {
		return orders.WrongUse("the field %q is %s, where true or false belongs", name, described(value))
	}
	if name == fieldOwn {
		r.Own = yes
	} else {
		r.Rehearse = yes
	}
	return nil
}

// complete says whether nothing is missing.
func (r request) complete(may []string) (request, error) {
	if slices.Contains(may, fieldFor) && r.For == 0 {
		return request{}, orders.WrongUse(`the order does not say for how long: add "for", such as {"for": "2h"}`)
	}
	return r, nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return orders.WrongUse("the order is no JSON: %w", err)
}

func described(value json.Token) string {
	switch v := value.(type) {
	case nil:
		return "null"
	case json.Delim:
		if v == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return "a text"
	case bool:
		if v {
			return "true"
		}
		return "false"
	case json.Number:
		return "the number " + shown(v.String())
	}
	return "something else"
}

func known(may []string) string {
	if len(may) == 0 {
		return "this order has none"
	}
	return "there is " + strings.Join(may, ", ")
}

// shown bounds what of a wrong order is shown back.
func shown(text string) string { return orders.Clean(text, 40) }
