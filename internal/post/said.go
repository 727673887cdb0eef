package post

import (
	"bytes"
	"encoding/json"
	"strings"
)

// said is what an object says in the fields by which hosts tell what was wrong. No other field is looked at: nobody knows what
// is in it.
type said struct {
	words []string
	// no: it denies its own success.
	no bool
}

func (s said) String() string { return strings.Join(s.words, ": ") }

// read reads an object; fields of another form than expected say nothing.
func read(body []byte) (s said, object bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return said{}, false
	}
	for _, name := range [...]string{"title", "detail", "message", "error"} {
		if text := textOf(fields[name]); text != "" {
			s.words = append(s.words, text)
		}
	}
	s.no = isFalse(fields["ok"]) || isFalse(fields["success"]) || !isNothing(fields["error"])
	return s, true
}

// textOf is a text, or that under message of an object.
func textOf(raw json.RawMessage) string {
	var (
		text   string
		object struct {
			Message string `json:"message"`
		}
	)
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if json.Unmarshal(raw, &object) == nil {
		return object.Message
	}
	return ""
}

func isFalse(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "false" }

// isNothing says that a field is absent, or as good as.
func isNothing(raw json.RawMessage) bool {
	switch string(bytes.TrimSpace(raw)) {
	case "", "null", "false", "0", `""`, "{}", "[]":
		return true
	}
	return false
}
