package orders

import (
	"errors"
	"fmt"
)

// Kind says whose fault it is that an order was not carried out. A command's exit code follows from it.
type Kind string

const (
	// Failed: it was tried and did not succeed, or nobody knows whether it did. The kind of every error that names no other.
	Failed Kind = "failed"
	// Wrong: the order itself cannot be meant: a duration of 30 hours, say.
	Wrong Kind = "wrong_use"
	// Denied: it is understood, and may not be: the watchdog is not armed, the target is refused, the asker is a stranger.
	Denied Kind = "refused"
	// Unreachable: no watchdog answers.
	Unreachable Kind = "not_reachable"
)

// Error is an order that was not carried out. Make it with Refused, WrongUse or NotReachable.
type Error struct {
	Kind Kind
	err  error
}

func (e *Error) Error() string { return e.err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.err }

// WrongUse is an error of whoever wrote the order. The arguments are fmt.Errorf's.
func WrongUse(format string, args ...any) error { return &Error{Wrong, fmt.Errorf(format, args...)} }

// Refused is an order that may not be carried out. The arguments are fmt.Errorf's.
func Refused(format string, args ...any) error { return &Error{Denied, fmt.Errorf(format, args...)} }

// NotReachable is an order that no watchdog took. The arguments are fmt.Errorf's.
func NotReachable(format string, args ...any) error {
	return &Error{Unreachable, fmt.Errorf(format, args...)}
}

// KindOf is the kind of an error, wrapped or not: Failed where it names none. It is empty for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		switch e.Kind {
		case Wrong, Denied, Unreachable:
			return e.Kind
		case Failed:
		}
	}
	return Failed
}

// Told is an error as somebody else told it, over a socket: its kind by name, and its text. A kind that is not known, from a
// newer watchdog, is Failed.
func Told(kind Kind, text string) error {
	e := &Error{Kind: kind, err: errors.New(text)}
	e.Kind = KindOf(e)
	return e
}
