package control

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// Peek says whether a watchdog could take orders at path, and makes and changes nothing there. wrong is what is in the way, to be read
// behind the path ("is taken: …"), and remedy what to do about it; both are empty where it could.
func Peek(ctx context.Context, path string) (wrong, remedy string) {
	err := checkPath(path)
	if err == nil {
		_, err = whatIsAt(ctx, path)
	}
	if folder := filepath.Dir(path); err == nil || errors.Is(err, errDead) {
		err = nil
		info, missing := os.Stat(folder)
		switch {
		case missing != nil:
			err = missing
		case !info.IsDir():
			err = syscall.ENOTDIR
		case !writable(folder):
			err = syscall.EACCES
		}
	}
	if err == nil {
		return "", ""
	}
	return whyNot(path, err)
}
