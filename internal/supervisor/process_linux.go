package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// stdio are the first file descriptors of a program.
type stdio struct{ in, out, err *os.File }

// spawn starts a program in a process group of its own. more are its file descriptors from 3 on. Whoever calls it waits for the
// process by the one loop that waits for all of them: a second one would steal what the first one waits for.
func spawn(argv, environ []string, io stdio, more []int) (pid int, err error) {
	path, err := exec.LookPath(argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) { // a PATH with the present folder in it is its owner's will
		return 0, err
	}
	files := []uintptr{io.in.Fd(), io.out.Fd(), io.err.Fd()}
	for _, fd := range more {
		files = append(files, uintptr(fd))
	}
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: environ, Files: files,
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
}

// adopt makes this process the one that orphans come to, where it is not process 1, which is that anyway.
func adopt() error {
	if os.Getpid() == 1 {
		return nil
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("orphans of the server cannot be taken in: %w", err)
	}
	return nil
}

// reap returns one process that has ended, and its exit status as a shell would have it; no pid where there is none.
func reap() (pid, status int) {
	var ws syscall.WaitStatus
	for {
		pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil || pid <= 0:
			return 0, 0
		case ws.Signaled():
			return pid, 128 + int(ws.Signal())
		}
		return pid, ws.ExitStatus()
	}
}

// isTerminal says whether a person sits there.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// foreground has a terminal's keys and input go to a process group, where they went to one of from. The group may have been
// stopped for reading too early.
func foreground(terminal *os.File, group int, from ...int) {
	if !isTerminal(terminal) {
		return
	}
	fd := int(terminal.Fd())
	now, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	if err != nil || !slices.Contains(from, now) {
		return
	}
	// Who does this from the background is sent SIGTTOU, which stops, unless its thread does not take it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var quiet, before unix.Sigset_t
	quiet.Val[0] = 1 << (unix.SIGTTOU - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &quiet, &before) != nil {
		return
	}
	_ = unix.IoctlSetPointerInt(fd, unix.TIOCSPGRP, group) // its keys go on to nobody then; the server runs all the same
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	signalGroup(group, syscall.SIGCONT)
}

// broken says that nobody reads any more what is written there.
func broken(files ...*os.File) bool {
	for _, f := range files {
		poll := []unix.PollFd{{Fd: int32(f.Fd())}}
		if n, err := unix.Poll(poll, 0); err == nil && n > 0 && poll[0].Revents&unix.POLLERR != 0 {
			return true
		}
	}
	return false
}

// passed are the signals that are for the server: all that can be caught, but those that are the Go runtime's and the C
// library's own (SIGURG, SIGPROF, 32 to 34), that of the end of a child, and those that whoever started us wants ignored (nohup):
// the server ignores them, too.
func passed() (all []os.Signal) {
	for s := syscall.Signal(1); s <= 64; s++ {
		switch {
		case s == syscall.SIGKILL, s == syscall.SIGSTOP, s == syscall.SIGCHLD, s == syscall.SIGURG, s == syscall.SIGPROF, s >= 32 && s <= 34, signal.Ignored(s):
		default:
			all = append(all, s)
		}
	}
	return all
}

// signalGroup sends a signal to a process group, of which nobody may be left.
func signalGroup(pid int, s syscall.Signal) {
	if pid > 0 {
		_ = syscall.Kill(-pid, s)
	}
}

// groupLives says that somebody of a process group is left, be it a zombie.
func groupLives(group int) bool { return group > 0 && syscall.Kill(-group, 0) == nil }
