package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// filterOp reads one operation of a bytecode program.
func filterOp(program []byte, at int) (code uint8, yes, no int) {
	return program[at], int(program[at+1]), int(binary.NativeEndian.Uint16(program[at+2:]))
}

// auditFilter refuses what the kernel refuses before it runs a program.
func auditFilter(program []byte) error {
	starts := map[int]bool{len(program): true}
	for at := 0; at < len(program); {
		starts[at] = true
		code, yes, no := filterOp(program, at)
		left, least := len(program)-at, 4
		if code == opSourceAbove || code == opSourceBelow {
			least = 8
		} else if code != opJump {
			return fmt.Errorf("unknown operation %d at %d", code, at)
		}
		if left < least || no < least || no > left+4 || no%4 != 0 || yes < least || yes > left+4 || yes%4 != 0 {
			return fmt.Errorf("operation at %d: yes %d, no %d, %d bytes left", at, yes, no, left)
		}
		at += yes
	}
	for at := range starts {
		if at == len(program) {
			continue
		}
		if _, _, no := filterOp(program, at); at+no < len(program) && !starts[at+no] {
			return fmt.Errorf("operation at %d jumps into the middle of another, to %d", at, at+no)
		}
	}
	return nil
}

// runFilter runs a program as the kernel does for a socket with this local port.
func runFilter(program []byte, port uint16) bool {
	at := 0
	for at < len(program) {
		code, yes, no := filterOp(program, at)
		take := false
		switch code {
		case opSourceAbove:
			_, _, bound := filterOp(program, at+4)
			take = int(port) >= bound
		case opSourceBelow:
			_, _, bound := filterOp(program, at+4)
			take = int(port) <= bound
		}
		if take {
			at += yes
		} else {
			at += no
		}
	}
	return at == len(program)
}

func TestPortFilter(t *testing.T) {
	many := make([]uint16, 100)
	for i := range many {
		many[i] = uint16(1 + i*650)
	}
	for _, ports := range [][]uint16{{8000}, {1}, {65535}, {1, 65535}, {8000, 8001, 8002}, many} {
		program := portFilter(ports)
		if err := auditFilter(program); err != nil {
			t.Fatalf("%d ports: %v", len(ports), err)
		}
		for port := range 1 << 16 {
			got := runFilter(program, uint16(port))
			if want := slices.Contains(ports, uint16(port)); got != want {
				t.Fatalf("%d ports: port %d accepted %v, want %v", len(ports), port, got, want)
			}
		}
	}
}

