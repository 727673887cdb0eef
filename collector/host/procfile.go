package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// maxProcFile bounds what is read of a file under /proc, /sys or /etc.
const maxProcFile = 1 << 20

var errTooLarge = errors.New("file is too large")

// under puts an absolute path below root; an empty root is "/".
func under(root, path string) string {
	if root == "" {
		return path
	}
	return filepath.Join(root, path)
}

// firstRead is room for every file that is read at each look; a longer one is read in more steps.
const firstRead = 4 << 10

// readBounded reads a whole file of at most limit bytes; errTooLarge is for more. It goes without os.File, which asks the
// kernel to watch each of these files, four calls for one that is open for microseconds.
func readBounded(path string, limit int64) ([]byte, error) {
	fd, err := open(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = syscall.Close(fd) }()
	b := make([]byte, 0, min(firstRead, limit+1))
	for {
		n, err := syscall.Read(fd, b[len(b):cap(b)])
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return b, nil
		}
		b = b[:len(b)+n]
		if int64(len(b)) > limit {
			return nil, fmt.Errorf("read %s: %w (more than %d bytes)", path, errTooLarge, limit)
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, int(min(int64(len(b)), limit+1-int64(len(b)))))
			b = b[:len(b):min(cap(b), int(limit+1))]
		}
	}
}

// open opens a file for reading. A pipe or a device at its place is opened without waiting for who is at the other end.
func open(path string) (fd int, err error) {
	for {
		fd, err = syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.EINTR) {
			return fd, err
		}
	}
}
