package kubernetes_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

// must ends the test where a step of its stage fails.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTokenIsReadForEachRequest(t *testing.T) {
	b := newBench(t, scene{})
	old := b.server.Token()
	expect(t, b.Rehearse(t.Context()), stopper.Accepted)
	// In the midst of an attempt, between two of its requests, too.
	b.server.Before("GET", "/replicasets/", func() {
		if err := b.server.RotateToken(); err != nil {
			t.Error(err)
		}
	})
	a := b.stop(t)
	// The request that was under way has the old token, and is refused with it; nothing was scaled.
	expect(t, a, stopper.Denied, "token is not accepted")
	if b.server.Token() == old {
		t.Fatal("the token was not rotated")
	}
	expect(t, b.stop(t), stopper.Accepted)
}

func TestCertificatesAreReadWhenTheyChange(t *testing.T) {
	b := newBench(t, scene{})
	expect(t, b.Rehearse(t.Context()), stopper.Accepted)

	must(t, b.server.RotateCA(false))
	before := len(b.server.Requests())
	expect(t, b.stop(t), stopper.Failed, "certificate")
	if n := len(b.server.Requests()); n != before {
		t.Errorf("%d requests, and the token with them, went to a server that nobody vouched for", n-before)
	}
	must(t, b.server.TellCA())
	expect(t, b.Rehearse(t.Context()), stopper.Accepted)

	// A file that was spoilt leaves the last good authority in use; a new good one is taken.
	must(t, os.WriteFile(filepath.Join(b.cfg.Dir, "ca.crt"), []byte("no certificate"), 0o600))
	expect(t, b.Rehearse(t.Context()), stopper.Accepted)
	must(t, os.Remove(filepath.Join(b.cfg.Dir, "ca.crt")))
	expect(t, b.Rehearse(t.Context()), stopper.Accepted)
	must(t, b.server.RotateCA(true))
	expect(t, b.stop(t), stopper.Accepted)
}

func TestTokenThatIsGone(t *testing.T) {
	for _, row := range []struct {
		name  string
		spoil func(path string) error
		words string
	}{
		{"removed", os.Remove, "automountServiceAccountToken"},
		{"empty", func(path string) error { return os.WriteFile(path, nil, 0o600) }, "is empty"},
		{"blank", func(path string) error { return os.WriteFile(path, []byte(" \n"), 0o600) }, "is empty"},
		{"two lines", func(path string) error { return os.WriteFile(path, []byte("PLANTED\r\nX-Evil: hunter2"), 0o600) }, "a byte at place 8"},
		{"a folder", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Mkdir(path, 0o700)
		}, "is a folder"},
		{"huge", func(path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) }, "more than"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, scene{})
			path := filepath.Join(b.cfg.Dir, "token")
			must(t, row.spoil(path))
			expect(t, b.stop(t), stopper.Failed, row.words)
			if n := len(b.server.Requests()); n != 0 {
				t.Errorf("%d requests without a token", n)
			}
			must(t, os.RemoveAll(path))
			must(t, b.server.RotateToken())
			expect(t, b.stop(t), stopper.Accepted)
		})
	}
}

func TestIPv6(t *testing.T) {
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 on this machine")
	}
	probe.Close()
	b := newBench(t, scene{options: kubetest.Options{IPv6: true}})
	if b.cfg.Host != "::1" {
		t.Fatalf("host %q", b.cfg.Host)
	}
	expect(t, b.stop(t), stopper.Accepted)
}
