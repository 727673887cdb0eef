package control

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

const (
	nobody  = 65534
	roleVar = "CONTROL_TEST_ROLE"
	pathVar = "CONTROL_TEST_PATH"
)

// TestMain plays another user's process where a test started one.
func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "ask":
		_, err := Client{Path: os.Getenv(pathVar)}.Standing(context.Background())
		fmt.Println(orders.KindOf(err), err)
	case "serve":
		ctx, cancel := context.WithCancel(context.Background())
		s := New(Config{Path: os.Getenv(pathVar), Orders: &desk{}, Log: zap.NewExample()}) // its log says when it is open
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
		<-ended
	default:
		os.Exit(m.Run())
	}
}

// asNobody makes a process of another user that plays a role at path.
func asNobody(t *testing.T, role, path string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
	folder, err := os.MkdirTemp("", "control-") // the test binary lies in a folder that only root may enter
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	must(t, os.Chmod(folder, 0o755))
	exe := filepath.Join(folder, "control.test")
	from, err := os.Open("/proc/self/exe")
	must(t, err)
	defer from.Close()
	to, err := os.OpenFile(exe, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	must(t, err)
	_, err = io.Copy(to, from)
	must(t, err)
	must(t, to.Close())
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Dir, cmd.WaitDelay = "/", time.Second
	cmd.Env = append(os.Environ(), roleVar+"="+role, pathVar+"="+path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{}}}
	return cmd
}

// The file system keeps strangers out, and where it does not, the watchdog does.
func TestStrangersAreTurnedAway(t *testing.T) {
	path := socketPath(t)
	cmd := asNobody(t, "ask", path)
	d := &desk{}
	opened(t, Config{Path: path, Orders: d})
	must(t, os.Chmod(filepath.Dir(path), 0o755))
	asked := func(cmd *exec.Cmd) string {
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	if got := asked(cmd); !contains(got, string(orders.Denied), path+" may not be used by user 65534") {
		t.Errorf("at a socket of mode 0600: %s", got)
	}
	must(t, os.Chmod(path, 0o666))
	if got := asked(asNobody(t, "ask", path)); !contains(got, string(orders.Denied), "user 65534 may give no orders here", "only from root and user 0") {
		t.Errorf("at a socket of mode 0666: %s", got)
	}
	if got := d.last(); got != nil {
		t.Errorf("carried out: %v", got)
	}
}

// Root is answered by everybody's watchdog, if it names the path; by default it takes no stranger's word.
func TestRootAsksAnothersWatchdog(t *testing.T) {
	path := socketPath(t)
	cmd := asNobody(t, "serve", path)
	must(t, os.Chmod(filepath.Dir(path), 0o777))
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if !strings.Contains(line, "taking orders") {
		t.Fatalf("the other user's watchdog says %q, %v", line, err)
	}
	if got, err := (Client{Path: path}).Standing(t.Context()); err != nil || got.Text != "done" {
		t.Errorf("root at a path: %+v, %v", got, err)
	}
	if _, err := (Client{places: []string{path}}).Standing(t.Context()); orders.KindOf(err) != orders.Unreachable || !contains(err.Error(), path+": user 65534 listens there", "nothing was asked") {
		t.Errorf("root by default: %v", err)
	}
}

// Another user's dead socket is theirs to remove, even where we could.
func TestAnothersDeadSocketIsLeftAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	path := socketPath(t)
	dead(t, path)
	must(t, os.Chown(path, nobody, nobody))
	before, err := os.Lstat(path)
	must(t, err)
	s, logs, _ := running(t, Config{Path: path})
	eventually.Holds(t, "three more tries", func() bool { return logs.FilterMessage("still not taking orders").Len() >= 3 })
	if w := s.Warnings(); len(w) != 1 || !contains(w[0], "there is a socket of another user") {
		t.Errorf("it warns %q", w)
	}
	if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("it is gone: %v", err)
	}
}
