package host

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// listTerminals reads /dev/pts.
func listTerminals(root string) (terminalList, error) {
	folder := under(root, "/dev/pts")
	var kind unix.Statfs_t
	if err := unix.Statfs(folder, &kind); err != nil {
		return terminalList{}, &os.PathError{Op: "statfs", Path: folder, Err: err}
	}
	if int64(kind.Type) != unix.DEVPTS_SUPER_MAGIC {
		return terminalList{}, fmt.Errorf("%s holds no terminals: no devpts is mounted there", folder)
	}
	var here unix.Stat_t
	if err := unix.Stat(folder, &here); err != nil {
		return terminalList{}, &os.PathError{Op: "stat", Path: folder, Err: err}
	}
	out := terminalList{device: fmt.Sprintf("%d:%d", unix.Major(here.Dev), unix.Minor(here.Dev)), console: -1}
	dir, err := os.Open(folder)
	if err != nil {
		return terminalList{}, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxTerminals)
	if err != nil && !errors.Is(err, io.EOF) {
		return terminalList{}, fmt.Errorf("list %s: %w", folder, err)
	}
	for _, name := range names {
		number, err := strconv.Atoi(name)
		if err != nil {
			continue // ptmx
		}
		var st unix.Stat_t
		path := filepath.Join(folder, name)
		if err := unix.Stat(path, &st); errors.Is(err, unix.ENOENT) {
			continue // closed in between
		} else if err != nil {
			return terminalList{}, &os.PathError{Op: "stat", Path: path, Err: err}
		}
		out.terminals = append(out.terminals, terminalTimes{
			number: number, read: time.Unix(st.Atim.Unix()), written: time.Unix(st.Mtim.Unix()), changed: time.Unix(st.Ctim.Unix()),
		})
	}
	// What starts a container with a terminal mounts that onto its console.
	var console unix.Stat_t
	if unix.Stat(under(root, "/dev/console"), &console) == nil && console.Dev == here.Dev && unix.Major(console.Rdev) == ptyMajor {
		out.console = int(unix.Minor(console.Rdev))
	}
	return out, nil
}
