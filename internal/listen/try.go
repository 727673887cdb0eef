package listen

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Try says whether a server could listen at address, host:port: its error is what listening there would say. It binds a socket, lets
// go of it, and does not listen: nobody can connect meanwhile, and whoever wants the address in the same instant still gets it.
func Try(address string) error {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return err
	}
	if a.IP == nil { // every address: of both families where there are two
		err = tryAt(unix.AF_INET6, &unix.SockaddrInet6{Port: a.Port})
		if !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return err
		}
	}
	if four := a.IP.To4(); four != nil || a.IP == nil {
		to := unix.SockaddrInet4{Port: a.Port}
		copy(to.Addr[:], four)
		return tryAt(unix.AF_INET, &to)
	}
	to := unix.SockaddrInet6{Port: a.Port}
	copy(to.Addr[:], a.IP.To16())
	if a.Zone != "" {
		link, err := net.InterfaceByName(a.Zone)
		if err != nil {
			return err
		}
		to.ZoneId = uint32(link.Index)
	}
	return tryAt(unix.AF_INET6, &to)
}

func tryAt(family int, address unix.Sockaddr) error {
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // it held nothing
	unix.CloseOnExec(fd)
	if family == unix.AF_INET6 {
		if four := net.IP(address.(*unix.SockaddrInet6).Addr[:]); four.IsUnspecified() {
			_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0) // as net does; where it cannot, IPv6 alone is tried
		}
	}
	// As net sets it: without, connections that have just ended would be in the way.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("setsockopt: %w", err)
	}
	if err := unix.Bind(fd, address); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	return nil
}
