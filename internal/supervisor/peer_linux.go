package supervisor

import (
	"encoding/json"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
	"golang.org/x/sys/unix"
)

// peer is our end of the link to the watchdog, one for each of its lives. Nothing here ever waits: a watchdog that does not
// read loses lines, and is told of the server once more.
type peer struct {
	mu           sync.Mutex
	opened       bool
	ours, theirs int
	text         []byte // of a line, used again and again
}

// open makes a pair of sockets and returns the end that the watchdog inherits.
func (p *peer) open() (theirs int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.opened, p.ours, p.theirs = true, pair[0], pair[1]
	return p.theirs, nil
}

// handedOver closes our copy of the watchdog's end.
func (p *peer) handedOver() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened {
		_ = syscall.Close(p.theirs)
	}
}

func (p *peer) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened {
		_ = syscall.Close(p.ours)
	}
	p.opened = false
}

// send says that the message is on its way, or that nobody is there to be told.
func (p *peer) send(m link.Message) bool {
	text, err := json.Marshal(m)
	if err != nil || len(text) > link.MostBytes {
		return true // another attempt would end alike
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.opened || p.give(text)
}

// sendLine tells of a line, or drops it.
func (p *peer) sendLine(at time.Time, text []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opened {
		p.text = appendLine(p.text[:0], at, text)
		p.give(p.text)
	}
}

func (p *peer) give(text []byte) bool {
	return unix.Sendto(p.ours, text, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil) == nil
}
