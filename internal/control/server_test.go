package control

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

// Whatever mode new files get here, the socket is its owner's alone.
func TestOwnerOnly(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o077, 0o277, 0o777} {
		before := syscall.Umask(mask)
		path := "/nonexistent"
		func() {
			defer syscall.Umask(before)
			folder, err := os.MkdirTemp("", "control-")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(folder) })
			path = filepath.Join(folder, "s.sock")
			c, err := claimAt(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
		}()
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		got, strict := info.Mode(), mask&0o600 != 0
		if got != fs.ModeSocket|0o600 && (!strict || got&^fs.ModeSocket&0o177 != 0) {
			t.Errorf("umask %o: mode %v", mask, got)
		}
	}
}

// The mode is there before anybody could connect: it is the socket's own before it has a name.
func TestNoMomentForOthers(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := socketPath(t)
	folder := filepath.Dir(path)
	ctx, cancel := context.WithCancel(t.Context())
	var seen sync.Map
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			if info, err := os.Lstat(path); err == nil {
				seen.Store(info.Mode(), true)
			}
		}
	})
	for range 200 {
		c, err := claimAt(ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		c.remove()
		_ = c.Close()
	}
	cancel()
	watching.Wait()
	for mode := range seen.Range {
		if mode != fs.ModeSocket|0o600 {
			t.Errorf("at some moment it had mode %v", mode)
		}
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	path := socketPath(t)
	dead(t, path)
	s, logs, end := opened(t, Config{Path: path})
	if _, err := (Client{Path: path}).Standing(t.Context()); err != nil {
		t.Error(err)
	}
	if s.Warnings() != nil || logs.FilterLevelExact(zapcore.WarnLevel).Len() != 0 {
		t.Errorf("warned %v, %v", s.Warnings(), logs.All())
	}
	end()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) || s.Open() {
		t.Errorf("ended, it leaves its socket: %v", err)
	}
}

// A process that lives keeps its socket, however busy it is; ours is there as soon as that has ended. It is warned of once.
func TestLivingSocketIsLeftAlone(t *testing.T) {
	path := socketPath(t)
	other := listening(t, path)
	s, logs, end := running(t, Config{Path: path})
	eventually.Holds(t, "three more tries", func() bool { return logs.FilterMessage("still not taking orders").Len() >= 3 })
	warned := s.Warnings()
	if len(warned) != 1 || !contains(warned[0], path+" is taken by another program (a second gpu-watchdog?)", "set WATCHDOG_CONTROL_SOCKET", "the watch goes on") || s.Open() {
		t.Errorf("it warns %q", warned)
	}
	_ = other.Close()
	eventually.Holds(t, "an open socket", s.Open)
	if s.Warnings() != nil {
		t.Errorf("it still warns %q", s.Warnings())
	}
	if lines := logs.FilterLevelExact(zapcore.WarnLevel).All(); len(lines) != 1 || lines[0].Message != "not taking orders" || lines[0].ContextMap()["retry_seconds"] != 0.005 {
		t.Errorf("warned %v", lines)
	}
	end()
	if s.Open() || s.Warnings() != nil {
		t.Errorf("ended, it still claims to be open, or warns %q", s.Warnings())
	}
}

