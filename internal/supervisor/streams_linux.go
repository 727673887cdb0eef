package supervisor

import (
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// streams are what the server writes, on the way through us to where we write: its last lines are kept.
type streams struct {
	// out and err are the server's ends, until they are handed over.
	out, err *os.File
	// ours says that there are pipes; else the server writes past us.
	ours    bool
	readers sync.WaitGroup
	// from are our ends of the pipes, and writing is how many of them wait for whoever takes what we write.
	from    []*os.File
	writing atomic.Int32
	began   atomic.Int64
}

// open makes the pipes. Where a terminal is, the server writes to it itself: what asks whether it writes to a terminal shall be
// told the truth.
func (s *streams) open(t *tail, out, err *os.File) error {
	s.out, s.err, s.ours, s.from = out, err, false, nil
	s.began.Store(time.Now().UnixNano())
	if isTerminal(out) || isTerminal(err) {
		return nil
	}
	fromOut, toOut, failed := os.Pipe()
	if failed != nil {
		return failed
	}
	if same(out, err) {
		// What goes to one place keeps its order.
		s.out, s.err, s.ours = toOut, toOut, true
		s.read(t, fromOut, out)
		return nil
	}
	fromErr, toErr, failed := os.Pipe()
	if failed != nil {
		fromOut.Close()
		toOut.Close()
		return failed
	}
	s.out, s.err, s.ours = toOut, toErr, true
	s.read(t, fromOut, out)
	s.read(t, fromErr, err)
	return nil
}

func (s *streams) read(t *tail, from, to *os.File) {
	s.from = append(s.from, from)
	s.readers.Go(func() {
		defer from.Close()
		s.pass(from, to, t)
	})
}

// same says that two files are one.
func same(a, b *os.File) bool {
	at, err1 := a.Stat()
	bt, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(at, bt)
}

// handedOver closes our copies of the server's ends: the pipes end when the server and all that it has started are gone.
func (s *streams) handedOver() {
	if s.ours {
		s.out.Close()
		s.err.Close() // a second time where they are one, which does no harm
	}
}

// age is how long ago the server was started.
func (s *streams) age() time.Duration { return time.Duration(time.Now().UnixNano() - s.began.Load()) }

// settle waits until all has come through; after least for no more than what is still on its way, and for that until most: what
// the server left behind may hold the pipes open, and whoever reads us may read no more.
func (s *streams) settle(least, most time.Duration) {
	through := make(chan struct{})
	go func() {
		s.readers.Wait()
		close(through)
	}()
	ticker := time.NewTicker(least)
	defer ticker.Stop()
	for began := time.Now(); ; {
		select {
		case <-through:
			return
		case <-ticker.C:
			if time.Since(began) >= most || !s.pending() {
				return
			}
		}
	}
}

// pending says that something of what the server wrote has not been handed on.
func (s *streams) pending() bool {
	return s.writing.Load() > 0 || slices.ContainsFunc(s.from, func(from *os.File) bool {
		n := 0
		if raw, err := from.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }) // closed: nothing is
		}
		return n > 0
	})
}

// pass copies one stream and keeps its lines. Where nobody takes what we write, it is dropped: the server must not stand still
// for that.
func (s *streams) pass(from, to *os.File, t *tail) {
	var u unfinished
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			s.writing.Add(1)
			_, _ = to.Write(buf[:n])
			s.writing.Add(-1)
			t.take(&u, buf[:n])
		}
		if err != nil {
			t.end(&u)
			return
		}
	}
}
