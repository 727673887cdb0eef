package host

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
)

func TestServedPorts(t *testing.T) {
	for url, want := range map[string]uint16{
		"http://127.0.0.1:8000": 8000, "http://127.9.9.9:8000/": 8000, "http://localhost:8001/v1": 8001, "http://LocalHost.:8001": 8001,
		"http://vllm.localhost:1": 1, "http://[::1]:8002": 8002, "http://[::ffff:127.0.0.1]:8003": 8003, "http://0.0.0.0:8004": 8004,
		"http://[::]:65535": 65535, "http://127.0.0.1": 80, "https://localhost/": 443, "127.0.0.1:8005": 8005, " http://127.0.0.1:8006\n": 8006,
		"http://user:pass@127.0.0.1:8007?x=y": 8007,
		"http://10.255.255.1:8000":            0, "http://example.com:8000": 0, "http://localhost.example.com:8000": 0, "http://notlocalhost:8000": 0,
		"http://127.0.0.1:0": 0, "http://127.0.0.1:65536": 0, "http://127.0.0.1:x": 0, "unix:///run/vllm.sock": 0, "none": 0, "": 0, "://": 0,
		"http://[fe80::1%25eth0]:8000": 0,
	} {
		got, ok := servedPort(url, func(netip.Addr) bool { return false })
		if !ok {
			got = 0
		}
		if got != want {
			t.Errorf("%q is served on port %d, want %d", url, got, want)
		}
	}
}

// Addresses and the name of this very machine.
func TestServedPortsOfThisMachine(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	urls, want := []string{"http://127.0.0.1:9", "http://localhost:9"}, []uint16{9}
	for i, a := range addresses {
		ip := a.(*net.IPNet).IP
		urls = append(urls, "http://"+net.JoinHostPort(ip.String(), fmt.Sprint(60000-i)))
		want = append(want, uint16(60000-i))
	}
	if name, err := os.Hostname(); err == nil {
		urls, want = append(urls, "http://"+name+":61000"), append(want, 61000)
	}
	slices.Sort(want)
	if got := ServedPorts(urls); !slices.Equal(got, want) {
		t.Errorf("%v are served on %v, want %v", urls, got, want)
	}
}
