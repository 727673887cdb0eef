package stopper

import (
	"fmt"
	"time"
)

// Kind sorts what a rung got for an answer. The zero value is Failed: an answer that nobody understood is not a yes.
type Kind uint8

// The kinds, a closed set; their words are in interface names (logs, the label result of the metrics).
const (
	// Failed: no answer, one that came too late, a server's fault (5xx), or one that nobody understands.
	Failed Kind = iota
	// Accepted: the provider said that it stops the pod.
	Accepted
	// AlreadyStopped: the provider says that the pod is stopped or gone already.
	AlreadyStopped
	// Denied: the key may not do this, or something in front of the provider blocked us.
	Denied
	// Invalid: the provider refused this request itself: wrong form, another pod's answer, or a state (locked) that
	// forbids the stop.
	Invalid
	// RetryAfter: too many requests; Answer.RetryAfter says how long to wait, where the provider told.
	RetryAfter
	// Gone: nothing there by this address: a wrong id, or an API that was retired. Never a success, since we run in
	// the pod that is said not to exist.
	Gone
)

var kindNames = [...]string{"failed", "accepted", "already_stopped", "denied", "invalid", "retry_after", "gone"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Failed]
}

// Kinds lists all kinds, for tables and metrics that want every label from the start.
func Kinds() []Kind {
	kinds := make([]Kind, len(kindNames))
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// Done says that the ladder may end here.
func (k Kind) Done() bool { return k == Accepted || k == AlreadyStopped }

// Answer is what one rung got.
type Answer struct {
	Kind Kind
	// Rung is the name of the way that was tried.
	Rung string
	// Status is the HTTP status, 0 where there was none.
	Status int
	// Detail is for people: printable, at most MaxDetail bytes, without secrets (see CleanDetail).
	Detail string
	// RetryAfter is how long the provider asked us to wait; 0 where it did not.
	RetryAfter time.Duration
}

func (a Answer) String() string {
	s := a.Rung + ": " + a.Kind.String()
	if a.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", a.Status)
	}
	if a.Detail != "" {
		s += ": " + a.Detail
	}
	return s
}
