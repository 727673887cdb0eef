package store

// SQLite's result codes, which are part of its file of interfaces and do not change (sqlite.org/rescode.html). They are written
// down here because the driver's own names exist only where it is built with cgo.
const (
	sqlitePermission   = 3
	sqliteBusy         = 5
	sqliteLocked       = 6
	sqliteReadOnly     = 8
	sqliteCorrupt      = 11
	sqliteFull         = 13
	sqliteCannotOpen   = 14
	sqliteTooBig       = 18
	sqliteConstraint   = 19
	sqliteMismatch     = 20
	sqliteRange        = 25
	sqliteNotADatabase = 26
)
