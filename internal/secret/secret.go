// Package secret keeps values that nobody may see: keys of an API. It knows no place that sends or stores them.
package secret

import "fmt"

// Mask is what a secret prints as.
const Mask = "[secret]"

// Secret is a value that no log, error, table or page may show: every way of printing it gives "[secret]". The zero
// Secret is not set, and prints as nothing.
type Secret struct {
	// A pointer, because fmt prints the fields of unexported structs without asking their methods; a pointer inside of
	// them comes out as an address.
	value *string
}

// New keeps s; an empty s gives a Secret that is not set.
func New(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// IsSet says that there is a value.
func (s Secret) IsSet() bool { return s.value != nil }

// Reveal returns the value itself, for the one place that sends it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

func (s Secret) String() string {
	if s.value == nil {
		return ""
	}
	return Mask
}

// GoString masks the value under %#v.
func (s Secret) GoString() string { return s.String() }

// Format masks the value under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText masks the value in text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON masks the value in JSON.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
