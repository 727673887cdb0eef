package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
)

// Netlink's framing, from include/uapi/linux/netlink.h.
const (
	netlinkHeader = 16 // struct nlmsghdr

	netlinkError       = 2    // NLMSG_ERROR
	netlinkDone        = 3    // NLMSG_DONE
	netlinkOverrun     = 4    // NLMSG_OVERRUN
	netlinkInterrupted = 0x10 // NLM_F_DUMP_INTR
)

var errTableChanged = errors.New("the kernel's table changed while it was read")

// netlinkMessages yields the payloads of one piece of a dump's answer and says whether the dump has ended. Messages of other
// kinds are passed over. Errors: what is no answer to question seq, what is cut off, what the kernel reports, yield's.
func netlinkMessages(b []byte, kind uint16, seq uint32, yield func([]byte) error) (end bool, err error) {
	for len(b) > 0 {
		if len(b) < netlinkHeader {
			return false, fmt.Errorf("%d bytes where a message begins, at least %d expected", len(b), netlinkHeader)
		}
		size := binary.NativeEndian.Uint32(b)
		if size < netlinkHeader || uint64(size) > uint64(len(b)) {
			return false, fmt.Errorf("a message of %d bytes where %d are left", size, len(b))
		}
		if got := binary.NativeEndian.Uint32(b[8:]); got != seq {
			return false, fmt.Errorf("an answer to question %d, expected to %d", got, seq)
		}
		if binary.NativeEndian.Uint16(b[6:])&netlinkInterrupted != 0 {
			return false, errTableChanged
		}
		body := b[netlinkHeader:size]
		switch binary.NativeEndian.Uint16(b[4:]) {
		case netlinkDone:
			return true, netlinkCode(body)
		case netlinkError:
			if err := netlinkCode(body); err != nil {
				return false, err
			}
			return false, errors.New("an acknowledgement where a dump was asked for")
		case netlinkOverrun:
			return false, errors.New("the kernel lost a part of its answer")
		case kind:
			if err := yield(body); err != nil {
				return false, err
			}
		}
		b = b[min(len(b), (int(size)+3)&^3):]
	}
	return false, nil
}

// netlinkCode is the error that a message ends with: a negative error number, or 0.
func netlinkCode(body []byte) error {
	if len(body) < 4 {
		return nil // kernels before 4.14 may end a dump with less
	}
	if code := int32(binary.NativeEndian.Uint32(body)); code < 0 {
		return syscall.Errno(-code)
	}
	return nil
}
