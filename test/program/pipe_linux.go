package program

import (
	"os"
	"syscall"
)

// setPipeSize is F_SETPIPE_SZ, which package syscall lacks.
const setPipeSize = 1031

// resizePipe lets a pipe hold so many bytes, rounded up to a page.
func resizePipe(f *os.File, bytes int) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, fd, setPipeSize, uintptr(bytes)); errno != 0 {
			failed = os.NewSyscallError("fcntl", errno)
		}
	})
	if err != nil {
		return err
	}
	return failed
}
