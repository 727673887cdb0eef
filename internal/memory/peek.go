package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Sight is what is seen of a memory without opening it.
type Sight struct {
	// Place is what Choose would choose.
	Place
	// Refused is why the folder that was asked for cannot be used; nil where it can.
	Refused error
	// FreeBytes is what this user may still write there.
	FreeBytes uint64
	// Found says that there is a file; Unreadable is why Open would set it aside. Contents is what it holds.
	Found      bool
	Unreadable error
	Contents   Contents
	// WrittenAgo is how long ago somebody wrote it, by the file's own date; 0 where there is none.
	WrittenAgo time.Duration
}

// Peek says what Choose and Open would find for the same folders. It makes no folder, writes no probe, and leaves a file that cannot
// be read where it is: it asks the kernel for leave instead.
func Peek(dir, name, temp string, now time.Time) Sight {
	var s Sight
	s.Dir = filepath.Join(dir, name)
	if s.Refused = couldWrite(s.Dir); s.Refused != nil {
		s.Dir = filepath.Join(temp, "gpu-watchdog", name)
		if couldWrite(s.Dir) != nil {
			s.Dir = ""
			return s
		}
	} else {
		s.Persistent = ownVolume(nearest(s.Dir))
	}
	var disk unix.Statfs_t
	if unix.Statfs(nearest(s.Dir), &disk) == nil {
		s.FreeBytes = disk.Bavail * uint64(disk.Bsize)
	}
	path := filepath.Join(s.Dir, fileName)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s
	}
	s.Found = true
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no file")
	}
	var b []byte
	if err == nil {
		s.WrittenAgo = max(0, now.Sub(info.ModTime()))
		b, err = read(path)
	}
	if err == nil {
		s.Contents, err = Decode(b)
	}
	s.Unreadable = err
	return s
}

// couldWrite says whether files can be made in a folder, or the folder itself where it is not there yet.
func couldWrite(folder string) error {
	at := nearest(folder)
	info, err := os.Stat(at)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", at)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("user %d may not write into %s: %w", os.Geteuid(), at, err)
	}
	return nil
}

// nearest is the folder, or the lowest one above it that is there.
func nearest(folder string) string {
	for {
		if _, err := os.Lstat(folder); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(folder) == folder {
			return folder
		}
		folder = filepath.Dir(folder)
	}
}
