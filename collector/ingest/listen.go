package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"go.uber.org/zap"
)

// maxStrangers is how many connections from other machines may be open at once: enough to hear that they are not
// answered, and too few to keep this pod's own out.
const maxStrangers = 4

// doorway accepts connections, and few of those that will not be answered.
type doorway struct {
	net.Listener
	strangers atomic.Int64
}

func (d *doorway) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil || fromLoopback(c.RemoteAddr().String()) {
			return c, err
		}
		if d.strangers.Add(1) <= maxStrangers {
			return &stranger{Conn: c, leave: sync.OnceFunc(func() { d.strangers.Add(-1) })}, nil
		}
		d.strangers.Add(-1)
		c.Close()
	}
}

type stranger struct {
	net.Conn
	leave func()
}

func (s *stranger) Close() error {
	s.leave()
	return s.Conn.Close()
}

// listenProblem says why nobody can send us anything, and what to do about it.
func listenProblem(address string, err error) string {
	what, remedy := fmt.Sprintf("cannot be listened on (%v)", err), "correct WATCHDOG_INGEST_LISTEN"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		what = "is taken by another program (a collector of OpenTelemetry, a second gpu-watchdog?)"
		remedy = "end that program, or set WATCHDOG_INGEST_LISTEN to a free address and vLLM's --otlp-traces-endpoint with it"
	case errors.Is(err, fs.ErrPermission):
		what = "may not be listened on by this user"
		remedy = "set WATCHDOG_INGEST_LISTEN to a port of 1024 or above"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		what = "is no address of this machine"
		remedy = "set WATCHDOG_INGEST_LISTEN to a loopback address such as 127.0.0.1:4317"
	}
	return fmt.Sprintf("%s %s: %s; the watch goes on, but spans and posted rows are not taken until then", address, what, remedy)
}

// standardLog gives net/http a logger: its lines are about clients, so nobody needs them every day.
func standardLog(to *zap.Logger) *log.Logger { return log.New(lines{to}, "", 0) }

// lines turns each line of a standard log into a field, so that the message stays the same.
type lines struct{ to *zap.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.to.Debug("an export went wrong", zap.String("detail", strings.TrimSpace(string(b))))
	return len(b), nil
}
