package supervisor

import (
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// streams are what the server writes, on the way through us to where we write: its last lines are kept.
type streams struct {
	// out and err are the server's ends, until they are handed over.
	out, err *os.File
	// ours says that there are pipes; else the server writes past us.
	ours    bool
	readers sync.WaitGroup
	began   atomic.Int64
}

// open makes the pipes. Where a terminal is, the server writes to it itself: what asks whether it writes to a terminal shall be
// told the truth.
func (s *streams) open(t *tail, out, err *os.File) error {
	s.out, s.err, s.ours = out, err, false
	s.began.Store(time.Now().UnixNano())
	if isTerminal(out) || isTerminal(err) {
		return nil
	}
	fromOut, toOut, failed := os.Pipe()
	if failed != nil {
		return failed
	}
	fromErr, toErr, failed := os.Pipe()
	if failed != nil {
		fromOut.Close()
		toOut.Close()
		return failed
	}
	s.out, s.err, s.ours = toOut, toErr, true
	for _, way := range [...]struct{ from, to *os.File }{{fromOut, out}, {fromErr, err}} {
		s.readers.Go(func() {
			defer way.from.Close()
			pass(way.from, way.to, t)
		})
	}
	return nil
}

// handedOver closes our copies of the server's ends: the pipes end when the server and all that it has started are gone.
func (s *streams) handedOver() {
	if s.ours {
		s.out.Close()
		s.err.Close()
	}
}

// age is how long ago the server was started.
func (s *streams) age() time.Duration { return time.Duration(time.Now().UnixNano() - s.began.Load()) }

// settle waits until all has come through, or for a time: what the server left behind may hold the pipes open.
func (s *streams) settle(most time.Duration) {
	through := make(chan struct{})
	go func() {
		s.readers.Wait()
		close(through)
	}()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-through:
	case <-timer.C:
	}
}

// pass copies one stream and keeps its lines. Where nobody takes what we write, it is dropped: the server must not stand still
// for that.
func pass(from, to *os.File, t *tail) {
	var u unfinished
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			_, _ = to.Write(buf[:n])
			t.take(&u, buf[:n])
		}
		if err != nil {
			t.end(&u)
			return
		}
	}
}
