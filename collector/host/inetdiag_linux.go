package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// diagTable asks sock_diag over one netlink socket. After any error the socket is closed, since answers to the old
// question may still lie in it.
//
// What costs is the kernel's walk through its hash table of connections, once for each address family and whatever the
// filter: about 0.3 ms for the 262,144 buckets of a machine with 24 GB. Listeners lie in a small table of their own, and
// an accepted connection has its listener's family. So the listeners are asked for first, and connections only of
// those families that have had a listener: mostly one.
type diagTable struct {
	ports    []uint16
	families [2]diagFamily
	socket   *netlinkSocket
}

// diagFamily is what there is to ask about one address family.
type diagFamily struct {
	name                 string
	listeners, connected []byte // what is asked, the same each time
	// listened: a served port has had a listener of this family since the watchdog started. Connections may outlive it.
	listened bool
}

func newSocketTable(ports []uint16) socketTable {
	t := &diagTable{ports: ports, families: [2]diagFamily{{name: "IPv4"}, {name: "IPv6"}}}
	if len(ports) == 0 {
		return t
	}
	for i, family := range []uint8{afInet, afInet6} {
		t.families[i].listeners = diagRequest(family, 1<<tcpListen, ports)
		t.families[i].connected = diagRequest(family, 1<<tcpEstablished|1<<tcpCloseWait, ports)
	}
	return t
}

func (t *diagTable) close() error {
	if t.socket == nil {
		return nil
	}
	err := t.socket.close()
	t.socket = nil
	return err
}

func (t *diagTable) dump(ctx context.Context, nobody bool, yield func(diagSocket)) error {
	if t.socket == nil {
		socket, err := openNetlink(unix.NETLINK_INET_DIAG)
		if err != nil {
			return fmt.Errorf("open a sock_diag socket: %w", err)
		}
		t.socket = socket
	}
	for i := range t.families {
		f := &t.families[i]
		known := f.listened
		err := t.ask(ctx, f.listeners, func(d diagSocket) {
			f.listened = true
			yield(d)
		})
		// A family whose connections were never walked through may have some from before we looked.
		if err == nil && f.listened && !(nobody && known) {
			err = t.ask(ctx, f.connected, yield)
		}
		if err != nil {
			_ = t.close()
			return fmt.Errorf("ask sock_diag for %s sockets: %w", f.name, err)
		}
	}
	return nil
}

// ask runs one dump to its end.
func (t *diagTable) ask(ctx context.Context, request []byte, yield func(diagSocket)) error {
	if err := t.limit(ctx); err != nil {
		return err
	}
	err := t.socket.dump(sockDiagByFamily, request, func(message []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := decodeDiag(message)
		if err != nil {
			return err
		}
		// The kernel has filtered already; what stands in for one in a sandbox may not have.
		if _, served := slices.BinarySearch(t.ports, d.port); served {
			yield(d)
		}
		return nil
	})
	if errors.Is(err, unix.EAGAIN) {
		err = fmt.Errorf("no answer in time: %w", os.ErrDeadlineExceeded)
	}
	return err
}

// limit lets no single wait for the kernel outlive the deadline.
func (t *diagTable) limit(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	left := dumpTimeout
	if deadline, ok := ctx.Deadline(); ok {
		if left = time.Until(deadline); left <= 0 {
			return context.DeadlineExceeded
		}
	}
	return t.socket.limit(max(left, time.Millisecond))
}
