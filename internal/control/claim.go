package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gpu-watchdog/gpu-watchdog/internal/folderlock"
)

const (
	// mostPath is how long a socket's path may be, in bytes; the kernel's structure holds one more, which ends it.
	mostPath = len(unix.RawSockaddrUnix{}.Path) - 1
	// lockWait bounds the wait for another watchdog that looks at the same path at the same moment.
	lockWait = 2 * time.Second
	// askWithin bounds the question whether anybody lives behind a socket.
	askWithin = time.Second
	ownerOnly = 0o600
)

var (
	// errLost: the file of a socket that is being served is gone, or is somebody else's now.
	errLost = errors.New("the socket's file is gone")
	// errAlive: a process listens there already.
	errAlive = errors.New("a process listens there")
	// errDead: the file of a socket on which nobody listens any more.
	errDead = errors.New("nobody listens there any more")
	errPath = errors.New("no path for a socket")
)

// strange is something at the path that is not ours to remove.
type strange struct{ what string }

func (s *strange) Error() string { return "there is " + s.what }

// claim is a path that is ours, and the listener there.
type claim struct {
	*net.UnixListener
	path string
	// file is what we made at the path. Its number is not given to another file for as long as the listener is open.
	file fs.FileInfo
}

// stands says whether what is at the path is still what we made.
func (c *claim) stands() bool {
	now, err := os.Lstat(c.path)
	return err == nil && os.SameFile(now, c.file)
}

// remove gives the path back, if it is still ours.
func (c *claim) remove() {
	if c.stands() {
		_ = os.Remove(c.path)
	}
}

// claimAt listens at path. The socket of a dead process of our own user is replaced; everything else that is there already is an
// error: errAlive, or *strange.
func claimAt(ctx context.Context, path string) (*claim, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	// Two watchdogs that find the same dead socket must not remove each other's new one. Whoever loses their file nevertheless
	// notices, and makes it anew.
	defer folderlock.Take(ctx, filepath.Dir(path), lockWait)()
	if err := makeRoom(ctx, path); err != nil {
		return nil, err
	}
	// A socket's own mode becomes that of its file, so there is no moment at which others may connect. (Not on every system: see
	// below. Nor does anything rest on it, since everybody is asked who they are.)
	before := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = unix.Fchmod(int(fd), ownerOnly) })
	}
	l, err := (&net.ListenConfig{Control: before}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	listener, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("%w: the network gave a %T", errPath, l)
	}
	listener.SetUnlinkOnClose(false) // by then it may be another's: remove looks first
	file, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, err
	}
	if file.Mode().Perm() != ownerOnly { // a strict umask, or a system on which sockets have no mode
		_ = unix.Fchmodat(unix.AT_FDCWD, path, ownerOnly, unix.AT_SYMLINK_NOFOLLOW)
	}
	return &claim{UnixListener: listener, path: path, file: file}, nil
}

// checkPath says whether a socket can be at a path at all.
func checkPath(path string) error {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("%w: %q is not absolute", errPath, path)
	case len(path) > mostPath:
		return fmt.Errorf("%w: it has %d bytes, at most %d are possible", errPath, len(path), mostPath)
	}
	return nil
}

// makeRoom removes the socket of a dead process of our own user from path.
func makeRoom(ctx context.Context, path string) error {
	file, err := whatIsAt(ctx, path)
	if !errors.Is(err, errDead) {
		return err
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(now, file) {
		return fmt.Errorf("%w, which has only just begun to", errAlive)
	}
	return os.Remove(path)
}

// whatIsAt looks at a path where a socket is to be, and changes nothing. Nil: nothing is in the way there. errDead: the file is the
// socket of a dead process of our own user. Everything else that is there is errAlive or *strange.
func whatIsAt(ctx context.Context, path string) (fs.FileInfo, error) {
	file, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // or its folder is missing, which the listening tells
	case err != nil:
		return nil, err
	case file.Mode().IsDir():
		return nil, &strange{"a folder"}
	case file.Mode().Type() == fs.ModeSymlink:
		return nil, &strange{"a symbolic link"}
	case file.Mode().Type() != fs.ModeSocket:
		return nil, &strange{"a file that is no socket"}
	}
	if owner, ok := file.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return nil, &strange{"a socket of another user"}
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		c.Close()
		return nil, errAlive
	case errors.Is(err, syscall.EPROTOTYPE):
		return nil, &strange{"a socket of another kind, which is in use"}
	case !errors.Is(err, syscall.ECONNREFUSED):
		// EAGAIN is a process that is too busy to accept; whatever else it is, it is no proof of death.
		return nil, fmt.Errorf("%w, it seems: %w", errAlive, err)
	}
	return file, errDead
}
