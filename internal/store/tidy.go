package store

import (
	"context"
	"fmt"
	"math"
	"time"
)

// tidyRows is how many rows one step deletes: some ten milliseconds on a slow disk, so that nobody waits for it.
const tidyRows = 1000

// tidy takes one small step of what is due, and reports whether there is another one to take at once. Sealing comes when
// enough rows wait for it; the rest once a minute, until there is nothing left to do.
func (w *writer) tidy() (more bool, err error) {
	ctx := context.Background()
	if w.tail >= int64(w.s.Limits.strip) {
		return true, w.atDisk(func() error { return w.seal(ctx) })
	}
	if !w.tidying && time.Now().Before(w.tidyAt) {
		return false, nil
	}
	w.tidying = true
	err = w.atDisk(func() error {
		more, err = w.tidyStep(ctx)
		return err
	})
	if err == nil && !more {
		w.tidying, w.tidyAt = false, time.Now().Add(w.s.pace.tidy)
	}
	return more, err
}

func (w *writer) seal(ctx context.Context) error {
	n, err := w.db.seal(ctx)
	w.tail -= n
	if err != nil {
		return err
	}
	if n == 0 {
		w.tail = 0
	}
	_, err = w.db.merge(ctx)
	return err
}

// tidyStep does the first thing that there is to do.
func (w *writer) tidyStep(ctx context.Context) (more bool, err error) {
	if w.tail, err = w.db.unsealed(ctx); err != nil || w.tail >= int64(w.s.Limits.strip) {
		return true, err
	}
	if more, err := w.db.merge(ctx); err != nil || more {
		return more, err
	}
	now := w.s.Now()
	if more, err := w.forgetRequests(ctx, now.Add(-w.s.Limits.RequestsFor).UnixMicro()); err != nil || more {
		return more, err
	}
	if more, err := w.forgetHistory(ctx, now.Add(-w.s.Limits.HistoryFor).UnixMicro()); err != nil || more {
		return more, err
	}
	if more, err := w.boundFile(ctx); err != nil || more {
		return more, err
	}
	return w.db.giveBack(ctx)
}

// forgetRequests deletes the oldest requests that finished before an instant, once they are in the figures of their days, and
// the labels that were posted before it.
func (w *writer) forgetRequests(ctx context.Context, before int64) (more bool, err error) {
	var old, unsealed int64
	if err := w.db.conn.QueryRowContext(ctx, `SELECT count(*), count(CASE WHEN id > through THEN 1 END)
  FROM (SELECT id FROM requests WHERE finished_at < ? ORDER BY finished_at LIMIT ?), sealed`, before, tidyRows).Scan(&old, &unsealed); err != nil {
		return false, fmt.Errorf("look for old requests: %w", err)
	}
	if unsealed > 0 {
		return true, w.seal(ctx)
	}
	for _, t := range []aging{{"requests", "id", "finished_at", before, tidyRows}, {"labels", "request_id, name", "posted_at", before, tidyRows}} {
		if n, err := w.db.forget(ctx, t); err != nil || n > 0 {
			return true, err
		}
	}
	return false, nil
}

// aging says which rows of a table are too old, and how many of them go at a time.
type aging struct {
	table, key, age string
	before          int64
	most            int
}

// forget deletes the oldest rows of a table, if they are too old.
func (db *database) forget(ctx context.Context, t aging) (int64, error) {
	n, err := db.exec(ctx, fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < ? ORDER BY %[3]s LIMIT ?)", t.table, t.key, t.age), t.before, t.most)
	if err != nil {
		return 0, fmt.Errorf("forget old rows of %s: %w", t.table, err)
	}
	return n, nil
}

// forgetHistory deletes what is older than an instant from all other tables, one table a step.
func (w *writer) forgetHistory(ctx context.Context, before int64) (more bool, err error) {
	for _, t := range []aging{
		{"minutes", "minute, run, first_tick", "minute", before / 60_000_000, tidyRows},
		{"decisions", "run, first_tick", "began_at", before, tidyRows},
		{"attempts", "run, tick", "at", before, tidyRows},
		{"starts", "ready_at, kind", "ready_at", before, tidyRows},
		{"phases", "began_at, key", "began_at", before, tidyRows},
		{"strips", "id", "day", dayOf(before), tidyRows / 50}, // each has some ten pages
		{"days", "day", "day", dayOf(before), tidyRows},
	} {
		if n, err := w.db.forget(ctx, t); err != nil || n > 0 {
			return true, err
		}
	}
	// A run is what its decisions are read with, so it stays as long as one of them does.
	n, err := w.db.exec(ctx, "DELETE FROM runs WHERE id < ? AND id <> ? AND NOT EXISTS (SELECT 1 FROM decisions WHERE run = runs.id)", before, w.s.run)
	if err != nil {
		return false, fmt.Errorf("forget old runs: %w", err)
	}
	return n > 0, nil
}

// boundFile deletes the oldest rows where the file holds more than it may: requests, then minutes and decisions, then days.
func (w *writer) boundFile(ctx context.Context) (more bool, err error) {
	pages, free, size, err := w.db.pages(ctx)
	if err != nil {
		return false, err
	}
	used := (pages - free) * size
	w.s.mu.Lock()
	w.s.stats.FileBytes = used
	w.s.mu.Unlock()
	if used <= w.s.Limits.FileBytes {
		return false, nil
	}
	if more, err := w.forgetRequests(ctx, math.MaxInt64); err != nil || more {
		return more, err
	}
	now := w.s.Now()
	for _, age := range []time.Duration{w.s.Limits.HistoryFor / 2, w.s.Limits.HistoryFor / 8, 24 * time.Hour} {
		if more, err := w.forgetHistory(ctx, now.Add(-age).UnixMicro()); err != nil || more {
			return more, err
		}
	}
	return false, nil
}

func (db *database) pages(ctx context.Context) (pages, free, size int64, err error) {
	err = db.conn.QueryRowContext(ctx, "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size").Scan(&pages, &free, &size)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("measure the file: %w", err)
	}
	return pages, free, size, nil
}

// giveBack returns free pages to the file system where they are many: what retention frees each day, the next day needs.
func (db *database) giveBack(ctx context.Context) (more bool, err error) {
	const step = 256
	pages, free, _, err := db.pages(ctx)
	if err != nil || free <= max(4*step, pages/10) {
		return false, err
	}
	if err := db.pragma(ctx, fmt.Sprintf("incremental_vacuum(%d)", step)); err != nil {
		return false, fmt.Errorf("give pages back: %w", err)
	}
	return true, nil
}
