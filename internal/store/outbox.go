package store

import "slices"

// event is a row about ticks. It is written whole, over an older one of the same key, so that it may be written twice.
type event struct {
	key       eventKey
	statement string
	args      []any
}

type eventKey struct {
	table string
	a, b  int64
}

// outbox holds events until the writer takes them; a newer one of the same key takes the older one's place.
type outbox struct {
	events []event
	most   int
}

// put returns how many older events had to go.
func (o *outbox) put(e event) (dropped int) {
	// The older one is nearly always among the last.
	for i, old := range slices.Backward(o.events) {
		if old.key == e.key {
			o.events[i] = e
			return 0
		}
	}
	o.events = append(o.events, e)
	return o.trim()
}

func (o *outbox) trim() (dropped int) {
	dropped = max(0, len(o.events)-o.most)
	o.events = slices.Delete(o.events, 0, dropped)
	return dropped
}

// take removes up to n of the oldest events.
func (o *outbox) take(n int) []event {
	n = min(n, len(o.events))
	if n == 0 {
		return nil
	}
	out := slices.Clone(o.events[:n])
	o.events = slices.Delete(o.events, 0, n)
	if len(o.events) == 0 {
		o.events = nil
	}
	return out
}

// restore puts events back in front that could not be written, but for those that newer ones have replaced.
func (o *outbox) restore(events []event) (dropped int) {
	newer := map[eventKey]bool{}
	for _, e := range o.events {
		newer[e.key] = true
	}
	events = slices.DeleteFunc(events, func(e event) bool { return newer[e.key] })
	o.events = append(events, o.events...)
	return o.trim()
}