// What is not a dead socket of ours stays as it is, and is warned of; when it is taken away the path is had.
func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	for name, x := range map[string]struct {
		put  func(t *testing.T, path string)
		says string
	}{
		"file":   {func(t *testing.T, path string) { written(t, path, "precious") }, "there is a file that is no socket, which this program leaves alone"},
		"folder": {func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) }, "there is a folder"},
		"link": {func(t *testing.T, path string) {
			dead(t, path+"2")
			must(t, os.Symlink(path+"2", path))
		}, "there is a symbolic link"},
		"link to nowhere": {func(t *testing.T, path string) { must(t, os.Symlink(path+"2", path)) }, "there is a symbolic link"},
		"pipe":            {func(t *testing.T, path string) { must(t, syscall.Mkfifo(path, 0o600)) }, "there is a file that is no socket"},
		"datagrams": {func(t *testing.T, path string) {
			c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
			must(t, err)
			t.Cleanup(func() { _ = c.Close() })
		}, "there is a socket of another kind"},
	} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			x.put(t, path)
			before, err := os.Lstat(path)
			must(t, err)
			s, logs, _ := running(t, Config{Path: path})
			eventually.Holds(t, "three more tries", func() bool { return logs.FilterMessage("still not taking orders").Len() >= 3 })
			if w := s.Warnings(); len(w) != 1 || !contains(w[0], path+" is taken", x.says, "remove it if nobody needs it, or set WATCHDOG_CONTROL_SOCKET") {
				t.Errorf("it warns %q", w)
			}
			after, err := os.Lstat(path)
			if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() || before.Size() != after.Size() {
				t.Errorf("it was %v and is %v, %v", before, after, err)
			}
			must(t, os.Rename(path, path+"-away"))
			eventually.Holds(t, "an open socket", s.Open)
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func written(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestPathsThatCannotBe(t *testing.T) {
	folder := filepath.Dir(socketPath(t))
	written(t, filepath.Join(folder, "file"), "")
	for path, says := range map[string]string{
		"watchdog.sock":                                         "is not absolute): set WATCHDOG_CONTROL_SOCKET to an absolute path of at most 107 bytes",
		"@watchdog":                                             "is not absolute",
		"/tmp/" + strings.Repeat("x", 103):                      "it has 108 bytes, at most 107 are possible",
		filepath.Join(folder, "none/s.sock"):                    "there is no folder " + folder + "/none: make that folder",
		filepath.Join(folder, "file/s.sock"):                    folder + "/file is no folder",
		"/proc/gpu-watchdog-" + filepath.Base(folder) + ".sock": "",
	} {
		s, logs, _ := running(t, Config{Path: path})
		eventually.Holds(t, "a second try", func() bool { return logs.FilterMessage("still not taking orders").Len() >= 1 })
		if w := s.Warnings(); len(w) != 1 || !contains(w[0], path, says, "; the watch goes on, but hold, release, postpone and stop are not taken until then") {
			t.Errorf("%s: it warns %q", path, w)
		}
	}
}

// Many that begin together over the socket of a dead one: one of them gets it, and the next one when that ends.
func TestManyServers(t *testing.T) {
	path := socketPath(t)
	dead(t, path)
	const n = 6
	var servers []*Server
	var ends []func()
	for range n {
		// Nobody loses their file in here, or looking for it every 5 ms would hide that.
		s, _, end := running(t, Config{Path: path, Retry: 50 * time.Millisecond})
		servers, ends = append(servers, s), append(ends, end)
	}
	for range n {
		open := func() (which int) {
			which = -1
			for i, s := range servers {
				if s.Open() {
					if which >= 0 {
						t.Fatalf("servers %d and %d are open", which, i)
					}
					which = i
				}
			}
			return which
		}
		eventually.Holds(t, "one that is open", func() bool { return open() >= 0 })
		if _, err := (Client{Path: path}).Standing(t.Context()); err != nil {
			t.Error(err)
		}
		ends[open()]()
	}
}

// A cleaner of old files took the socket away, or somebody else took its place.
func TestLostSocket(t *testing.T) {
	path := socketPath(t)
	s, logs, _ := opened(t, Config{Path: path})
	must(t, os.Remove(path))
	eventually.Holds(t, "another socket", func() bool { _, err := Client{Path: path}.Standing(t.Context()); return err == nil })
	if logs.FilterMessage("the socket for orders is gone and is made anew").Len() != 1 {
		t.Errorf("the log has %v", logs.All())
	}

	written(t, path+"2", "another's")
	must(t, os.Rename(path+"2", path))
	eventually.Holds(t, "a warning", func() bool { return len(s.Warnings()) == 1 })
	if text, err := os.ReadFile(path); string(text) != "another's" || s.Open() {
		t.Errorf("the other's file is %q, %v", text, err)
	}
}

// At the end only what is ours is taken away.
func TestEndLeavesOthersFiles(t *testing.T) {
	path := socketPath(t)
	_, _, end := opened(t, Config{Path: path, Retry: time.Hour})
	written(t, path+"2", "another's")
	must(t, os.Rename(path+"2", path))
	end()
	if text, err := os.ReadFile(path); string(text) != "another's" {
		t.Errorf("the other's file is %q, %v", text, err)
	}
}

// An asker who leaves ends their order's context, and nobody else's.
func TestAskerLeaves(t *testing.T) {
	inside, left := make(chan struct{}, 2), make(chan error, 1)
	stays := make(chan struct{})
	d := &desk{does: func(ctx context.Context, order any) (orders.Answer, error) {
		inside <- struct{}{}
		if _, ok := order.(orders.Stop); ok {
			<-ctx.Done()
			left <- ctx.Err()
			return orders.Answer{}, ctx.Err()
		}
		<-stays
		return held(), ctx.Err()
	}}
	s, _, _ := opened(t, Config{Path: socketPath(t), Orders: d})
	c := Client{Path: s.Path()}
	patient := make(chan error, 1)
	go func() {
		_, err := c.Hold(context.WithoutCancel(t.Context()), time.Hour, "")
		patient <- err
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	leaving := make(chan error, 1)
	go func() {
		_, err := c.Stop(ctx, false)
		leaving <- err
	}()
	<-inside
	cancel()
	if err := <-leaving; !errors.Is(err, context.Canceled) || orders.KindOf(err) != orders.Failed || !strings.Contains(err.Error(), "not known whether") {
		t.Errorf("who leaves hears %v", err)
	}
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the order sees %v", err)
	}
	close(stays)
	if err := <-patient; err != nil {
		t.Errorf("who stays hears %v", err)
	}
}

// At the end an order sees its context end, and its asker hears of it.
func TestEndDuringAnOrder(t *testing.T) {
	inside := make(chan struct{})
	d := &desk{does: func(ctx context.Context, _ any) (orders.Answer, error) {
		close(inside)
		<-ctx.Done()
		return orders.Answer{}, ctx.Err()
	}}
	s, _, end := opened(t, Config{Path: socketPath(t), Orders: d})
	heard := make(chan error, 1)
	go func() {
		_, err := Client{Path: s.Path()}.Stop(context.WithoutCancel(t.Context()), false)
		heard <- err
	}()
	<-inside
	end()
	if err := <-heard; orders.KindOf(err) != orders.Failed || !strings.Contains(err.Error(), "the watchdog ends, or the asker is gone") {
		t.Errorf("heard %v", err)
	}
}

// An order that does not end does not keep the watchdog from ending.
func TestEndCutsOff(t *testing.T) {
	inside, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	d := &desk{does: func(context.Context, any) (orders.Answer, error) {
		close(inside)
		<-never
		return orders.Answer{}, nil
	}}
	s, logs, end := opened(t, Config{Path: socketPath(t), Orders: d})
	heard := make(chan error, 1)
	go func() {
		_, err := Client{Path: s.Path()}.Stop(context.WithoutCancel(t.Context()), false)
		heard <- err
	}()
	<-inside
	begun := time.Now()
	end()
	if took := time.Since(begun); took < grace || took > grace+5*time.Second {
		t.Errorf("ended after %s", took)
	}
	if err := <-heard; orders.KindOf(err) != orders.Unreachable {
		t.Errorf("heard %v", err)
	}
	if logs.FilterMessage("orders cut off at the end").Len() != 1 {
		t.Error("the log does not say that an order was cut off")
	}
}

// Those who connect and say nothing leave room for those who speak.
func TestSilentConnections(t *testing.T) {
	s, _, _ := opened(t, Config{Path: socketPath(t)})
	for range connections - 1 {
		c, err := net.Dial("unix", s.Path())
		must(t, err)
		defer c.Close()
	}
	if _, err := (Client{Path: s.Path()}).Standing(t.Context()); err != nil {
		t.Error(err)
	}
}
