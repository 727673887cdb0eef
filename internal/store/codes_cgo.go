//go:build cgo

package store

import (
	"errors"

	"github.com/mattn/go-sqlite3"
)

// codeOf is SQLite's own word for what went wrong, where it was SQLite that failed.
func codeOf(err error) (code int, known bool) {
	var of sqlite3.Error
	if errors.As(err, &of) {
		return int(of.Code), true
	}
	return 0, false
}
