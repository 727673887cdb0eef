package host

import (
	"net"
	"testing"
)

// The real kernel counts whoever connects before the next look, in both families, also where nothing was sent yet.
func TestTheKernelCountsWhoConnects(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := net.Listen("tcp", address)
			if err != nil {
				t.Skipf("this machine has no such address: %v", err)
			}
			defer l.Close()
			s := NewSockets(SocketConfig{Ports: []uint16{uint16(l.Addr().(*net.TCPAddr).Port)}})
			defer s.Close()
			for round := range 50 {
				for range calmLooks + 1 {
					if got := s.Read(t.Context()); len(got.Connections) != 0 {
						t.Fatalf("round %d: %+v", round, got)
					}
				}
				conn, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				// The kernel accepts by itself: no Accept is needed for the connection to stand.
				if got := s.Read(t.Context()); len(got.Connections) != 1 {
					t.Fatalf("round %d: a connection stands, and the look shows %+v", round, got)
				}
				end, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				end.Close() // the server's end first, so that none of it is left in the states that count
				conn.Close()
			}
		})
	}
}
