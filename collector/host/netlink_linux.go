package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// netlinkSocket puts questions to the kernel whose answers are dumps, one question at a time. After an error it is of no use any
// more, since answers to the old question may still lie in it. It serves each look from the same memory; the libraries for
// netlink make 64 kB for every piece of an answer.
type netlinkSocket struct {
	fd  int
	seq uint32
	out []byte
	in  [netlinkPiece]byte
}

// netlinkPiece is what the kernel packs into one piece of a dump at most (netlink_dump in net/netlink/af_netlink.c).
const netlinkPiece = 32 << 10

// openNetlink opens a socket in this thread's network namespace.
func openNetlink(protocol int) (*netlinkSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	return &netlinkSocket{fd: fd}, nil
}

func (s *netlinkSocket) close() error { return unix.Close(s.fd) }

// limit bounds each single wait for the kernel; beyond it dump's error is EAGAIN.
func (s *netlinkSocket) limit(d time.Duration) error {
	wait := unix.NsecToTimeval(d.Nanoseconds())
	for _, option := range [...]int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, option, &wait); err != nil {
			return fmt.Errorf("limit the wait for the kernel: %w", err)
		}
	}
	return nil
}

// dump asks one question and yields the payload of each message of the answer, up to its end. A payload is valid until yield
// returns. It ends early with yield's error.
func (s *netlinkSocket) dump(kind uint16, question []byte, yield func([]byte) error) error {
	s.seq++
	b := binary.NativeEndian.AppendUint32(s.out[:0], uint32(netlinkHeader+len(question)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b = binary.NativeEndian.AppendUint32(b, s.seq)
	b = binary.NativeEndian.AppendUint32(b, 0) // from whom: the kernel knows
	s.out = append(b, question...)
	kernel := unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := again(func() error { return unix.Sendto(s.fd, s.out, 0, &kernel) }); err != nil {
		return os.NewSyscallError("sendto", err)
	}
	for {
		var n int
		var from unix.Sockaddr
		err := again(func() (err error) {
			n, from, err = unix.Recvfrom(s.fd, s.in[:], unix.MSG_TRUNC)
			return err
		})
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		if n > len(s.in) {
			return fmt.Errorf("a piece of %d bytes, at most %d expected", n, len(s.in))
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			return errors.New("an answer that is not the kernel's")
		}
		if end, err := netlinkMessages(s.in[:n], kind, s.seq, yield); err != nil || end {
			return err
		}
	}
}

// again repeats a system call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
