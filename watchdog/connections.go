package watchdog

import (
	"fmt"
	"slices"
	"time"
)

// traffic is what the socket table says about one window.
type traffic struct {
	// quiet: the table was read.
	quiet bool
	bytes Maybe[uint64]
	peer  string
	soft  []sign
	owing []owing
}

// sign is a soft sign of work on a port.
type sign struct {
	port    uint16
	because Because
	// moved: bytes came or went in this window, so it does not stand still. answered: some went.
	moved, answered bool
}

// owing is a connection that is owed an answer, however briefly.
type owing struct {
	port uint16
	who  string
	age  time.Duration
}

// portKind says what else is known of the server behind a port.
type portKind uint8

const (
	portUnreadable portKind = iota // nothing else explains the bytes on it: they are work
	portReadable                   // vLLM's page explains them: scrapes and health checks are no work
	portDead                       // its engine is dead: nobody will be answered
	portOther                      // no vLLM's, but one of PORTS
)

// connections reads the socket table against what is remembered of each cookie.
//
// Owed an answer: bytes came and none went yet; or the last data came strictly later than the last data went; or since
// the last look received grew and sent did not, and nothing was sent after that. Equal stamps alone prove nothing, because
// the kernel's stamps move in steps of milliseconds. Streamed: the last data went at least a second later than the last
// data came, and more went since the last look: that is an answer which takes its time, never a scrape.
//
// Where the table cannot be read, what is remembered stays: the next good look is compared with the last good one.
func (r *Rules) connections(p []ConnectionState, s Sockets, ports map[uint16]portKind, elapsed time.Duration, based bool) ([]ConnectionState, traffic) {
	var t traffic
	if s.State != SourceOK {
		return p, t
	}
	t.quiet = true
	next := make([]ConnectionState, 0, len(s.Connections))
	total, latest := uint64(0), time.Duration(-1)
	for _, c := range s.Connections {
		was, seen := find(p, c.Cookie)
		n := ConnectionState{Cookie: c.Cookie, Received: c.Received, Sent: c.Sent}
		came, went := c.Received-min(c.Received, was.Received), c.Sent-min(c.Sent, was.Sent)
		if !seen && !based {
			// A first look cannot say when the bytes of an old connection moved.
			came, went = 0, 0
		}
		work := func(format string, args ...any) {
			t.soft = append(t.soft, sign{c.Port, Because{Code: ConnectionActive, Detail: fmt.Sprintf(format, args...)}, came+went > 0, went > 0})
		}
		total += came + went
		if age := min(c.SinceReceived, c.SinceSent); came+went > 0 && (latest < 0 || age < latest) {
			latest, t.peer = age, c.Peer
		}
		kind, served := ports[c.Port]
		if !served {
			kind = portOther
		}
		switch {
		case c.HalfClosed, kind == portDead:
		case owed(c, was, seen, came, went):
			// A request has waited since its last byte came; while nothing is sent, it is the same request.
			n.OwedFor = max(c.SinceReceived, 1)
			if was.OwedFor > 0 && went == 0 {
				n.OwedFor = max(n.OwedFor, was.OwedFor+elapsed)
			}
			who := fmt.Sprintf("%s has waited %s for an answer on port %d", c.Peer, n.OwedFor.Round(time.Millisecond), c.Port)
			t.owing = append(t.owing, owing{c.Port, who, n.OwedFor})
			if n.OwedFor >= owedLimit || came+went > 0 && kind == portOther {
				work("%s", who)
			}
		case went > 0 && c.SinceReceived-c.SinceSent >= owedLimit:
			work("%s is being sent an answer on port %d (%d bytes since the last look)", c.Peer, c.Port, went)
		case came+went > 0 && kind == portUnreadable:
			work("%s moved %d bytes on port %d, whose server cannot be read", c.Peer, came+went, c.Port)
		case came+went > 0 && kind == portOther:
			work("%s moved %d bytes on port %d, which is one of PORTS", c.Peer, came+went, c.Port)
		}
		next = append(next, n)
	}
	t.bytes = Known(total)
	slices.SortFunc(next, func(a, b ConnectionState) int {
		switch {
		case a.Cookie < b.Cookie:
			return -1
		case a.Cookie > b.Cookie:
			return 1
		}
		return 0
	})
	return next, t
}

func owed(c Connection, was ConnectionState, seen bool, came, went uint64) bool {
	if c.Received == 0 {
		return false
	}
	return c.Sent == 0 || c.SinceReceived < c.SinceSent || seen && went == 0 && (came > 0 || was.OwedFor > 0)
}

func find(sorted []ConnectionState, cookie uint64) (ConnectionState, bool) {
	i, ok := slices.BinarySearchFunc(sorted, cookie, func(c ConnectionState, k uint64) int {
		switch {
		case c.Cookie < k:
			return -1
		case c.Cookie > k:
			return 1
		}
		return 0
	})
	if !ok {
		return ConnectionState{}, false
	}
	return sorted[i], true
}
