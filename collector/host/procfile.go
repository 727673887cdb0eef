package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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

// readBounded reads a whole file of at most limit bytes; errTooLarge is for more.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: %w (more than %d bytes)", path, errTooLarge, limit)
	}
	return b, nil
}
