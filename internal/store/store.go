package store

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

// Store is the open store. Its methods may be called by any goroutine.
type Store struct {
	Config
	run    int64 // id of this run
	reader *Reader

	mu      sync.Mutex
	queue   []*waiting
	queued  int // rows in queue
	shelf   shelf
	outbox  outbox
	held    int // events and rows from memory that the writer is writing
	ticks   ticks
	down    string // why there is no disk; empty where there is one
	aside   string // what was set aside
	working time.Time
	closed  bool
	stats   Stats

	// opened is closed by tried, once the file is open or could not be opened.
	opened chan struct{}
	tried  func()
	wake   chan struct{}
	quit   chan struct{}
	done   chan struct{}
	// finished: the writer and all readers have ended.
	finished chan struct{}
}

// waiting is a batch whose sender waits for the disk.
type waiting struct {
	batch ingest.Batch
	rows  int
	done  chan error
}

// Stats are counted since the store was opened.
type Stats struct {
	// Rows were written, each once; Duplicates came again; Commits are the transactions that held them.
	Rows, Duplicates, Commits uint64
	// Dropped rows and events were given up without having reached the disk.
	Dropped uint64
	// Refused rows were sent back with ErrBusy, ErrNoDisk or ErrClosed.
	Refused uint64
	// Queued rows wait for the writer with their senders; InMemory rows and events are not on disk yet, and nobody waits for them.
	Queued, InMemory int
	// FileBytes is the size of what the file holds, as of the last minute.
	FileBytes int64
	// Degraded: there is no disk now.
	Degraded bool
}

var _ ingest.Sink = (*Store)(nil)

// Open begins to keep telemetry. It never fails, and waits for the disk for two seconds at most: where the file cannot be
// used, everything stays in memory, Warning says why, and the store goes on trying. A damaged file is set aside under another
// name and a new one begins. Close ends it.
func Open(c Config) *Store {
	c = c.withDefaults()
	s := &Store{
		Config: c,
		run:    c.Now().UnixMicro(),
		reader: newReader(c.Path, c.Now),
		opened: make(chan struct{}),
		wake:   make(chan struct{}, 1),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),

		finished: make(chan struct{}),
	}
	s.tried = sync.OnceFunc(func() { close(s.opened) })
	s.shelf.most, s.outbox.most = c.Limits.MemoryRows, max(1, c.Limits.MemoryRows/4)
	s.down = fmt.Sprintf("telemetry is held in memory: %s has not answered yet", c.Path)
	if c.Path == "" {
		s.down = "telemetry is held in memory only, and is lost with this process: there is no folder for it; make WATCHDOG_DIR writable"
		close(s.opened)
		close(s.done)
		return s
	}
	go (&writer{s: s}).run()
	timer := time.NewTimer(c.pace.open)
	defer timer.Stop()
	select {
	case <-s.opened:
	case <-timer.C:
	}
	return s
}

// Add makes a batch durable and returns nil once every row of it is synced to disk, each once however often it comes. The
// batch is the store's from now on. An error means that nothing may be acknowledged: ErrBusy where too many rows wait, ErrNoDisk
// where there is no disk now (the batch is then held in memory as far as that reaches, and written when the disk is back), the
// error of ctx where it ends first (the rows may be written yet), another one where a row in it is at fault.
func (s *Store) Add(ctx context.Context, b ingest.Batch) error {
	rows := rowsIn(b)
	if rows == 0 {
		return nil
	}
	w := &waiting{batch: b, rows: rows, done: make(chan error, 1)}
	if err := s.enqueue(w); err != nil {
		return fmt.Errorf("keep %d rows: %w", rows, err)
	}
	select {
	case err := <-w.done:
		if err != nil {
			return fmt.Errorf("keep %d rows: %w", rows, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("keep %d rows: %w", rows, ctx.Err())
	}
}

func (s *Store) enqueue(w *waiting) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		s.stats.Refused += uint64(w.rows)
		return ErrClosed
	case s.down != "" || s.stalledFor() > 0:
		s.stats.Refused += uint64(w.rows)
		s.stats.Dropped += uint64(s.shelf.put(w.batch))
		return fmt.Errorf("%w: %s", ErrNoDisk, cmp.Or(s.down, "it hangs"))
	case s.queued > 0 && s.queued+w.rows > s.Limits.QueueRows:
		s.stats.Refused += uint64(w.rows)
		return fmt.Errorf("%w: %d rows wait already", ErrBusy, s.queued)
	}
	s.queue = append(s.queue, w)
	s.queued += w.rows
	s.signal()
	return nil
}

// stalledFor is how long the disk has not answered; 0 while that is no longer than usual. The caller holds mu.
func (s *Store) stalledFor() time.Duration {
	if s.working.IsZero() {
		return 0
	}
	if took := time.Since(s.working); took > s.pace.stalled {
		return took
	}
	return 0
}

// put hands an event to the writer; it never waits. The caller holds mu.
func (s *Store) put(e event) {
	s.stats.Dropped += uint64(s.outbox.put(e))
	s.signal()
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Warning says what is wrong with the store now, and what was set aside; empty where all is well.
func (s *Store) Warning() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if took := s.stalledFor(); took > 0 {
		return fmt.Sprintf("the disk of %s has not answered for %s: telemetry is held in memory until it does; look at the disk of WATCHDOG_DIR", s.Path, took.Round(time.Second))
	}
	if s.down != "" {
		return s.down
	}
	return s.aside
}

// Stats are the counts at this moment.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Queued, out.InMemory, out.Degraded = s.queued, s.inMemory(), s.down != "" || s.stalledFor() > 0
	return out
}

// inMemory is what has not reached the disk yet. The caller holds mu.
func (s *Store) inMemory() int { return len(s.shelf.rows) + len(s.outbox.events) + s.held }

// Close writes what waits and ends the writer, or gives up when ctx ends: a hung disk must not hold the exit.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	if !s.closed {
		s.ticks.flush(s)
		s.closed = true
		close(s.quit)
		go func() { // ends with the writer and the readers, which a disk may hold longer than anybody waits for them
			defer close(s.finished)
			<-s.done
			s.reader.retire()
		}()
	}
	s.mu.Unlock()
	select {
	case <-s.finished:
	case <-ctx.Done():
		return fmt.Errorf("close telemetry %s: %w", s.Path, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if left := s.inMemory(); left > 0 && s.Path != "" {
		return fmt.Errorf("close telemetry %s: %d rows were never written: %s", s.Path, left, s.down)
	}
	return nil
}
