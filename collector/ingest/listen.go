package ingest

import (
	"net"
	"sync"
	"sync/atomic"

	"github.com/gpu-watchdog/gpu-watchdog/internal/listen"
)

// words are what is said of INGEST_LISTEN.
var words = listen.Words{
	Setting: "WATCHDOG_INGEST_LISTEN", Example: "127.0.0.1:4317", Doing: "taking spans and rows",
	Others: "a collector of OpenTelemetry, a second gpu-watchdog", Along: " and vLLM's --otlp-traces-endpoint with it",
	Without: "but spans and posted rows are not taken",
}

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
