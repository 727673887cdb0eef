package vllm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"
)

// OwnPorts is told of each connection that we make, by its local address, so that the socket collector can leave it out.
// Both methods are called amid a read and must not block.
type OwnPorts interface {
	// Opened is called once the connection stands, before anything is sent on it.
	Opened(local netip.AddrPort)
	// Closed is called right after the connection was closed on our side.
	Closed(local netip.AddrPort)
}

// dialer makes our connections and knows which are open.
type dialer struct {
	own OwnPorts

	mu       sync.Mutex
	deadline time.Time // of the request that is being served
	reached  bool      // a connection stood at some time during it
	open     map[*ownConn]struct{}
	closed   bool
}

// unreachable is the failure to connect to any of a host's addresses.
type unreachable struct{ errs []error }

func (u *unreachable) Error() string {
	texts := make([]string, len(u.errs))
	for i, err := range u.errs {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (u *unreachable) Unwrap() []error { return u.errs }

// refused says that nobody listens at any of the addresses. One that refuses beside one that is silent proves nothing.
func (u *unreachable) refused() bool {
	for _, err := range u.errs {
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return false
		}
	}
	return len(u.errs) > 0
}

func (u *unreachable) timedOut() bool {
	for _, err := range u.errs {
		var e net.Error
		if errors.As(err, &e) && e.Timeout() {
			return true
		}
	}
	return false
}

// begin starts a request that ends at deadline at the latest.
func (d *dialer) begin(deadline time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deadline = deadline
	d.reached = len(d.open) > 0
}

// connected says whether a connection stood at some time since begin.
func (d *dialer) connected() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reached
}

// dial tries the addresses of a host one after the other, each for its share of the time that is left.
func (d *dialer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	d.mu.Lock()
	deadline := d.deadline
	d.mu.Unlock()
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()

	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &unreachable{[]error{err}}
	}
	addrs, err := resolve(ctx, host)
	if err != nil {
		return nil, &unreachable{[]error{err}}
	}
	failure := new(unreachable)
	for i, a := range addrs {
		share := time.Until(deadline) / time.Duration(len(addrs)-i)
		nd := net.Dialer{Timeout: max(share, time.Millisecond), KeepAlive: -1}
		conn, err := nd.DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port))
		if err == nil {
			return d.adopt(conn)
		}
		failure.errs = append(failure.errs, err)
	}
	return nil, failure
}

// resolve names the addresses of a host; a literal address is its own.
func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", host, err)
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs, nil
}

func (d *dialer) adopt(conn net.Conn) (net.Conn, error) {
	c := &ownConn{Conn: conn, dialer: d}
	if tcp, ok := conn.LocalAddr().(*net.TCPAddr); ok {
		local := tcp.AddrPort()
		c.local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		conn.Close()
		return nil, &unreachable{[]error{net.ErrClosed}}
	}
	if d.open == nil {
		d.open = map[*ownConn]struct{}{}
	}
	d.open[c] = struct{}{}
	d.reached = true
	d.mu.Unlock()
	if d.own != nil {
		d.own.Opened(c.local)
	}
	return c, nil
}

// close closes what is open; later dials fail.
func (d *dialer) close() {
	d.mu.Lock()
	d.closed = true
	left := make([]*ownConn, 0, len(d.open))
	for c := range d.open {
		left = append(left, c)
	}
	d.mu.Unlock()
	for _, c := range left {
		_ = c.Close() // it may have closed itself in the meantime
	}
}

// ownConn is a connection of ours that reports its end.
type ownConn struct {
	net.Conn
	dialer *dialer
	local  netip.AddrPort
	once   sync.Once
}

// Close closes the connection and reports it, once.
func (c *ownConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		err = c.Conn.Close()
		c.dialer.mu.Lock()
		delete(c.dialer.open, c)
		c.dialer.mu.Unlock()
		if c.dialer.own != nil {
			c.dialer.own.Closed(c.local)
		}
	})
	return err
}
