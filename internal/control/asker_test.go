package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/netutil"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

// peerOfSelf is this process as the kernel tells of it.
func peerOfSelf(t *testing.T) peer {
	t.Helper()
	l := listening(t, socketPath(t))
	c, err := net.Dial("unix", l.Addr().String())
	must(t, err)
	defer c.Close()
	return peerOf(c)
}

func TestPeer(t *testing.T) {
	if got := peerOfSelf(t); !got.known || int(got.uid) != os.Geteuid() || got.pid != os.Getpid() {
		t.Errorf("got %+v", got)
	}
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	if got := peerOf(one); got.known || got.unknown == nil {
		t.Errorf("of a pipe: %+v", got)
	}
}

// The asker is found through whatever wraps the connection, and where there is none nobody is.
func TestAskerOfConnection(t *testing.T) {
	socket := listening(t, socketPath(t))
	l := netutil.LimitListener(identifying{socket}, 1)
	client, err := net.Dial("unix", socket.Addr().String())
	must(t, err)
	defer client.Close()
	c, err := l.Accept()
	must(t, err)
	defer c.Close()
	if got := askerOf(withAsker(t.Context(), c)); got != peerOfSelf(t) {
		t.Errorf("got %+v", got)
	}
	for name, ctx := range map[string]context.Context{"another connection": withAsker(t.Context(), client), "no connection": t.Context()} {
		if got := askerOf(ctx); got.known || got.mayAsk(uint32(os.Geteuid())) == nil {
			t.Errorf("%s: %+v may ask", name, got)
		}
	}
}

func TestMayAsk(t *testing.T) {
	for _, x := range []struct {
		who peer
		uid uint32
		may bool
	}{
		{peer{known: true, uid: 1000}, 1000, true},
		{peer{known: true, uid: 0}, 1000, true},
		{peer{known: true, uid: 0}, 0, true},
		{peer{known: true, uid: 1001}, 1000, false},
		{peer{known: true, uid: 1000}, 0, false},
		{peer{known: true, uid: 65534}, 0, false},
		{peer{}, 0, false},
		{peer{pid: 1}, 0, false},
	} {
		if err := x.who.mayAsk(x.uid); (err == nil) != x.may || err != nil && orders.KindOf(err) != orders.Denied {
			t.Errorf("%+v asks a watchdog of user %d: %v", x.who, x.uid, err)
		}
	}
}

// machine makes the files that names come from.
func machine(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return root
}

func TestNames(t *testing.T) {
	self := fmt.Sprintf("proc/%d/stat", os.Getpid())
	root := machine(t, map[string]string{
		"etc/passwd": "# people\nroot:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\nbroken\n::2000::\n\x1b[31mred:x:3000:\n" +
			strings.Repeat("long", 50) + ":x:4000:\n",
		self:           "4711 (gpu-watchdog) S 1 4711 4711 0 -1 4194560",
		"proc/50/stat": "50 (bash) S 1 50 50 34816 51 4194560",
		"proc/51/stat": "51 (gpu-watchdog) R 50 51 50 34816 51 4194304",
		"proc/60/stat": "60 (gpu-watchdog) S 0 60 60 0 -1 4194304", // from another container
		"proc/61/stat": "61 (gpu-watchdog) S 99 61 61 0 -1 4194304",
		"proc/70/stat": "70 (a) (b\x1b \n) S 1 70 70 1083392 -1",
		"proc/71/stat": "71 (python3) S 1 71 71 1083393 -1",
		"proc/72/stat": "72 (getty) S 1 72 72 1025 -1",
		"proc/73/stat": "73 (short) S 1",
		"proc/74/stat": "74 nothing",
		"proc/75/stat": "",
	})
	for _, x := range []struct {
		uid  uint32
		pid  int
		want string
	}{
		{0, 0, "root"},
		{0, 50, "root on pts/0 (bash)"},
		{0, 51, "root on pts/0 (bash)"}, // the command stands for its caller
		{1000, 60, "ann (gpu-watchdog)"},
		{1000, 61, "ann"},
		{1000, 70, "ann on pts/256 (a) (b)"},
		{1000, 71, "ann on pts/257 (python3)"},
		{1000, 72, "ann (getty)"},
		{1000, 73, "ann (short)"},
		{1000, 74, "ann"},
		{1000, 75, "ann"},
		{1000, 76, "ann"},
		{1001, 0, "uid 1001"},
		{2000, 0, "uid 2000"},
		{3000, 0, "[31mred"},
		{4000, 0, "longlonglonglonglongl…"},
		{4294967295, 0, "uid 4294967295"},
	} {
		if got := (peer{known: true, uid: x.uid, pid: x.pid}).name(root); got != x.want {
			t.Errorf("user %d, process %d: %q, want %q", x.uid, x.pid, got, x.want)
		}
	}
	if got := (peer{known: true, uid: 0, pid: 50}).name(t.TempDir()); got != "uid 0" {
		t.Errorf("without any files: %q", got)
	}
}

// The real system's files.
func TestNameOnThisMachine(t *testing.T) {
	got := peerOfSelf(t).name("/")
	if got == "" || len(got) > orders.MostBy || os.Geteuid() == 0 && !strings.HasPrefix(got, "root") {
		t.Errorf("got %q", got)
	}
	if p := readProcess("/", os.Getpid()); p.parent != os.Getppid() || p.program == "" {
		t.Errorf("of ourselves: %+v", p)
	}
}
