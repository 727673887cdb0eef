package host

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func listen(t testing.TB, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		if strings.Contains(address, ":") && network != "tcp4" {
			t.Skipf("no IPv6 here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

func local(c net.Conn) netip.AddrPort { return plain(c.LocalAddr().(*net.TCPAddr).AddrPort()) }

// connect dials and accepts; both ends are closed with the test.
func connect(t testing.TB, l net.Listener, dial func() (net.Conn, error)) (client, server net.Conn) {
	t.Helper()
	client, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func dialer(network string, host string, port uint16) func() (net.Conn, error) {
	return func() (net.Conn, error) {
		return net.DialTimeout(network, net.JoinHostPort(host, fmt.Sprint(port)), 5*time.Second)
	}
}

func newSockets(t testing.TB, own *OwnConnections, ports ...uint16) *Sockets {
	t.Helper()
	s := NewSockets(SocketConfig{Ports: ports, Own: own})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func send(t testing.TB, from, to net.Conn, n int) {
	t.Helper()
	if _, err := from.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if to == nil {
		return
	}
	if err := to.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, n)); err != nil {
		t.Fatal(err)
	}
}

// only reads until the table satisfies a condition on the one connection that it must hold.
func only(t *testing.T, s *Sockets, what string, condition func(watchdog.Connection) bool) watchdog.Connection {
	t.Helper()
	var found watchdog.Connection
	eventually.Within(t, 5*time.Second, what, func() bool {
		got := s.Read(t.Context())
		if got.State != watchdog.SourceOK {
			t.Fatalf("state %d: %s", got.State, got.Reason)
		}
		if len(got.Connections) != 1 {
			return false
		}
		found = got.Connections[0]
		return condition(found)
	})
	return found
}

// A request's whole life on each kind of listener, as the kernel tells it.
func TestSocketsLifeOfAConnection(t *testing.T) {
	for _, c := range []struct{ name, listenNetwork, listenHost, dialNetwork, dialHost string }{
		{"IPv4", "tcp4", "127.0.0.1", "tcp4", "127.0.0.1"},
		{"IPv6", "tcp6", "::1", "tcp6", "::1"},
		{"IPv4 client of an IPv6 listener", "tcp", "::", "tcp4", "127.0.0.1"},
		{"IPv6 client of a dual listener", "tcp", "::", "tcp6", "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t, c.listenNetwork, net.JoinHostPort(c.listenHost, "0"))
			s := newSockets(t, nil, portOf(l))
			lifeOfAConnection(t, s, l, dialer(c.dialNetwork, c.dialHost, portOf(l)))
		})
	}
}

// The same as the user that a container image runs us as.
func TestSocketsUnprivileged(t *testing.T) {
	if !asNobody(t) {
		return
	}
	l := listen(t, "tcp4", "127.0.0.1:0")
	lifeOfAConnection(t, newSockets(t, nil, portOf(l)), l, dialer("tcp4", "127.0.0.1", portOf(l)))
}

func lifeOfAConnection(t *testing.T, s *Sockets, l net.Listener, dial func() (net.Conn, error)) {
	t.Helper()
	before := s.Read(t.Context())
	if before.State != watchdog.SourceOK || len(before.Connections) != 0 || !slices.Equal(before.Listening, []uint16{portOf(l)}) {
		t.Fatalf("a listener alone reads as %+v", before)
	}

	client, server := connect(t, l, dial)
	opened := only(t, s, "connected", func(c watchdog.Connection) bool { return true })
	want := watchdog.Connection{Cookie: opened.Cookie, Port: portOf(l), Peer: local(client).String(),
		SinceReceived: opened.SinceReceived, SinceSent: opened.SinceSent}
	if opened != want || opened.Cookie == 0 {
		t.Fatalf("a fresh connection reads as %+v, want %+v", opened, want)
	}

	// The request lies unread in the server's buffer at first: it is owed all the same.
	send(t, client, nil, 348)
	owed := only(t, s, "owed", func(c watchdog.Connection) bool { return c.Received == 348 && c.Sent == 0 })
	if owed.SinceReceived > owed.SinceSent {
		t.Errorf("owed, and yet data came %v ago and went %v ago", owed.SinceReceived, owed.SinceSent)
	}
	// Let a few jiffies pass, so that the answer's stamp is later than the question's.
	eventually.Within(t, 5*time.Second, "20 ms since the request", func() bool {
		return s.Read(t.Context()).Connections[0].SinceReceived >= 20*time.Millisecond
	})
	send(t, server, client, 5424)
	answered := only(t, s, "answered", func(c watchdog.Connection) bool { return c.Received == 348 && c.Sent == 5424 })
	if answered.SinceSent >= answered.SinceReceived || answered.HalfClosed || answered.Cookie != opened.Cookie {
		t.Errorf("answered reads as %+v", answered)
	}
	if got := s.Read(t.Context()).PassiveOpens; !got.Known || got.Value <= before.PassiveOpens.Value {
		t.Errorf("accepted connections went from %+v to %+v", before.PassiveOpens, got)
	}

	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	left := only(t, s, "half closed", func(c watchdog.Connection) bool { return c.HalfClosed })
	if left.Received < 348 || left.Sent != 5424 || left.Cookie != opened.Cookie {
		t.Errorf("half closed reads as %+v", left)
	}
	_ = server.Close()
	eventually.Within(t, 5*time.Second, "vanished", func() bool { return len(s.Read(t.Context()).Connections) == 0 })
}

// The kernel filters by port, over several ports, and the client's ends are not taken for servers'.
func TestSocketsOnlyServedPorts(t *testing.T) {
	served1, other, served2 := listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp4", "127.0.0.1:0"), listen(t, "tcp4", "127.0.0.1:0")
	for _, l := range []net.Listener{served1, other, served2} {
		connect(t, l, dialer("tcp4", "127.0.0.1", portOf(l)))
	}
	gone := listen(t, "tcp4", "127.0.0.1:0")
	_ = gone.Close()
	s := newSockets(t, nil, portOf(served2), portOf(gone), portOf(served1), portOf(served1), 0)
	got := s.Read(t.Context())
	ports := []uint16{portOf(served1), portOf(served2)}
	slices.Sort(ports)
	var seen []uint16
	for _, c := range got.Connections {
		seen = append(seen, c.Port)
	}
	slices.Sort(seen)
	if got.State != watchdog.SourceOK || !slices.Equal(got.Listening, ports) || !slices.Equal(seen, ports) {
		t.Errorf("listening %v, connections on %v, want both %v (state %d, %s)", got.Listening, seen, ports, got.State, got.Reason)
	}
}

// A server that comes up later and in the other family is seen from then on.
func TestSocketsBothFamilies(t *testing.T) {
	v4 := listen(t, "tcp4", "127.0.0.1:0")
	connect(t, v4, dialer("tcp4", "127.0.0.1", portOf(v4)))
	later := listen(t, "tcp6", "[::1]:0")
	address := later.Addr().String()
	_ = later.Close()
	s := newSockets(t, nil, portOf(v4), portOf(later))
	if got := s.Read(t.Context()); len(got.Listening) != 1 || len(got.Connections) != 1 {
		t.Fatalf("IPv4 alone: %+v", got)
	}
	v6 := listen(t, "tcp6", address)
	connect(t, v6, dialer("tcp6", "::1", portOf(v6)))
	if got := s.Read(t.Context()); len(got.Listening) != 2 || len(got.Connections) != 2 {
		t.Fatalf("IPv4 and IPv6: %+v", got)
	}
}

// Nobody listens: that is no knowledge of quiet. A connection that outlived its listener is told nevertheless.
func TestSocketsNoListenerIsAbsent(t *testing.T) {
	l := listen(t, "tcp4", "127.0.0.1:0")
	s := newSockets(t, nil, portOf(l))
	connect(t, l, dialer("tcp4", "127.0.0.1", portOf(l)))
	s.Read(t.Context())
	_ = l.Close()
	got := s.Read(t.Context())
	want := fmt.Sprintf("no listener on port %d in this network namespace", portOf(l))
	if got.State != watchdog.SourceAbsent || got.Reason != want || len(got.Listening) != 0 || len(got.Connections) != 1 {
		t.Errorf("got %+v, want absent: %s", got, want)
	}
	again := listen(t, "tcp4", l.Addr().String())
	if got := s.Read(t.Context()); got.State != watchdog.SourceOK || got.Reason != "" {
		t.Errorf("with a listener again: %+v", got)
	}
	_ = again.Close()
	if got := newSockets(t, nil).Read(t.Context()); got.State != watchdog.SourceAbsent || got.Reason != "no port is served" {
		t.Errorf("without ports: %+v", got)
	}
}

// Too late is a failure, and the next look is good again.
func TestSocketsDeadline(t *testing.T) {
	l := listen(t, "tcp4", "127.0.0.1:0")
	s := newSockets(t, nil, portOf(l))
	for range 2 {
		if got := s.Read(t.Context()); got.State != watchdog.SourceOK {
			t.Fatalf("state %d: %s", got.State, got.Reason)
		}
		late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		got := s.Read(late)
		cancel()
		if got.State != watchdog.SourceFailed || !strings.Contains(got.Reason, "deadline exceeded") || got.Listening != nil {
			t.Errorf("after the deadline: %+v", got)
		}
		if s.table.(*diagTable).socket != nil {
			t.Error("the netlink socket was kept after a failure: it may still hold the old answer")
		}
	}
}

// Our own scrape is never seen, neither while it lasts nor as the leftover of a server that hangs.
func TestSocketsLeaveOutOurOwn(t *testing.T) {
	for _, c := range []struct{ name, listenAt, dialNetwork, dialHost string }{
		{"IPv4", "127.0.0.1:0", "tcp4", "127.0.0.1"},
		{"IPv4 in IPv6", "[::]:0", "tcp4", "127.0.0.1"},
		{"IPv6", "[::1]:0", "tcp6", "::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t, "tcp", c.listenAt)
			own := &OwnConnections{}
			s, all := newSockets(t, own, portOf(l)), newSockets(t, nil, portOf(l))
			none := func(when string) {
				t.Helper()
				if got := s.Read(t.Context()); got.State != watchdog.SourceOK || len(got.Connections) != 0 {
					t.Fatalf("%s: state %d %s, connections %+v", when, got.State, got.Reason, got.Connections)
				}
			}
			address := net.JoinHostPort(c.dialHost, fmt.Sprint(portOf(l)))
			ours, server := connect(t, l, func() (net.Conn, error) {
				return own.Dial((&net.Dialer{}).DialContext)(t.Context(), c.dialNetwork, address)
			})
			none("opened")
			send(t, ours, nil, 100)
			only(t, all, "scraping", func(c watchdog.Connection) bool { return c.Received == 100 })
			none("scraping")

			_ = ours.Close()
			_ = ours.Close() // a second close is not a second Closed
			only(t, all, "left over", func(c watchdog.Connection) bool { return c.HalfClosed })
			for range 3 {
				none("left over")
			}
			if n := len(own.addresses); n != 0 {
				t.Errorf("%d addresses are remembered after a look that came after the close", n)
			}

			// A stranger on another port is seen beside it.
			stranger, _ := connect(t, l, dialer(c.dialNetwork, c.dialHost, portOf(l)))
			only(t, s, "a stranger", func(c watchdog.Connection) bool { return c.Peer == local(stranger).String() })
			_ = server.Close()
			eventually.Within(t, 5*time.Second, "our leftover is forgotten", func() bool { s.Read(t.Context()); return len(own.cookies) == 0 })
		})
	}
}

// A stranger who gets our port after us is a stranger, at once.
func TestSocketsStrangerOnOurOldPort(t *testing.T) {
	for _, lookBetween := range []bool{true, false} {
		t.Run(fmt.Sprintf("look between %v", lookBetween), func(t *testing.T) {
			l := listen(t, "tcp4", "127.0.0.1:0")
			own := &OwnConnections{}
			s := newSockets(t, own, portOf(l))
			// A port that was bound by hand is shared with no other connection of this machine, so that it is free again.
			dialFrom := func(from netip.AddrPort) func() (net.Conn, error) {
				d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(from)}
				return func() (net.Conn, error) { return d.DialContext(t.Context(), "tcp4", l.Addr().String()) }
			}
			ours, server := connect(t, l, dialFrom(netip.MustParseAddrPort("127.0.0.1:0")))
			address := local(ours)
			own.Opened(address)
			send(t, ours, server, 100)
			if got := s.Read(t.Context()); len(got.Connections) != 0 {
				t.Fatalf("our own is seen: %+v", got.Connections)
			}
			// A reset frees the port on both sides at once.
			_ = ours.(*net.TCPConn).SetLinger(0)
			_ = ours.Close()
			own.Closed(address)
			if lookBetween {
				s.Read(t.Context())
			}
			connect(t, l, dialFrom(address))
			got := s.Read(t.Context())
			if len(got.Connections) != 1 || got.Connections[0].Peer != address.String() {
				t.Errorf("the stranger is not seen: %+v", got)
			}
		})
	}
}

// One look beside a thousand connections that do not matter. Mostly it is the kernel's walk through its hash table.
func BenchmarkSocketsRead(b *testing.B) {
	unrelated, served := listen(b, "tcp4", "127.0.0.1:0"), listen(b, "tcp4", "127.0.0.1:0")
	for range 1000 {
		connect(b, unrelated, dialer("tcp4", "127.0.0.1", portOf(unrelated)))
	}
	for range 20 {
		connect(b, served, dialer("tcp4", "127.0.0.1", portOf(served)))
	}
	s := newSockets(b, nil, portOf(served))
	b.ReportAllocs()
	for b.Loop() {
		if got := s.Read(b.Context()); got.State != watchdog.SourceOK || len(got.Connections) != 20 {
			b.Fatalf("state %d, %d connections", got.State, len(got.Connections))
		}
	}
}
