package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"
)

// readersMost bounds the readers that a hung disk can hold.
const readersMost = 4

// Reader reads a store's file, also from another process than the one that writes it. It opens the file for each question
// and closes it again: it holds neither memory nor locks in between, and always sees the file that is there.
type Reader struct {
	path    string
	now     func() time.Time
	readers chan struct{}
}

// OpenReader reads the database at path, without ever writing to it or making it. now is the wall clock, by which a day counts
// as open; nil is time.Now.
func OpenReader(path string, now func() time.Time) *Reader {
	if now == nil {
		now = time.Now
	}
	return newReader(path, now)
}

func newReader(path string, now func() time.Time) *Reader {
	return &Reader{path: path, now: now, readers: make(chan struct{}, readersMost)}
}

// retire waits for the questions that are still being answered, and lets no other one begin.
func (r *Reader) retire() {
	for range readersMost {
		r.readers <- struct{}{}
	}
}

// read gives what do made of a consistent view of the file, or an error as soon as ctx ends: a hung disk then holds the reading
// goroutine, and not the caller. What that goroutine still makes is its own.
func read[T any](ctx context.Context, r *Reader, do func(ctx context.Context, q *query) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, fmt.Errorf("read telemetry %s: %w", r.path, err)
	}
	select {
	case r.readers <- struct{}{}:
	default:
		return none, fmt.Errorf("read telemetry %s: %d questions are being answered already", r.path, readersMost)
	}
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() { // ends with the question; Store.Close waits for it, the caller as long as ctx lasts
		defer func() { <-r.readers }()
		var a answer
		a.err = r.ask(ctx, func(ctx context.Context, q *query) (err error) {
			a.value, err = do(ctx, q)
			return err
		})
		done <- a
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return none, fmt.Errorf("read telemetry %s: %w", r.path, a.err)
		}
		return a.value, nil
	case <-ctx.Done():
		return none, fmt.Errorf("read telemetry %s: %w", r.path, ctx.Err())
	}
}

// query is one consistent view of the file.
type query struct {
	conn *sql.Conn
	// ended is the error of the asker's context. Statements run without it, since watching it costs more than they do.
	ended func() error
}

func (r *Reader) ask(ctx context.Context, do func(ctx context.Context, q *query) error) error {
	if _, err := os.Stat(r.path); err != nil {
		return err
	}
	// A reader may have to roll a killed writer's journal back, so it opens for writing where it may.
	err := r.askAs(ctx, "mode=rw", do)
	if cannotWrite(err) {
		err = r.askAs(ctx, "mode=ro", do)
	}
	if _, missing := os.Stat(r.path + "-wal"); cannotWrite(err) && errors.Is(missing, os.ErrNotExist) {
		// The file was closed well and its disk is read-only now: SQLite wants a write-ahead log even so, unless it is told that
		// nobody writes.
		err = r.askAs(ctx, "mode=ro&immutable=1", do)
	}
	return err
}

func cannotWrite(err error) bool {
	code, known := codeOf(err)
	return known && (code == sqliteCannotOpen || code == sqliteReadOnly)
}

func (r *Reader) askAs(ctx context.Context, mode string, do func(ctx context.Context, q *query) error) error {
	pool, err := sql.Open("sqlite3", dsn(r.path, mode+"&_query_only=1&_busy_timeout=5000&_cache_size=-2048"))
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	uncancelled := context.WithoutCancel(ctx)
	conn, err := pool.Conn(uncancelled)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(uncancelled, "BEGIN"); err != nil {
		return err
	}
	defer func() { _, _ = conn.ExecContext(uncancelled, "ROLLBACK") }() // nothing was written
	var version int
	if err := conn.QueryRowContext(uncancelled, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if known := len(migrations); version != known {
		if version > known {
			return fmt.Errorf("%w: its schema is %d, this version knows %d", errNewer, version, known)
		}
		return fmt.Errorf("its schema is %d, and this version reads %d: let the watchdog that writes it bring it up to date", version, known)
	}
	return do(uncancelled, &query{conn: conn, ended: ctx.Err})
}

// each calls row for each row of an answer, after its columns were read into fields.
func (q *query) each(ctx context.Context, fields []any, row func() error, statement string, args ...any) error {
	rows, err := q.conn.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for n := 0; rows.Next(); n++ {
		if n%1024 == 0 {
			if err := q.ended(); err != nil {
				return err
			}
		}
		if err := rows.Scan(fields...); err != nil {
			return err
		}
		if err := row(); err != nil {
			return err
		}
	}
	return rows.Err()
}
