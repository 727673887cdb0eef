package supervisor

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// stdio are the first file descriptors of a program.
type stdio struct{ in, out, err *os.File }

// spawn starts a program in a process group of its own. more are its file descriptors from 3 on. Whoever calls it waits for the
// process by the one loop that waits for all of them: a second one would steal what the first one waits for.
func spawn(argv, environ []string, io stdio, more []int, foreground bool) (pid int, err error) {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return 0, err
	}
	files := []uintptr{io.in.Fd(), io.out.Fd(), io.err.Fd()}
	for _, fd := range more {
		files = append(files, uintptr(fd))
	}
	return syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: environ, Files: files,
		// A terminal's signals and input are for the server: it is what a person started.
		Sys: &syscall.SysProcAttr{Setpgid: true, Foreground: foreground, Ctty: 0},
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

// signalGroup sends a signal to a process group, of which nobody may be left.
func signalGroup(pid int, s syscall.Signal) {
	if pid > 0 {
		_ = syscall.Kill(-pid, s)
	}
}
