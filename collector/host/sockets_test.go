package host

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// fakeTable yields fixed sockets, then fails or not.
type fakeTable struct {
	sockets []diagSocket
	err     error
	ctx     context.Context
	walks   int
}

func (f *fakeTable) dump(ctx context.Context, nobody bool, yield func(diagSocket)) error {
	f.ctx = ctx
	if !nobody {
		f.walks++
	}
	for _, d := range f.sockets {
		if !nobody || d.state == tcpListen {
			yield(d)
		}
	}
	return f.err
}

func (f *fakeTable) close() error { return nil }

func fakeSockets(f *fakeTable, own *OwnConnections) *Sockets {
	s := NewSockets(SocketConfig{Ports: []uint16{8000}, Own: own, Root: "/nonexistent"})
	s.table = f
	return s
}

var listener = diagSocket{state: tcpListen, port: 8000}

func established(cookie uint64, peer string) diagSocket {
	return diagSocket{state: tcpEstablished, port: 8000, cookie: cookie, peer: netip.MustParseAddrPort(peer)}
}

// What cannot be asked here is absent, what went wrong once is failed; neither tells half a table.
func TestSocketsErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want watchdog.SourceState
	}{
		{syscall.EPERM, watchdog.SourceAbsent},
		{syscall.EACCES, watchdog.SourceAbsent},
		{syscall.ENOENT, watchdog.SourceAbsent},
		{syscall.EPROTONOSUPPORT, watchdog.SourceAbsent},
		{syscall.EAFNOSUPPORT, watchdog.SourceAbsent},
		{syscall.ECONNREFUSED, watchdog.SourceAbsent},
		{syscall.EINVAL, watchdog.SourceAbsent},
		{errNoTCPInfo, watchdog.SourceAbsent},
		{errNotLinux, watchdog.SourceAbsent},
		{syscall.EMFILE, watchdog.SourceFailed},
		{syscall.ENOBUFS, watchdog.SourceFailed},
		{syscall.ENOMEM, watchdog.SourceFailed},
		{os.ErrDeadlineExceeded, watchdog.SourceFailed},
		{context.Canceled, watchdog.SourceFailed},
		{fmt.Errorf("message of 3 bytes"), watchdog.SourceFailed},
	} {
		f := &fakeTable{sockets: []diagSocket{listener, established(1, "10.0.0.1:1")}, err: fmt.Errorf("ask: %w", c.err)}
		got := fakeSockets(f, nil).Read(t.Context())
		if got.State != c.want || !strings.Contains(got.Reason, c.err.Error()) || got.Listening != nil || got.Connections != nil {
			t.Errorf("%v reads as %+v, want state %d", c.err, got, c.want)
		}
	}
}

// A look without a deadline gets one; one with a deadline keeps it.
func TestSocketsAlwaysHaveADeadline(t *testing.T) {
	f := &fakeTable{sockets: []diagSocket{listener}}
	s := fakeSockets(f, nil)
	s.Read(context.Background())
	if deadline, ok := f.ctx.Deadline(); !ok || time.Until(deadline) > dumpTimeout {
		t.Errorf("deadline %v, %v", deadline, ok)
	}
	want := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), want)
	defer cancel()
	s.Read(ctx)
	if deadline, _ := f.ctx.Deadline(); !deadline.Equal(want) {
		t.Errorf("deadline %v, want %v", deadline, want)
	}
}

// A look that failed forgets nothing of ours.
func TestSocketsFailedLookKeepsOurOwn(t *testing.T) {
	own := &OwnConnections{}
	f := &fakeTable{sockets: []diagSocket{listener, established(7, "10.0.0.1:40000")}}
	s := fakeSockets(f, own)
	own.Opened(netip.MustParseAddrPort("10.0.0.1:40000"))
	if got := s.Read(t.Context()); len(got.Connections) != 0 {
		t.Fatalf("our own is seen: %+v", got)
	}
	own.Closed(netip.MustParseAddrPort("10.0.0.1:40000"))
	whole := f.sockets
	f.sockets, f.err = nil, syscall.ENOBUFS
	s.Read(t.Context())
	f.sockets, f.err = whole, nil
	if got := s.Read(t.Context()); got.State != watchdog.SourceOK || len(got.Connections) != 0 {
		t.Errorf("after a failed look our own is seen: %+v", got)
	}
}

// Memory is bounded, whoever connects; those who no longer wait go first, then those who have been silent longest.
func TestSocketsKeepTheMostRecent(t *testing.T) {
	const n = 3*MaxConnections + 7
	f := &fakeTable{sockets: []diagSocket{listener}}
	for i := range n {
		d := established(uint64(i+1), fmt.Sprintf("10.0.%d.%d:1", i/256%256, i%256))
		d.sinceReceived = time.Duration(n-i) * time.Second // the later, the more recent
		d.sinceSent = 24 * time.Hour
		if i%2 == 0 {
			d.sinceReceived, d.sinceSent = d.sinceSent, d.sinceReceived
		}
		if i >= n-100 {
			d.state = tcpCloseWait
		}
		f.sockets = append(f.sockets, d)
	}
	got := fakeSockets(f, nil).Read(t.Context())
	if got.State != watchdog.SourceOK || len(got.Connections) != MaxConnections {
		t.Fatalf("state %d, %d connections", got.State, len(got.Connections))
	}
	for i, c := range got.Connections {
		if want := uint64(n - 100 - MaxConnections + i + 1); c.Cookie != want || c.HalfClosed {
			t.Fatalf("connection %d has cookie %d, half closed %v; want %d", i, c.Cookie, c.HalfClosed, want)
		}
	}
	if want := "12295 connections, of which the 4096 with the most recent data are kept"; got.Reason != want {
		t.Errorf("reason %q, want %q", got.Reason, want)
	}
	if c := cap(got.Connections); c > 3*MaxConnections {
		t.Errorf("%d connections were held at once", c)
	}
}

func TestNoListenerNamesAllPorts(t *testing.T) {
	if got, want := noListener([]uint16{8000, 8001}), "no listener on ports 8000, 8001 in this network namespace"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
