package supervisor

import "time"

// backoff is the pause before a program is started again: it doubles from first to most, and begins anew once the program has
// lived for calm.
type backoff struct {
	first, most, calm time.Duration
	next              time.Duration
}

// after is the pause after a life of that length.
func (b *backoff) after(lived time.Duration) time.Duration {
	if lived >= b.calm || b.next == 0 {
		b.next = b.first
	}
	pause := b.next
	b.next = min(2*b.next, b.most)
	return pause
}
