package notify

import (
	"slices"
	"sync"
)

const (
	// maxWaiting is how many letters may wait. Each waits for ten minutes at most, and there is not that much to say.
	maxWaiting = 64
	// maxKnown is how many subjects are remembered, so that none is told twice.
	maxKnown = 512
)

// subject is what one message is sent about.
type subject struct {
	kind Kind
	key  string
}

// queue holds the letters that wait, the one that is being sent, and what has been told. It is safe for concurrent use.
type queue struct {
	// wake holds a token while somebody may have put a letter.
	wake chan struct{}

	mu      sync.Mutex
	waiting []*letter
	current *letter
	// known are the subjects of the letters that wait, are on their way or were delivered, the oldest first.
	known  []subject
	closed bool
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// knows says that the subject needs no other letter.
func (q *queue) knows(s subject) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Contains(q.known, s)
}

// put takes a letter unless its subject is known. It returns the letter that is lost by that, and why: an older one for want of room,
// or this one when the queue is closed.
func (q *queue) put(l *letter) (lost *letter, why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return l, errEnd
	case slices.Contains(q.known, l.about()):
		return nil, nil
	}
	if len(q.waiting) >= maxWaiting {
		// The newest matters most.
		lost, why = q.waiting[0], errTooMany
		q.waiting = slices.Delete(q.waiting, 0, 1)
		q.forget(lost.about())
	}
	if len(q.known) >= maxKnown {
		q.known = slices.Delete(q.known, 0, 1)
	}
	q.waiting, q.known = append(q.waiting, l), append(q.known, l.about())
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return lost, why
}

// take makes the letter that has waited longest the current one; nil where none waits.
func (q *queue) take() *letter {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	q.current = q.waiting[0]
	q.waiting = slices.Delete(q.waiting, 0, 1)
	return q.current
}

// begin counts a try of the current letter; false where it has been withdrawn.
func (q *queue) begin() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.current.withdrawn:
		return false
	default:
		q.current.tries++
		return true
	}
}

// end lets go of the current letter. One that was not delivered is forgotten.
func (q *queue) end(delivered bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !delivered {
		q.forget(q.current.about())
	}
	q.current = nil
}

// withdraw ends the way of the letter about s. It says whether that letter is gone without a try, and whether anybody may have read
// it.
func (q *queue) withdraw(s subject) (gone *letter, told bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.IndexFunc(q.waiting, func(l *letter) bool { return l.about() == s }); i >= 0 {
		gone = q.waiting[i]
		q.waiting = slices.Delete(q.waiting, i, i+1)
		q.forget(s)
		return gone, false
	}
	if l := q.current; l != nil && l.about() == s {
		select {
		case <-l.withdrawn:
		default:
			close(l.withdrawn)
		}
		return nil, l.tries > 0
	}
	return nil, slices.Contains(q.known, s)
}

// close takes no more letters, and returns those that still wait.
func (q *queue) close() (left []*letter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	left, q.waiting, q.closed = q.waiting, nil, true
	return left
}

func (q *queue) waits() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.waiting)
	if q.current != nil {
		n++
	}
	return n
}

// forget is called with the lock held.
func (q *queue) forget(s subject) {
	q.known = slices.DeleteFunc(q.known, func(k subject) bool { return k == s })
}
