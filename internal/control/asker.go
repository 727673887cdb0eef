package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

const (
	// mostProc and mostPasswd bound what is read of a file, in bytes.
	mostProc, mostPasswd = 4 << 10, 1 << 20
	// mostName bounds a user's and a program's name, in bytes.
	mostName = 24
	// slaveMajor is the number under which the kernel's structures know the terminals of windows and logins.
	slaveMajor = 136
)

// peer is the process at the other end of a connection as the kernel knows it, at the moment at which it connected. The zero value
// is nobody, and may ask for nothing.
type peer struct {
	known bool
	uid   uint32
	// pid is 0 where the process cannot be seen from this container.
	pid int
	// unknown says why it is not known.
	unknown error
}

// Network and String make a peer the remote address of its connection.
func (p peer) Network() string { return "unix" }

func (p peer) String() string {
	if !p.known {
		return "unknown"
	}
	return fmt.Sprintf("uid=%d,pid=%d", p.uid, p.pid)
}

// identifying finds out of every connection who is at its other end.
type identifying struct{ net.Listener }

func (l identifying) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return identified{c, peerOf(c)}, nil
}

type identified struct {
	net.Conn
	who peer
}

func (c identified) RemoteAddr() net.Addr { return c.who }

type askerKey struct{}

// withAsker is a ConnContext: what wraps a connection still tells its remote address.
func withAsker(ctx context.Context, c net.Conn) context.Context {
	who, ok := c.RemoteAddr().(peer)
	if !ok {
		who.unknown = fmt.Errorf("it has the address %v", c.RemoteAddr())
	}
	return context.WithValue(ctx, askerKey{}, who)
}

func askerOf(ctx context.Context) peer {
	who, ok := ctx.Value(askerKey{}).(peer)
	if !ok {
		who.unknown = errors.New("its connection came from elsewhere")
	}
	return who
}

// mayAsk refuses everybody but root and the user under whom we run.
func (p peer) mayAsk(uid uint32) error {
	switch {
	case !p.known:
		return orders.Refused("it cannot be told who asks (%v): orders are taken only from root and user %d", p.unknown, uid)
	case p.uid != 0 && p.uid != uid:
		return orders.Refused("user %d may give no orders here: they are taken only from root and user %d, under whom gpu-watchdog runs", p.uid, uid)
	}
	return nil
}

// name is the asker for people, and the same for the same person at the same place: "root on pts/0 (bash)". The command of this
// program stands for whatever called it, which is named instead. root is where /proc and /etc are.
func (p peer) name(root string) string {
	out := userName(root, p.uid)
	if p.pid == 0 {
		return out
	}
	asks := readProcess(root, p.pid)
	if asks.terminal != "" {
		out += " on " + asks.terminal
	}
	program := asks.program
	if self := readProcess(root, os.Getpid()); program == self.program && asks.parent > 0 {
		program = readProcess(root, asks.parent).program
	}
	if program != "" {
		out += " (" + program + ")"
	}
	return orders.Clean(out, orders.MostBy)
}

// userName is the name of a user in the machine's own list, or "uid 1000". The system's other lists (LDAP) may be slow.
func userName(root string, uid uint32) string {
	number := strconv.FormatUint(uint64(uid), 10)
	list, _ := readSome(filepath.Join(root, "/etc/passwd"), mostPasswd)
	for line := range strings.Lines(string(list)) {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || fields[2] != number {
			continue
		}
		if name := orders.Clean(fields[0], mostName); name != "" {
			return name
		}
	}
	return "uid " + number
}

// process is what /proc says of a process; what it does not say is zero.
type process struct {
	program  string
	terminal string
	parent   int
}

// readProcess reads /proc/PID/stat: "PID (program) state parent group session terminal ...", where the program may hold anything.
func readProcess(root string, pid int) process {
	b, err := readSome(filepath.Join(root, "/proc", strconv.Itoa(pid), "stat"), mostProc)
	if err != nil {
		return process{}
	}
	begin, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if begin < 0 || end < begin {
		return process{}
	}
	p := process{program: orders.Clean(string(b[begin+1:end]), mostName)}
	fields := strings.Fields(string(b[end+1:]))
	if len(fields) < 5 {
		return p
	}
	p.parent, _ = strconv.Atoi(fields[1])
	if terminal, err := strconv.ParseInt(fields[4], 10, 32); err == nil && terminal>>8&0xfff == slaveMajor {
		p.terminal = fmt.Sprintf("pts/%d", terminal&0xff|terminal>>12&0xfff00)
	}
	return p
}

// readSome reads at most so many bytes of a file's beginning.
func readSome(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}
