package host

import (
	"fmt"
	"io"
)

// Secret holds a value that prints as "[secret]" in every way in which Go prints: verbs, JSON, text, error messages.
// The zero Secret is "not set" and prints as nothing.
//
// It keeps a pointer, because fmt walks into unexported fields of other structs without asking their methods.
type Secret struct{ value *string }

// NewSecret wraps a value; an empty one is the zero Secret.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{value: &value}
}

// Reveal returns the value, for the one place that sends it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// String never returns the value.
func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return "[secret]"
}

// GoString never returns the value.
func (s Secret) GoString() string { return s.String() }

// Format serves every verb, those included that would print a struct's fields.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText never returns the value; JSON uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
