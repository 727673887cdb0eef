package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	_ "github.com/mattn/go-sqlite3" // the driver, sqlite3
)

// database is the open file with its one connection for writing.
type database struct {
	pool *sql.DB
	conn *sql.Conn
	// insertRequest and upsertLabel are what most rows need.
	insertRequest, upsertLabel *sql.Stmt
	strip                      int    // values in a strip
	journal                    string // WAL or TRUNCATE
}

// leastRoom is what must be free for a new file to begin, in bytes: what is expendable must not take the last of a disk from what is
// not, the memory beside it.
const leastRoom = 256 << 10

// dsn names the file to the driver; a path may hold any character.
func dsn(path, options string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + options
}

// openDatabase opens the file for writing, or begins a new one. trusted leaves the check of its integrity out.
//
// The journal: a write-ahead log where the file system is this machine's own, since a commit then costs one sync and readers
// are never in the way. Elsewhere a rollback journal that is truncated (a network file system makes and removes files
// slowly), which needs neither shared memory nor more than the file's own lock. synchronous=FULL in both: a commit that is
// acknowledged has been synced, which SQLite's default for the write-ahead log (NORMAL) does not do.
func openDatabase(path string, local, trusted bool, p pace) (*database, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && !room(filepath.Dir(path), leastRoom) {
		return nil, fmt.Errorf("less than %d kB are free there, which are left to the memory: %w", leastRoom>>10, syscall.ENOSPC)
	}
	pool, err := sql.Open("sqlite3", dsn(path, fmt.Sprintf("_busy_timeout=%d", p.busy.Milliseconds())))
	if err != nil {
		return nil, err
	}
	ctx := context.Background() // what the disk does cannot be called back; whoever waits for the writer has a deadline
	db := &database{pool: pool, strip: stripRows}
	if db.conn, err = pool.Conn(ctx); err == nil {
		err = db.prepare(ctx, path, local, trusted, p)
	}
	if err != nil {
		db.close()
		return nil, err
	}
	return db, nil
}

func (db *database) prepare(ctx context.Context, path string, local, trusted bool, p pace) error {
	if !local && hasWriteAheadLog(path) {
		// It was moved here from a local disk. Alone, SQLite reads the log without shared memory, which is not there.
		if err := db.pragma(ctx, "locking_mode = EXCLUSIVE"); err != nil {
			return fmt.Errorf("hold it alone: %w", err)
		}
		defer func() { _ = db.pragma(ctx, "locking_mode = NORMAL") }() // what fails here fails again at the next commit
	}
	if err := db.pragmas(ctx, "cache_size = -512", "mmap_size = 0", "temp_store = MEMORY"); err != nil {
		return err
	}
	if !trusted { // before anything is written: what is damaged is kept as it was found
		if err := db.check(ctx, p.check); err != nil {
			return err
		}
	}
	version, err := identify(ctx, db.conn, migrations)
	if err != nil {
		return err
	}
	db.journal = "TRUNCATE"
	if local {
		db.journal = "WAL"
	}
	if err := db.pragmas(ctx, "auto_vacuum = INCREMENTAL", "journal_mode = "+db.journal, "synchronous = FULL", "journal_size_limit = 4194304"); err != nil {
		return err
	}
	if err := migrate(ctx, db.conn, version, migrations); err != nil {
		return err
	}
	if db.insertRequest, err = db.conn.PrepareContext(ctx, insertRequest); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if db.upsertLabel, err = db.conn.PrepareContext(ctx, upsertLabel); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return nil
}

func (db *database) pragmas(ctx context.Context, texts ...string) error {
	for _, text := range texts {
		if err := db.pragma(ctx, text); err != nil {
			return fmt.Errorf("set %s: %w", text, err)
		}
	}
	return nil
}

// pragma sets one. Some answer with rows, which have to be read to the end.
func (db *database) pragma(ctx context.Context, text string) error {
	rows, err := db.conn.QueryContext(ctx, "PRAGMA "+text)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
	}
	return rows.Err()
}

// check asks SQLite whether the file is whole, but not for longer than most: a large file on a slow disk is taken as it is,
// and its first broken page tells.
func (db *database) check(ctx context.Context, most time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var answer string
	err := db.conn.QueryRowContext(bounded, "PRAGMA quick_check(1)").Scan(&answer)
	switch {
	case bounded.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("check its integrity: %w", err)
	case answer != "ok":
		return fmt.Errorf("%w: %s", errDamaged, answer)
	}
	return nil
}

func (db *database) exec(ctx context.Context, statement string, args ...any) (int64, error) {
	result, err := db.conn.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// within runs do in a transaction.
func (db *database) within(ctx context.Context, do func() error) error {
	if _, err := db.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do()
	if err == nil {
		_, err = db.exec(ctx, "COMMIT")
	}
	if err != nil {
		_, _ = db.exec(ctx, "ROLLBACK") // where SQLite has rolled back by itself this fails, and nothing is lost
	}
	return err
}

// close ends the connection; the last one to close copies the write-ahead log into the file and removes it. A statement that is
// left open would keep SQLite from it.
func (db *database) close() {
	for _, statement := range []*sql.Stmt{db.insertRequest, db.upsertLabel} {
		if statement != nil {
			_ = statement.Close()
		}
	}
	if db.conn != nil {
		_ = db.conn.Close()
	}
	_ = db.pool.Close()
}

// hasWriteAheadLog reads from the file's header how it was last written (bytes 18 and 19: 2 is the write-ahead log).
func hasWriteAheadLog(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var header [20]byte
	_, err = io.ReadFull(f, header[:])
	return err == nil && header[18] == 2
}

// setAside gives a damaged file and what belongs to it another name, and returns that name. The file itself goes last: were
// its journal left behind, SQLite would take it for that of the next file.
func setAside(path string, at time.Time) (string, error) {
	aside := fmt.Sprintf("%s.damaged-%s", path, at.UTC().Format("20060102T150405.000"))
	for _, ending := range []string{"-wal", "-shm", "-journal", ""} {
		if err := os.Rename(path+ending, aside+ending); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}
