package host

import (
	"net/netip"
	"sync"
)

// OwnConnections knows which connections on the served ports are the watchdog's own, so that a scrape is not taken for
// a client. It is told our local addresses, which are the peers of the servers' ends.
//
// A server's end that was once recognised stays ours, by its cookie, until it vanishes from the table: a scrape that
// timed out leaves one in CLOSE_WAIT for as long as the server hangs. Each Opened claims one cookie only, so a stranger
// who gets the same port later, and thereby a new cookie, is not left out. The one exception: a connection that lived
// and ended between two looks was never recognised, and a stranger who takes its port before the next look would be
// taken for it.
//
// It is safe for concurrent use, and the zero value is an empty set.
type OwnConnections struct {
	mu        sync.Mutex
	addresses map[netip.AddrPort]*ownAddress
	// cookies are the servers' ends that are ours, as of the last complete look.
	cookies map[uint64]struct{}
}

// ownAddress counts: one local address may carry connections to several servers at once.
type ownAddress struct {
	open    int // Opened and not Closed
	closing int // Closed, and no complete look has begun since
	claimed int // of these, how many have been recognised in the table
}

// Opened says that we hold a connection from this local address. Call it before the first byte is sent.
func (o *OwnConnections) Opened(local netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	local = plain(local)
	a := o.addresses[local]
	if a == nil {
		if o.addresses == nil {
			o.addresses = map[netip.AddrPort]*ownAddress{}
		}
		a = &ownAddress{}
		o.addresses[local] = a
	}
	a.open++
}

// Closed says that a connection from this local address was closed. Call it after closing. The address is remembered
// until the end of a look that began after this call.
func (o *OwnConnections) Closed(local netip.AddrPort) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if a := o.addresses[plain(local)]; a != nil && a.open > 0 {
		a.open--
		a.closing++
	}
}

// plain makes addresses comparable: no IPv4 in IPv6 clothes, no zone.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// ownLook is one look at the table.
type ownLook struct {
	own *OwnConnections
	// closing are the closes that came before this look began: they may be forgotten at its end.
	closing map[netip.AddrPort]int
	seen    map[uint64]struct{}
}

// look begins a look. Only one may be under way.
func (o *OwnConnections) look() *ownLook {
	o.mu.Lock()
	defer o.mu.Unlock()
	l := &ownLook{own: o}
	for address, a := range o.addresses {
		if a.closing > 0 {
			if l.closing == nil {
				l.closing = map[netip.AddrPort]int{}
			}
			l.closing[address] = a.closing
		}
	}
	return l
}

// ours says whether a server's end with this peer and cookie is our own connection.
func (l *ownLook) ours(peer netip.AddrPort, cookie uint64) bool {
	o := l.own
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.cookies[cookie]; !known {
		a := o.addresses[plain(peer)]
		if a == nil || a.claimed >= a.open+a.closing {
			return false
		}
		if o.cookies == nil {
			o.cookies = map[uint64]struct{}{}
		}
		a.claimed++
		o.cookies[cookie] = struct{}{}
	}
	if l.seen == nil {
		l.seen = map[uint64]struct{}{}
	}
	l.seen[cookie] = struct{}{}
	return true
}

// done ends a complete look: cookies that were not in it are gone for good, and closes from before it are forgotten. A
// look that failed must not call it.
func (l *ownLook) done() {
	o := l.own
	o.mu.Lock()
	defer o.mu.Unlock()
	for cookie := range o.cookies {
		if _, seen := l.seen[cookie]; !seen {
			delete(o.cookies, cookie)
		}
	}
	for address, n := range l.closing {
		a := o.addresses[address]
		a.closing -= n
		a.claimed = max(0, a.claimed-n)
		if a.open == 0 && a.closing == 0 {
			delete(o.addresses, address)
		}
	}
}
