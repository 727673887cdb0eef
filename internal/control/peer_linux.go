package control

import (
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who is at the other end of a unix socket.
func peerOf(c net.Conn) peer {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return peer{unknown: fmt.Errorf("a %T has no file descriptor", c)}
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return peer{unknown: err}
	}
	var who *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) {
		who, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return peer{unknown: err}
	}
	if failed != nil {
		return peer{unknown: fmt.Errorf("SO_PEERCRED: %w", failed)}
	}
	return peer{known: true, uid: who.Uid, pid: int(who.Pid)}
}
