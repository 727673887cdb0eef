package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// MaxConnections bounds the connections of one reading. Of more, those are kept whose client still waits (not half
// closed), and among them those with the most recent data.
const MaxConnections = 4096

// dumpTimeout bounds one reading whose context has no deadline.
const dumpTimeout = time.Second

// SocketConfig says which connections count.
type SocketConfig struct {
	// Ports are the served TCP ports: the local ports of the servers' ends.
	Ports []uint16
	// Own knows the connections of the watchdog itself, which are left out; nil leaves out none.
	Own *OwnConnections
	// Root is where /proc is looked for; empty is "/".
	Root string
}

// Sockets reads the kernel's table of the TCP connections on the served ports. It keeps one netlink socket open.
type Sockets struct {
	ports []uint16
	own   *OwnConnections
	root  string

	mu    sync.Mutex
	table socketTable
	calm  calm
}

// socketTable is the kernel's table of TCP sockets. dump yields those whose local port is served and which are listening,
// and unless nobody can be connected, those which are established or half closed by the client.
type socketTable interface {
	dump(ctx context.Context, nobody bool, yield func(diagSocket)) error
	close() error
}

// NewSockets prepares a reader; nothing is opened before the first Read.
func NewSockets(cfg SocketConfig) *Sockets {
	ports := slices.DeleteFunc(slices.Clone(cfg.Ports), func(p uint16) bool { return p == 0 })
	slices.Sort(ports)
	ports = slices.Compact(ports)
	own := cfg.Own
	if own == nil {
		own = &OwnConnections{}
	}
	return &Sockets{ports: ports, own: own, root: cfg.Root, table: newSocketTable(ports)}
}

// Close gives the netlink socket back; a later Read opens a new one.
func (s *Sockets) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.close()
}

// Read takes one look at the table, within ctx's deadline, or a second where it has none.
//
// Absent: no port is served, no served port has a listener in this network namespace (connections that outlived one are
// listed all the same), or the kernel does not answer such questions here. Failed: it should have answered and did not.
// Beside a good state a reason says that there were more than MaxConnections.
func (s *Sockets) Read(ctx context.Context) watchdog.Sockets {
	s.mu.Lock()
	defer s.mu.Unlock()

	out := watchdog.Sockets{PassiveOpens: passiveOpens(s.root)}
	if len(s.ports) == 0 {
		out.State, out.Reason = watchdog.SourceAbsent, "no port is served"
		return out
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, dumpTimeout)
		defer cancel()
	}
	began := time.Now()
	look := s.own.look()
	nobody := s.calm.holds(out.PassiveOpens, began) && len(look.closing) == 0 // what we closed is to be forgotten
	kept := mostRecent{limit: MaxConnections}
	err := s.table.dump(ctx, nobody, func(d diagSocket) {
		switch {
		case d.state == tcpListen:
			if i, found := slices.BinarySearch(out.Listening, d.port); !found {
				out.Listening = slices.Insert(out.Listening, i, d.port)
			}
		case look.ours(d.peer, d.cookie):
		default:
			kept.add(d.connection())
		}
	})
	if err != nil {
		// Half a table proves nothing, not even work.
		out.Listening, s.calm = nil, calm{}
		out.State, out.Reason = classify(err)
		return out
	}
	if !nobody || kept.seen > 0 {
		look.done()
		s.calm.saw(kept.seen, out.PassiveOpens, began)
	}
	out.Connections = kept.list()
	if len(out.Listening) == 0 {
		out.State, out.Reason = watchdog.SourceAbsent, noListener(s.ports)
		return out
	}
	out.State = watchdog.SourceOK
	if kept.seen > len(out.Connections) {
		out.Reason = fmt.Sprintf("%d connections, of which the %d with the most recent data are kept",
			kept.seen, len(out.Connections))
	}
	return out
}

// noListener words the commonest absence: the server is not up yet, or lives in another network namespace.
func noListener(ports []uint16) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = strconv.Itoa(int(p))
	}
	noun := "port"
	if len(ports) > 1 {
		noun = "ports"
	}
	return fmt.Sprintf("no listener on %s %s in this network namespace", noun, strings.Join(names, ", "))
}

// cannotAnswer are the errors by which a kernel, a sandbox or a seccomp profile says that it never will. ENOENT is
// sock_diag without a handler for TCP; EINVAL is a kernel that does not understand the question.
var cannotAnswer = []error{
	errNotLinux, errNoTCPInfo,
	syscall.EPERM, syscall.EACCES, syscall.ENOENT, syscall.EINVAL, syscall.ENOSYS,
	syscall.EPROTONOSUPPORT, syscall.ESOCKTNOSUPPORT, syscall.EAFNOSUPPORT, syscall.EOPNOTSUPP, syscall.ECONNREFUSED,
}

// classify tells what can never answer here from what failed this time.
func classify(err error) (watchdog.SourceState, string) {
	for _, never := range cannotAnswer {
		if errors.Is(err, never) {
			return watchdog.SourceAbsent, err.Error()
		}
	}
	return watchdog.SourceFailed, err.Error()
}

// mostRecent collects connections in bounded memory: at most twice the limit while the table streams in.
type mostRecent struct {
	limit int
	seen  int
	conns []watchdog.Connection
}

func (m *mostRecent) add(c watchdog.Connection) {
	m.seen++
	m.conns = append(m.conns, c)
	if len(m.conns) >= 2*m.limit {
		m.prune()
	}
}

// prune keeps the limit's worth of connections, first those whose client still waits, then those with recent data.
func (m *mostRecent) prune() {
	if len(m.conns) <= m.limit {
		return
	}
	slices.SortFunc(m.conns, func(a, b watchdog.Connection) int {
		if a.HalfClosed != b.HalfClosed {
			if b.HalfClosed {
				return -1
			}
			return 1
		}
		return cmp.Or(
			cmp.Compare(min(a.SinceReceived, a.SinceSent), min(b.SinceReceived, b.SinceSent)),
			cmp.Compare(a.Cookie, b.Cookie))
	})
	m.conns = m.conns[:m.limit]
}

// list returns what was kept, ordered by cookie so that two looks compare easily.
func (m *mostRecent) list() []watchdog.Connection {
	m.prune()
	slices.SortFunc(m.conns, func(a, b watchdog.Connection) int { return cmp.Compare(a.Cookie, b.Cookie) })
	return m.conns
}
