package watchdog

import "encoding/json"

// Maybe is a value that may be unknown. Unknown is not zero: the zero Maybe is unknown, and prints as null.
type Maybe[T any] struct {
	Value T
	Known bool
}

// Known wraps a value that was read.
func Known[T any](v T) Maybe[T] { return Maybe[T]{Value: v, Known: true} }

// Or returns the value, or alt where it is unknown.
func (m Maybe[T]) Or(alt T) T {
	if m.Known {
		return m.Value
	}
	return alt
}

// Ptr returns nil for unknown; it serves encoders that know only pointers.
func (m Maybe[T]) Ptr() *T {
	if !m.Known {
		return nil
	}
	v := m.Value
	return &v
}

// MarshalJSON writes null for unknown.
func (m Maybe[T]) MarshalJSON() ([]byte, error) {
	if !m.Known {
		return []byte("null"), nil
	}
	return json.Marshal(m.Value)
}

// UnmarshalJSON reads null as unknown.
func (m *Maybe[T]) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*m = Maybe[T]{}
		return nil
	}
	m.Known = true
	return json.Unmarshal(b, &m.Value)
}
