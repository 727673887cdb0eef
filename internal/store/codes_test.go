package store

import (
	"testing"

	"github.com/mattn/go-sqlite3"
)

func TestCodesAreTheDrivers(t *testing.T) {
	for ours, theirs := range map[int]sqlite3.ErrNo{
		sqlitePermission: sqlite3.ErrPerm, sqliteBusy: sqlite3.ErrBusy, sqliteLocked: sqlite3.ErrLocked, sqliteReadOnly: sqlite3.ErrReadonly,
		sqliteCorrupt: sqlite3.ErrCorrupt, sqliteCannotOpen: sqlite3.ErrCantOpen, sqliteFull: sqlite3.ErrFull, sqliteTooBig: sqlite3.ErrTooBig, sqliteConstraint: sqlite3.ErrConstraint,
		sqliteMismatch: sqlite3.ErrMismatch, sqliteRange: sqlite3.ErrRange, sqliteNotADatabase: sqlite3.ErrNotADB,
	} {
		if ours != int(theirs) {
			t.Errorf("code %d is %d to the driver", ours, theirs)
		}
	}
}
