package runpod

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// loosely is a field of an answer that may have any form: one of another type is unknown, and spoils nothing else.
type loosely[T any] struct {
	watchdog.Maybe[T]
}

// UnmarshalJSON never fails.
func (l *loosely[T]) UnmarshalJSON(b []byte) error {
	var v T
	l.Maybe = watchdog.Maybe[T]{}
	if string(b) != "null" && json.Unmarshal(b, &v) == nil {
		l.Maybe = watchdog.Known(v)
	}
	return nil
}

// price is dollars an hour, written as a number or as a string. 0 is what RunPod says of a pod that does not run, and
// nothing is free: unless it is finite and above 0 it is unknown.
type price struct {
	watchdog.Maybe[float64]
}

// UnmarshalJSON never fails.
func (p *price) UnmarshalJSON(b []byte) error {
	p.Maybe = watchdog.Maybe[float64]{}
	written := strings.Trim(string(b), `"`)
	v, err := strconv.ParseFloat(written, 64)
	if err == nil && v > 0 && !math.IsInf(v, 0) {
		p.Maybe = watchdog.Known(v)
	}
	return nil
}

// message is what an error's field says, whatever its form: a string, an object with a message, or a list of either.
type message string

// UnmarshalJSON never fails; what has no words in it gives none.
func (m *message) UnmarshalJSON(b []byte) error {
	*m = ""
	if said, ok := oneMessage(b); ok {
		*m = message(said)
		return nil
	}
	var words []string
	eachOf(b, func(item []byte) {
		if said, ok := oneMessage(item); ok {
			words = append(words, said)
		}
	})
	*m = message(strings.Join(words, "; "))
	return nil
}

// oneMessage does not descend into lists, so that nesting costs nothing.
func oneMessage(b []byte) (string, bool) {
	var (
		text   loosely[string]
		object struct {
			Message loosely[string] `json:"message"`
		}
	)
	if json.Unmarshal(b, &text) == nil && text.Known {
		return text.Value, true
	}
	if json.Unmarshal(b, &object) == nil && object.Message.Known {
		return object.Message.Value, true
	}
	return "", false
}

// eachOf calls f with the first items of a JSON list; more than anybody would read are left out.
func eachOf(b []byte, f func(item []byte)) {
	const most = 8
	d := json.NewDecoder(bytes.NewReader(b))
	if open, err := d.Token(); err != nil || open != json.Delim('[') {
		return
	}
	for n := 0; n < most && d.More(); n++ {
		var item json.RawMessage
		if d.Decode(&item) != nil {
			return
		}
		f(item)
	}
}
