package control

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const setting = "WATCHDOG_CONTROL_SOCKET"

// problem says in one sentence why no orders can be taken at path, and what to do about it.
func problem(path string, err error) string {
	what, remedy := whyNot(path, err)
	return fmt.Sprintf("%s %s: %s; the watch goes on, but hold, release, postpone and stop are not taken until then", path, what, remedy)
}

// whyNot says what is in the way of a socket at path, and what to do about it.
func whyNot(path string, err error) (what, remedy string) {
	folder := filepath.Dir(path)
	what, remedy = fmt.Sprintf("cannot be listened on (%v)", err), "correct "+setting
	var there *strange
	switch {
	case errors.As(err, &there):
		what = "is taken: there is " + there.what + ", which this program leaves alone"
		remedy = "remove it if nobody needs it, or set " + setting + " to another path"
	case errors.Is(err, errAlive), errors.Is(err, syscall.EADDRINUSE):
		what = "is taken by another program (a second gpu-watchdog?)"
		remedy = "end that program, or set " + setting + " to another path"
	case errors.Is(err, errPath):
		remedy = fmt.Sprintf("set %s to an absolute path of at most %d bytes", setting, mostPath)
	case errors.Is(err, fs.ErrNotExist):
		what = "cannot be made: there is no folder " + folder
		remedy = "make that folder, or set " + setting + " to a path in one that is there"
	case errors.Is(err, syscall.ENOTDIR):
		what = "cannot be made: " + folder + " is no folder"
		remedy = "set " + setting + " to a path in one"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		what = fmt.Sprintf("cannot be made: user %d may not write into %s", os.Geteuid(), folder)
		remedy = "set " + setting + " to a path in a folder that it may write into"
	}
	return what, remedy
}
