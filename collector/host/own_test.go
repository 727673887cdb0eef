package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// A timeline of what happens to our connections and to the kernel's table. "+a" opens and "-a" closes one of ours;
// "[1:a 2:b]" is a look at a table with cookie:peer; "[1:a 2:b" begins a look and "]" ends it; "fails" ends it badly.
// The number behind "=" is how many of the look's connections are not ours.
func TestOwnConnectionsTimelines(t *testing.T) {
	for _, c := range []struct{ name, timeline string }{
		{"ours while open", "+a [1:a ]=0 [1:a ]=0"},
		{"a stranger is never ours", "[1:a ]=1 +a [2:b ]=1"},
		{"seen before it was announced, then ours", "[1:a ]=1 +a [1:a ]=0"},
		{"ours after its close until it vanishes", "+a [1:a ]=0 -a [1:a ]=0 [1:a ]=0 [1:a ]=0 [ ]=0 [1:a ]=1"},
		{"closed before the first look that shows it", "+a -a [1:a ]=0 [1:a ]=0 [ ]=0"},
		{"port reused after a look", "+a [1:a ]=0 -a [ ]=0 [2:a ]=1"},
		{"port reused before a look", "+a [1:a ]=0 -a [2:a ]=1"},
		{"port reused beside our leftover", "+a [1:a ]=0 -a [1:a 2:a ]=1 [1:a 2:a ]=1"},
		{"port reused by ourselves", "+a [1:a ]=0 -a +a [2:a ]=0 -a [2:a ]=0 [3:a ]=1"},
		{"lived between two looks", "+a -a [ ]=0 [1:a ]=1"},
		{"closed during a look is kept for the next", "+a [ -a ]=0 [1:a ]=0 [ ]=0 [2:a ]=1"},
		{"opened during a look", "[ +a 1:a ]=0 [1:a ]=0"},
		{"reopened during a look", "+a -a [ +a ]=0 [2:a ]=0 -a [2:a ]=0 [ ]=0 [3:a ]=1"},
		{"one port to two servers", "+a +a [1:a 2:a 3:a ]=1 -a [1:a 2:a 3:a ]=1 [1:a 2:a 3:a ]=1 -a [1:a 2:a ]=0 [4:a ]=1"},
		{"one of two closed, another opened", "+a +a [1:a 2:a ]=0 -a [1:a 2:a ]=0 +a [1:a 2:a 3:a 4:a ]=1"},
		{"a failed look forgets nothing", "+a [1:a ]=0 -a [ fails [1:a ]=0 [1:a ]=0 [ ]=0 [1:a ]=1"},
		{"a failed look keeps a claim", "+a -a [1:a fails [1:a ]=0 [1:a ]=0"},
		{"closed too often", "+a -a -a -a [ ]=0 [1:a ]=1 +a [1:a ]=0"},
		{"mapped addresses are the same", "+m [1:a ]=0 -a [1:m ]=0 [ ]=0 [2:m ]=1"},
		{"a zone does not matter", "+z [1:l ]=0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			own := &OwnConnections{}
			address := map[string]netip.AddrPort{
				"a": netip.MustParseAddrPort("127.0.0.1:40000"), "m": netip.MustParseAddrPort("[::ffff:127.0.0.1]:40000"),
				"b": netip.MustParseAddrPort("127.0.0.1:40001"),
				"z": netip.MustParseAddrPort("[fe80::1%eth0]:40000"), "l": netip.MustParseAddrPort("[fe80::1]:40000"),
			}
			var look *ownLook
			strangers := 0
			for i, word := range strings.Fields(strings.ReplaceAll(c.timeline, "[", "[ ")) {
				switch {
				case word == "[":
					look, strangers = own.look(), 0
				case word[0] == '+':
					own.Opened(address[word[1:]])
				case word[0] == '-':
					own.Closed(address[word[1:]])
				case word == "fails":
				case word[0] == ']':
					look.done()
					if got := fmt.Sprintf("]=%d", strangers); got != word {
						t.Errorf("word %d of %q: %s, want %s", i, c.timeline, got, word)
					}
				default:
					cookie, name, _ := strings.Cut(word, ":")
					if !look.ours(address[name], uint64(cookie[0])) {
						strangers++
					}
				}
			}
		})
	}
}

// Nothing is kept of connections that are over.
func TestOwnConnectionsForget(t *testing.T) {
	own := &OwnConnections{}
	for i := range 1000 {
		address := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(i+1))
		own.Opened(address)
		own.look().ours(address, uint64(i))
		own.Closed(address)
	}
	own.look().done()
	if len(own.addresses) != 0 || len(own.cookies) != 0 {
		t.Errorf("%d addresses and %d cookies are kept", len(own.addresses), len(own.cookies))
	}
}

// Scrapers open and close while the table is read; the race detector is the judge, and the end state.
func TestOwnConnectionsConcurrently(t *testing.T) {
	own := &OwnConnections{}
	var scrapers sync.WaitGroup
	for i := range 4 {
		scrapers.Go(func() {
			for range 200 {
				address := netip.AddrPortFrom(netip.MustParseAddr("::1"), uint16(i+1))
				own.Opened(address)
				own.Closed(address)
			}
		})
	}
	for range 100 {
		look := own.look()
		look.ours(netip.MustParseAddrPort("[::1]:1"), 1)
		look.done()
	}
	scrapers.Wait()
	own.look().done()
	if len(own.addresses) != 0 {
		t.Errorf("%d addresses are kept", len(own.addresses))
	}
}

func TestOwnConnectionsDial(t *testing.T) {
	own := &OwnConnections{}
	boom := errors.New("boom")
	if _, err := own.Dial(func(context.Context, string, string) (net.Conn, error) { return nil, boom })(t.Context(), "tcp", "x"); !errors.Is(err, boom) {
		t.Errorf("error %v, want %v", err, boom)
	}
	// A connection that is not TCP can never be in the table.
	a, b := net.Pipe()
	defer b.Close()
	got, err := own.Dial(func(context.Context, string, string) (net.Conn, error) { return a, nil })(t.Context(), "unix", "x")
	if err != nil || got != a || len(own.addresses) != 0 {
		t.Errorf("got %v, %v, %d addresses", got, err, len(own.addresses))
	}
	_ = a.Close()

	// Two to different servers from one port: closing one twice closes one.
	shared := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}
	dial := own.Dial(func(context.Context, string, string) (net.Conn, error) { return fakeConn{local: shared}, nil })
	first, _ := dial(t.Context(), "tcp", "x")
	second, _ := dial(t.Context(), "tcp", "y")
	_, _ = first.Close(), first.Close()
	if a := own.addresses[plain(shared.AddrPort())]; a == nil || a.open != 1 || a.closing != 1 {
		t.Errorf("after one of two was closed twice: %+v", a)
	}
	_ = second.Close()
}

// fakeConn has an address and nothing else.
type fakeConn struct {
	net.Conn
	local net.Addr
}

func (c fakeConn) LocalAddr() net.Addr { return c.local }
func (c fakeConn) Close() error        { return nil }
