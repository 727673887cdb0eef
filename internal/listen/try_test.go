package listen

import (
	"errors"
	"io/fs"
	"net"
	"syscall"
	"testing"
)

func TestTryFindsOutWhatListeningWould(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	_, port, _ := net.SplitHostPort(taken)

	for address, want := range map[string]error{
		taken:               syscall.EADDRINUSE,
		"0.0.0.0:" + port:   syscall.EADDRINUSE,
		":" + port:          syscall.EADDRINUSE,
		"localhost:" + port: syscall.EADDRINUSE,
		"192.0.2.1:0":       syscall.EADDRNOTAVAIL, // an address for documents
		"127.0.0.1:0":       nil,
		":0":                nil,
	} {
		if got := Try(address); !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	if err := Try("127.0.0.1"); err == nil {
		t.Error("an address without a port could be listened on")
	}
	// What was tried can be had at once, and again.
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	for range 3 {
		if err := Try(address); err != nil {
			t.Fatal(err)
		}
	}
	again, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("after it was tried: %v", err)
	}
	again.Close()
	if err := Try("127.0.0.1:1"); err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a port for root: %v", err)
	}
}
