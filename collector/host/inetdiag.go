package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// The kernel's inet_diag interface, from include/uapi/linux/{inet_diag,sock_diag,tcp}.h and include/net/tcp_states.h.
const (
	afInet, afInet6 = 2, 10
	protoTCP        = 6

	tcpEstablished = 1
	tcpCloseWait   = 8
	tcpListen      = 10

	sockDiagByFamily = 20 // SOCK_DIAG_BY_FAMILY

	diagRequestSize = 56 // struct inet_diag_req_v2
	diagMessageSize = 72 // struct inet_diag_msg

	attrRequestBytecode = 1 // INET_DIAG_REQ_BYTECODE
	attrInfo            = 2 // INET_DIAG_INFO, also bit attrInfo-1 of the request's extensions
	attrTypeMask        = 0x3fff

	opJump        = 1 // INET_DIAG_BC_JMP
	opSourceAbove = 2 // INET_DIAG_BC_S_GE
	opSourceBelow = 3 // INET_DIAG_BC_S_LE
	opSize        = 4 // struct inet_diag_bc_op

	// Offsets in struct tcp_info, which only ever grows at its end.
	infoLastDataSent  = 44
	infoLastDataRecv  = 52
	infoBytesAcked    = 120
	infoBytesReceived = 128 // since 4.1
	infoBytesSent     = 200 // since 4.19
	infoBytesRetrans  = 208 // since 4.19
)

var (
	errNotLinux  = errors.New("this system has no sock_diag, only Linux has")
	errNoTCPInfo = errors.New("the kernel counts no bytes of a connection (older than 4.2, or a sandbox's own network)")
)

// diagSocket is what one message of a dump says.
type diagSocket struct {
	state                    uint8
	port                     uint16
	peer                     netip.AddrPort // unmapped, without a zone
	cookie                   uint64
	received, sent           uint64
	sinceReceived, sinceSent time.Duration
}

func (d diagSocket) connection() watchdog.Connection {
	return watchdog.Connection{
		Cookie: d.cookie, Port: d.port, Peer: d.peer.String(),
		Received: d.received, Sent: d.sent,
		SinceReceived: d.sinceReceived, SinceSent: d.sinceSent,
		HalfClosed: d.state == tcpCloseWait,
	}
}

// diagRequest is the payload of a dump request for one address family: states (bits), tcp_info, and a filter that runs
// in the kernel, so that connections on other ports cost no message.
func diagRequest(family uint8, states uint32, ports []uint16) []byte {
	filter := portFilter(ports)
	b := make([]byte, diagRequestSize, diagRequestSize+4+len(filter))
	b[0], b[1], b[2] = family, protoTCP, 1<<(attrInfo-1)
	binary.NativeEndian.PutUint32(b[4:], states)
	b = binary.NativeEndian.AppendUint16(b, uint16(4+len(filter)))
	b = binary.NativeEndian.AppendUint16(b, attrRequestBytecode)
	return append(b, filter...)
}

// portFilter is an inet_diag bytecode program that accepts a socket whose local port is one of ports, which is at least
// one: for each port "≥ port, else next; ≤ port, else next; jump to the end". Running off the end exactly accepts,
// running 4 bytes past it rejects. Equality has an operation of its own only since 5.9.
func portFilter(ports []uint16) []byte {
	const perPort = 5 * opSize
	size := len(ports)*perPort - opSize // the last port needs no jump
	b := make([]byte, 0, size)
	op := func(code, yes uint8, no int) {
		b = append(b, code, yes)
		b = binary.NativeEndian.AppendUint16(b, uint16(no))
	}
	for i, port := range ports {
		rest := size - len(b)
		next := perPort
		if i == len(ports)-1 {
			next = rest + opSize
		}
		op(opSourceAbove, 2*opSize, next)
		op(0, 0, int(port))
		op(opSourceBelow, 2*opSize, next-2*opSize)
		op(0, 0, int(port))
		if i < len(ports)-1 {
			op(opJump, opSize, rest-4*opSize)
		}
	}
	return b
}

// decodeDiag reads the payload of one SOCK_DIAG_BY_FAMILY message.
func decodeDiag(b []byte) (diagSocket, error) {
	if len(b) < diagMessageSize {
		return diagSocket{}, fmt.Errorf("message of %d bytes, at least %d expected", len(b), diagMessageSize)
	}
	d := diagSocket{
		state:  b[1],
		port:   binary.BigEndian.Uint16(b[4:]),
		cookie: uint64(binary.NativeEndian.Uint32(b[44:])) | uint64(binary.NativeEndian.Uint32(b[48:]))<<32,
	}
	var peer netip.Addr
	switch b[0] {
	case afInet:
		peer = netip.AddrFrom4([4]byte(b[24:]))
	case afInet6:
		peer = netip.AddrFrom16([16]byte(b[24:])).Unmap()
	default:
		return diagSocket{}, fmt.Errorf("message of address family %d", b[0])
	}
	d.peer = netip.AddrPortFrom(peer, binary.BigEndian.Uint16(b[6:]))
	if d.state == tcpListen {
		return d, nil
	}
	info, err := attribute(b[diagMessageSize:], attrInfo)
	if err != nil {
		return diagSocket{}, err
	}
	if len(info) < infoBytesReceived+8 {
		return diagSocket{}, errNoTCPInfo
	}
	d.sinceSent = milliseconds(info[infoLastDataSent:])
	d.sinceReceived = milliseconds(info[infoLastDataRecv:])
	d.received = binary.NativeEndian.Uint64(info[infoBytesReceived:])
	d.sent = binary.NativeEndian.Uint64(info[infoBytesAcked:])
	if len(info) >= infoBytesRetrans+8 {
		// Sending the same bytes again is no progress of the server.
		sent, again := binary.NativeEndian.Uint64(info[infoBytesSent:]), binary.NativeEndian.Uint64(info[infoBytesRetrans:])
		d.sent = sent - min(sent, again)
	}
	return d, nil
}

func milliseconds(b []byte) time.Duration {
	return time.Duration(binary.NativeEndian.Uint32(b)) * time.Millisecond
}

// attribute finds the first netlink attribute of one kind; nil where there is none.
func attribute(b []byte, kind uint16) ([]byte, error) {
	for len(b) >= 4 {
		size := int(binary.NativeEndian.Uint16(b))
		if size < 4 || size > len(b) {
			return nil, fmt.Errorf("attribute of %d bytes where %d are left", size, len(b))
		}
		if binary.NativeEndian.Uint16(b[2:])&attrTypeMask == kind {
			return b[4:size], nil
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return nil, nil
}
