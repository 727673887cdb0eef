package child

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Source is what the supervisor has told by now. Its methods may be called by several goroutines.
type Source struct {
	conn *net.UnixConn
	// line gets each line that the server writes while it starts; nil drops them.
	line func(link.Line)

	mu     sync.Mutex
	server link.Server
	told   bool
}

// New reads from the watchdog's end of the link. line may be nil.
func New(conn *net.UnixConn, line func(link.Line)) *Source { return &Source{conn: conn, line: line} }

// Run reads until ctx ends or the supervisor is gone.
func (s *Source) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	read(s.conn, func(m link.Message) {
		if m.Server != nil {
			s.mu.Lock()
			s.server, s.told = *m.Server, true
			s.mu.Unlock()
		}
		if m.Line != nil && s.line != nil {
			s.line(*m.Line)
		}
	})
}

// Began is when the server was started that runs, or ran last; zero before the supervisor has told of one.
func (s *Source) Began() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.server.Starts); n > 0 {
		return s.server.Starts[n-1].At
	}
	return time.Time{}
}

// Read is the server as it is known at that moment of the wall clock. Its lifetime is by the wall clock, too, and never negative.
func (s *Source) Read(now time.Time) watchdog.Child {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.told {
		return watchdog.Child{}
	}
	out := watchdog.Child{Known: true, Running: s.server.PID != 0, Done: s.server.Done, Failures: s.server.Failures, Tail: s.server.Tail}
	for _, start := range s.server.Starts {
		if start.EndedAt.IsZero() {
			out.RunningFor = max(0, now.Sub(start.At))
			continue
		}
		out.Status = start.Status
	}
	return out
}
