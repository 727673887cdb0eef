package fakepod

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// port is a free port of loopback that is ours before anyone listens on it: until listen, whoever connects is refused,
// as by a server that is still loading, and no other process can take it.
type port struct {
	fd     int
	number int
}

func reservePort() (*port, error) {
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("reserve a port: %w", err)
	}
	p := &port{fd: fd}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		p.close()
		return nil, fmt.Errorf("reserve a port of 127.0.0.1: %w", err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("reserve a port of 127.0.0.1: %w", err)
	}
	p.number = bound.(*syscall.SockaddrInet4).Port
	return p, nil
}

// listen begins to listen, and hands the port over to the listener.
func (p *port) listen() (net.Listener, error) {
	if err := syscall.Listen(p.fd, 128); err != nil {
		return nil, fmt.Errorf("listen on port %d: %w", p.number, err)
	}
	f := os.NewFile(uintptr(p.fd), "port")
	defer f.Close() // the listener has a descriptor of its own
	p.fd = -1
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("listen on port %d: %w", p.number, err)
	}
	return l, nil
}

// close gives a port back that was never listened on.
func (p *port) close() {
	if p.fd >= 0 {
		_ = syscall.Close(p.fd)
		p.fd = -1
	}
}