// diagMessage writes what the kernel would send, with other attributes around the one that counts.
func diagMessage(d diagSocket, infoSize int, before, behind []byte) []byte {
	b := make([]byte, diagMessageSize)
	b[0], b[1] = afInet, d.state
	binary.BigEndian.PutUint16(b[4:], d.port)
	binary.BigEndian.PutUint16(b[6:], d.peer.Port())
	if d.peer.Addr().Is4() {
		copy(b[24:], d.peer.Addr().AsSlice())
	} else {
		b[0] = afInet6
		copy(b[24:40], d.peer.Addr().AsSlice())
	}
	binary.NativeEndian.PutUint32(b[44:], uint32(d.cookie))
	binary.NativeEndian.PutUint32(b[48:], uint32(d.cookie>>32))

	info := make([]byte, 232)
	binary.NativeEndian.PutUint32(info[infoLastDataSent:], uint32(d.sinceSent.Milliseconds()))
	binary.NativeEndian.PutUint32(info[infoLastDataRecv:], uint32(d.sinceReceived.Milliseconds()))
	binary.NativeEndian.PutUint64(info[infoBytesReceived:], d.received)
	binary.NativeEndian.PutUint64(info[infoBytesAcked:], d.sent/2)
	binary.NativeEndian.PutUint64(info[infoBytesSent:], d.sent+77)
	binary.NativeEndian.PutUint64(info[infoBytesRetrans:], 77)

	attr := func(kind uint16, value []byte) {
		b = binary.NativeEndian.AppendUint16(b, uint16(4+len(value)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		b = append(b, value...)
		b = append(b, make([]byte, (4-len(value)%4)%4)...)
	}
	attr(8, before)
	attr(attrInfo, info[:infoSize])
	attr(9, behind)
	return b
}

func TestDecodeDiag(t *testing.T) {
	want := diagSocket{state: tcpEstablished, port: 8000, peer: netip.MustParseAddrPort("10.1.2.3:40000"), cookie: 1<<40 | 5,
		received: 1 << 33, sent: 1 << 34, sinceReceived: 3 * time.Millisecond, sinceSent: 4 * time.Second}
	got, err := decodeDiag(diagMessage(want, 232, []byte{1}, nil))
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	// Before 4.19 only what the client has acknowledged is known.
	old := want
	old.sent /= 2
	if got, err := decodeDiag(diagMessage(want, infoBytesSent, nil, nil)); err != nil || got != old {
		t.Errorf("kernel 4.18: got %+v, %v, want %+v", got, err, old)
	}
	if _, err := decodeDiag(diagMessage(want, infoBytesReceived, nil, nil)); !errors.Is(err, errNoTCPInfo) {
		t.Errorf("kernel 4.0: error %v, want %v", err, errNoTCPInfo)
	}
	if _, err := decodeDiag(diagMessage(want, 232, nil, nil)[:diagMessageSize]); !errors.Is(err, errNoTCPInfo) {
		t.Errorf("no attributes: error %v, want %v", err, errNoTCPInfo)
	}
	mapped := want
	mapped.peer = netip.MustParseAddrPort("[::ffff:10.1.2.3]:40000")
	if got, err := decodeDiag(diagMessage(mapped, 232, nil, nil)); err != nil || got != want {
		t.Errorf("mapped: got %+v, %v, want %+v", got, err, want)
	}
	message := diagMessage(want, 232, nil, nil)
	if _, err := decodeDiag(message[:diagMessageSize-1]); err == nil {
		t.Error("a message cut short was read")
	}
	message[0] = 1
	if _, err := decodeDiag(message); err == nil {
		t.Error("a message of another family was read")
	}
	message[0] = afInet
	binary.NativeEndian.PutUint16(message[diagMessageSize:], 3)
	if _, err := decodeDiag(message); err == nil {
		t.Error("an attribute shorter than its header was read")
	}
	listening := diagMessage(diagSocket{state: tcpListen, port: 8000, peer: netip.MustParseAddrPort("0.0.0.0:0")}, 0, nil, nil)
	if got, err := decodeDiag(listening); err != nil || got.port != 8000 || got.state != tcpListen {
		t.Errorf("listener: got %+v, %v", got, err)
	}
}

// Whatever a socket says comes back as it was said, whatever attributes lie around it.
func FuzzDecodeDiagSaysWhatWasSaid(f *testing.F) {
	f.Add(uint16(8000), uint16(40000), []byte{127, 0, 0, 1}, uint64(1<<63), uint64(348), uint64(0), uint32(2684), uint32(2684), []byte{}, []byte{1, 2, 3})
	f.Add(uint16(1), uint16(0), make([]byte, 16), uint64(1), uint64(1<<60), uint64(1<<60), uint32(1<<32-1), uint32(0), []byte{9}, []byte{})
	f.Fuzz(func(t *testing.T, port, peerPort uint16, peer []byte, cookie, received, sent uint64, sinceReceived, sinceSent uint32, before, behind []byte) {
		addr, ok := netip.AddrFromSlice(peer)
		if !ok || len(before) > 1<<15 || len(behind) > 1<<15 || sent > 1<<63 {
			return
		}
		want := diagSocket{state: tcpCloseWait, port: port, peer: netip.AddrPortFrom(addr, peerPort), cookie: cookie,
			received: received, sent: sent,
			sinceReceived: time.Duration(sinceReceived) * time.Millisecond, sinceSent: time.Duration(sinceSent) * time.Millisecond}
		message := diagMessage(want, 232, before, behind)
		got, err := decodeDiag(message)
		want.peer = plain(want.peer)
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	})
}

// No message makes it read past the end, keep or change the message, or allocate more than an error's worth; and what
// it accepts has all that a connection needs.
func FuzzDecodeDiag(f *testing.F) {
	good := diagMessage(diagSocket{state: tcpEstablished, port: 8000, peer: netip.MustParseAddrPort("[::1]:4")}, 232, []byte{1}, nil)
	f.Add(good)
	f.Add(good[:diagMessageSize+7])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, message []byte) {
		before := slices.Clone(message)
		exact := slices.Clip(slices.Clone(message)) // reading past the end panics
		var got diagSocket
		var err error
		if n := testing.AllocsPerRun(1, func() { got, err = decodeDiag(exact) }); n > 8 {
			t.Errorf("%v allocations", n)
		}
		if !bytes.Equal(exact, before) {
			t.Error("the message was changed")
		}
		if err != nil {
			if got != (diagSocket{}) {
				t.Errorf("error %v beside %+v", err, got)
			}
			return
		}
		if len(message) < diagMessageSize || !got.peer.Addr().IsValid() || got.peer != plain(got.peer) {
			t.Errorf("accepted %d bytes as %+v", len(message), got)
		}
		if got.state != tcpListen && len(message) < diagMessageSize+4+infoBytesReceived+8 {
			t.Errorf("accepted %d bytes without tcp_info as %+v", len(message), got)
		}
	})
}
