package vllm

import (
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func refusedAt(addr string) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(addr)}, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// A host with several addresses refuses only if all of them do.
func TestRefusalNeedsEveryAddress(t *testing.T) {
	tests := []struct {
		name    string
		errs    []error
		outcome watchdog.Outcome
		detail  string
	}{
		{"all refuse", []error{refusedAt("::1"), refusedAt("127.0.0.1")}, watchdog.OutcomeRefused, "refused"},
		{"one is silent", []error{refusedAt("::1"), os.ErrDeadlineExceeded}, watchdog.OutcomeTimeout, "no connection"},
		{"one has no route", []error{refusedAt("::1"), &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}}, watchdog.OutcomeUnreadable, "cannot be reached"},
		{"no descriptors left", []error{&net.OpError{Op: "dial", Err: syscall.EMFILE}}, watchdog.OutcomeUnreadable, "cannot be reached"},
		{"no such host", []error{&net.DNSError{Err: "no such host", Name: "vllm.test", IsNotFound: true}}, watchdog.OutcomeUnreadable, "no address for vllm.test"},
		{"the name server is silent", []error{&net.DNSError{Err: "i/o timeout", Name: "vllm.test", IsTimeout: true}}, watchdog.OutcomeTimeout, "no connection"},
		{"nothing was tried", nil, watchdog.OutcomeUnreadable, "cannot be reached"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := classify(errors.Join(&unreachable{tt.errs}), time.Second, false)
			if f.outcome != tt.outcome || !strings.Contains(f.detail, tt.detail) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// localhost may be two addresses, of which the server has one.
func TestNameWithSeveralAddresses(t *testing.T) {
	f := newFake(t)
	_, port, err := net.SplitHostPort(f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	own := &ports{}
	s := read(t, newClient(t, "http://localhost:"+port, own), 2*time.Second)
	if s.Outcome != watchdog.OutcomeAnswered {
		t.Fatalf("%+v", s)
	}
	opened, _ := own.seen()
	if len(opened) != 1 || !opened[0].Addr().Is4() {
		t.Errorf("told of %v", opened)
	}
	f.Close()
	if s := read(t, newClient(t, "http://localhost:"+port, own), 2*time.Second); s.Outcome != watchdog.OutcomeRefused {
		t.Errorf("%+v", s)
	}
}

func TestCleanWords(t *testing.T) {
	got := clean("Get \"http://h/x?token=hunter2\": no")
	if strings.Contains(got, "hunter2") {
		t.Error(got)
	}
	if got := clean("a\nb\x1b[31mc\xff"); strings.ContainsAny(got, "\n\x1b") {
		t.Errorf("%q", got)
	}
	if got := clean(strings.Repeat("é", maxDetail)); len(got) > maxDetail+len("…") {
		t.Errorf("%d bytes", len(got))
	}
}
