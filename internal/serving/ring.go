package serving

import "time"

// ring sums what happened over a rolling window, in slots of equal length: the memory is the same however often something is
// added. The window ends with the slot under way, so it is up to one slot shorter than its span.
type ring struct {
	span, step time.Duration
	slots      []slot
}

type slot struct {
	index int64
	used  bool
	sums
}

func newRing(span time.Duration, slots int) ring {
	return ring{span: span, step: max(span/time.Duration(slots), 1), slots: make([]slot, slots)}
}

// at places an instant, as time since any fixed origin.
func (r *ring) at(since time.Duration) (index int64, s *slot) {
	index = int64(since / r.step)
	if since < 0 {
		index--
	}
	n := int64(len(r.slots))
	return index, &r.slots[((index%n)+n)%n]
}

// add adds what ended at that instant. What is older than the slot that it belongs to now holds is dropped, and so is what
// took longer than the whole window, since most of it lies before it.
func (r *ring) add(since time.Duration, in *sums) {
	if in.seconds > r.span.Seconds() {
		return
	}
	index, s := r.at(since)
	if s.used && s.index > index {
		return
	}
	if !s.used || s.index < index {
		s.clear()
		s.index, s.used = index, true
	}
	s.sums.add(in)
}

// total adds up the window that ends at that instant.
func (r *ring) total(since time.Duration, into *sums) {
	into.clear()
	now, _ := r.at(since)
	for i := range r.slots {
		if s := &r.slots[i]; s.used && s.index <= now && s.index > now-int64(len(r.slots)) {
			into.add(&s.sums)
		}
	}
}
