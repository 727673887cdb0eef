package store

import (
	"errors"
	"fmt"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

// ErrBusy says that the queue is full: the rows may be sent again at once.
var ErrBusy = ingest.ErrBusy

// ErrNoDisk says that the disk fails or hangs: the rows are held in memory as far as that reaches, and may be sent again later.
var ErrNoDisk = errors.New("the disk does not take rows now")

// ErrClosed says that the store has been closed.
var ErrClosed = errors.New("the store is closed")

var (
	// errDamaged: the file is no database, or not whole. It is set aside.
	errDamaged = errors.New("the file is damaged")
	// errNewer and errForeign: the file is whole, and not for us to write. It is left alone.
	errNewer   = errors.New("the file was written by a newer version")
	errForeign = errors.New("the file is a database of something else")
)

// damaged: SQLite, or our own check, found the file broken.
func damaged(err error) bool {
	code, known := codeOf(err)
	return errors.Is(err, errDamaged) || known && (code == sqliteCorrupt || code == sqliteNotADatabase)
}

// ofTheRow: the row itself is at fault, so it would fail on any disk and must not take the store down.
func ofTheRow(err error) bool {
	code, known := codeOf(err)
	if !known {
		return false
	}
	switch code {
	case sqliteConstraint, sqliteMismatch, sqliteTooBig, sqliteRange:
		return true
	}
	return false
}

// words says what the loss of the disk means and what to do about it.
func words(path string, err error, rows int) string {
	advice := "look at the disk of WATCHDOG_DIR"
	code, _ := codeOf(err)
	switch {
	case errors.Is(err, errNewer):
		advice = "run that version again, or move the file away"
	case errors.Is(err, errForeign):
		advice = "move the file away, or give this pod another WATCHDOG_NAME"
	case code == sqliteFull:
		advice = "free space on the disk of WATCHDOG_DIR"
	case code == sqliteReadOnly || code == sqlitePermission:
		advice = "make WATCHDOG_DIR writable"
	case code == sqliteBusy || code == sqliteLocked:
		advice = "another process holds the file: end it, or give each pod its own WATCHDOG_NAME"
	}
	return fmt.Sprintf("telemetry cannot be written to %s (%v): the newest %d rows and decisions are held in memory, and no row is acknowledged, until that is mended; %s", path, err, rows, advice)
}
