package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"
)

// What one transaction takes at most, so that those who wait behind it do not wait long.
const (
	groupRows   = 4096
	groupEvents = 512
	groupShelf  = 1024
)

// asideApart is how far apart two damaged files must be to be set aside at once: a disk that damages each new file would
// fill itself with them.
const asideApart = time.Minute

// writer is the one goroutine that writes. Its fields are its own.
type writer struct {
	s  *Store
	db *database // nil while there is none

	// proven: something was committed since the file was opened, so the disk can be written.
	proven bool
	// trusted: the file was found whole, or is new. broken: it has to be set aside before the next try.
	trusted, broken bool
	asideAt         time.Time
	wait            time.Duration
	retryAt         time.Time

	tail    int64 // requests that are not sealed
	tidyAt  time.Time
	tidying bool
}

// group is what one transaction writes.
type group struct {
	batches []*waiting
	events  []event
	shelved []shelved
}

func (g group) empty() bool { return len(g.batches) == 0 && len(g.events) == 0 && len(g.shelved) == 0 }

func (w *writer) run() {
	defer close(w.s.done)
	defer w.s.tried()
	defer w.shut()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		closing := false
		select {
		case <-w.s.quit:
			closing = true
		default:
		}
		more := w.round(closing)
		if w.db != nil || w.untilDue() > 0 {
			w.s.tried()
		}
		switch {
		case more:
			continue
		case closing:
			return
		}
		timer.Reset(w.untilDue())
		select {
		case <-w.s.wake:
		case <-timer.C:
		case <-w.s.quit:
		}
	}
}

// round writes one group and takes one step of tidying. It reports whether there is more to do at once.
func (w *writer) round(closing bool) bool {
	if w.db == nil && !w.open() {
		return false
	}
	g := w.s.take()
	if !g.empty() || !w.proven {
		if err := w.commit(g); err != nil {
			w.lose(err, g)
			return false
		}
	}
	if closing {
		return !g.empty()
	}
	more, err := w.tidy()
	if err != nil {
		w.lose(err, group{})
		return false
	}
	return more || !g.empty()
}

// untilDue is how long nothing has to be done unless something comes.
func (w *writer) untilDue() time.Duration {
	if w.db == nil {
		return max(0, time.Until(w.retryAt))
	}
	return max(0, time.Until(w.tidyAt))
}

// take removes what one transaction is to write.
func (s *Store) take() group {
	s.mu.Lock()
	defer s.mu.Unlock()
	var g group
	rows, n := 0, 0
	for n < len(s.queue) && (n == 0 || rows+s.queue[n].rows <= groupRows) {
		rows += s.queue[n].rows
		n++
	}
	g.batches = append(g.batches, s.queue[:n]...)
	clear(s.queue[:n])
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	s.queued -= rows
	g.events = s.outbox.take(groupEvents)
	g.shelved = s.shelf.take(groupShelf)
	s.held = len(g.events) + len(g.shelved)
	return g
}

// open opens the file, once the time for it has come.
func (w *writer) open() bool {
	if time.Now().Before(w.retryAt) {
		return false
	}
	var db *database
	err := w.atDisk(func() error {
		if w.broken {
			if err := w.setAside(); err != nil {
				return err
			}
		}
		folder := filepath.Dir(w.s.Path)
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return err
		}
		var err error
		if db, err = openDatabase(w.s.Path, !w.s.remote && sharesMemory(folder), w.trusted, w.s.pace); err != nil {
			return err
		}
		db.strip = w.s.Limits.strip
		w.tail, err = db.unsealed(context.Background())
		return err
	})
	if err != nil {
		if db != nil {
			db.close()
		}
		w.lose(fmt.Errorf("open it: %w", err), group{})
		return false
	}
	w.db, w.trusted, w.tidyAt = db, true, time.Now()
	return true
}

func (w *writer) setAside() error {
	w.broken = false // if this fails, the next try looks at the file anew: somebody may have mended it
	name, err := setAside(w.s.Path, w.s.Now())
	if err != nil {
		return fmt.Errorf("set it aside: %w", err)
	}
	w.asideAt = time.Now()
	w.s.mu.Lock()
	w.s.aside = fmt.Sprintf("telemetry %s was damaged; it was set aside as %s, and a new one begins", w.s.Path, name)
	w.s.mu.Unlock()
	w.s.Log.Warn("damaged telemetry set aside", zap.String("path", w.s.Path), zap.String("aside", name))
	return nil
}

// commit writes a group in one transaction and tells those who wait.
func (w *writer) commit(g group) error {
	var done written
	err := w.atDisk(func() error {
		if w.s.slow != nil {
			w.s.slow()
		}
		return w.db.within(context.Background(), func() (err error) {
			done, err = w.write(context.Background(), g)
			return err
		})
	})
	if err != nil {
		return err
	}
	w.tail += done.rows
	w.wait, w.retryAt = 0, time.Time{}
	w.s.mu.Lock()
	w.s.held = 0
	healed := !w.proven && w.s.down != ""
	w.s.down = ""
	w.s.stats.Rows += uint64(done.rows)
	w.s.stats.Duplicates += uint64(done.duplicates)
	w.s.stats.Dropped += uint64(done.dropped)
	w.s.stats.Commits++
	w.s.mu.Unlock()
	w.proven = true
	if healed {
		w.s.Log.Info("telemetry is written to disk", zap.String("path", w.s.Path), zap.String("journal", w.db.journal))
	}
	for i, b := range g.batches {
		b.done <- done.faults[i]
	}
	return nil
}

// lose gives the disk up for now: whoever waits is told, and all that was to be written goes to memory.
func (w *writer) lose(err error, g group) {
	w.shut()
	if damaged(err) {
		w.broken, w.trusted = true, false
	}
	if !damaged(err) || time.Since(w.asideAt) < asideApart && !w.asideAt.IsZero() {
		w.wait = min(max(2*w.wait, w.s.pace.retryFirst), w.s.pace.retryMost)
	}
	w.retryAt = time.Now().Add(w.wait)

	down := words(w.s.Path, err, w.s.Limits.MemoryRows)
	if w.s.giveUp(down, err, g) {
		w.s.Log.Warn("telemetry is held in memory", zap.String("path", w.s.Path), zap.Error(err))
	}
}

// giveUp notes that there is no disk, and moves to memory what a group and the queue hold. It reports whether that is news.
func (s *Store) giveUp(down string, err error, g group) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news = s.down != down
	s.down, s.held = down, 0
	s.stats.Dropped += uint64(s.outbox.restore(g.events)) + uint64(s.shelf.restore(g.shelved))
	for _, b := range append(g.batches, s.queue...) {
		s.stats.Refused += uint64(b.rows)
		s.stats.Dropped += uint64(s.shelf.put(b.batch))
		b.done <- fmt.Errorf("%w: write %s: %w", ErrNoDisk, s.Path, err)
	}
	s.queue, s.queued = nil, 0
	return news
}

// shut closes the file.
func (w *writer) shut() {
	if w.db != nil {
		_ = w.atDisk(func() error { w.db.close(); return nil })
	}
	w.db, w.proven = nil, false
}

// atDisk marks the time that is spent at the disk, by which a hung one is known.
func (w *writer) atDisk(do func() error) error {
	w.mark(time.Now())
	defer w.mark(time.Time{})
	return do()
}

func (w *writer) mark(t time.Time) {
	w.s.mu.Lock()
	w.s.working = t
	w.s.mu.Unlock()
}
