package host

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

// seat is a real pseudo terminal: the end at which a person sits, or a program that holds it for one.
type seat struct {
	t      *testing.T
	master *os.File
	number int
}

func newSeat(t *testing.T) *seat {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("this machine gives no terminal: open /dev/ptmx: %v", err)
	}
	s := &seat{t: t, master: os.NewFile(uintptr(fd), "/dev/ptmx")}
	var screen sync.WaitGroup
	t.Cleanup(func() { s.master.Close(); screen.Wait() })
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.number = int(number)
	screen.Go(func() { _, _ = io.Copy(io.Discard, s.master) })
	return s
}

func (s *seat) name() string { return fmt.Sprintf("pts/%d", s.number) }

func (s *seat) slave() *os.File {
	s.t.Helper()
	f, err := os.OpenFile("/dev/"+s.name(), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { f.Close() })
	return f
}

// run starts a program as the leader of a session on this terminal. It ends with the test.
func (s *seat) run(cmd *exec.Cmd) {
	s.t.Helper()
	tty := s.slave()
	if cmd.Stdin == nil {
		cmd.Stdin = tty
	}
	cmd.Stdout, cmd.Stderr = tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// printer starts a program of that name which prints what it is told and reads nothing from the terminal. files are its files from 3 on.
func (s *seat) printer(name string, files ...*os.File) (say func(string)) {
	s.t.Helper()
	cat, err := exec.LookPath("cat")
	if err != nil {
		s.t.Skip(err)
	}
	link := filepath.Join(s.t.TempDir(), name)
	if err := os.Symlink(cat, link); err != nil {
		s.t.Fatal(err)
	}
	in, out, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { in.Close(); out.Close() })
	s.run(&exec.Cmd{Path: link, Args: []string{"cat"}, Stdin: in, ExtraFiles: files})
	return func(line string) {
		if _, err := out.WriteString(line + "\n"); err != nil {
			s.t.Error(err)
		}
	}
}

// rest sets the terminal's times an hour back, so that the next input and output show at once and not in the kernel's next step,
// and has the readers take note of that. That is a change of the file, whose time the kernel takes from a clock of 4 ms: a second one
// within these would look like a use.
func (s *seat) rest(readers ...*Terminals) {
	s.t.Helper()
	path := "/dev/" + s.name()
	changed := func() (st unix.Stat_t) {
		if err := unix.Stat(path, &st); err != nil {
			s.t.Fatal(err)
		}
		return st
	}
	before := changed().Ctim
	eventually.Within(s.t, 5*time.Second, "the times of "+s.name()+" are set", func() bool {
		past := unix.NsecToTimespec(time.Now().Add(-time.Hour).UnixNano())
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{past, past}, 0); err != nil {
			s.t.Fatal(err)
		}
		return changed().Ctim != before
	})
	for _, r := range readers {
		r.Read(s.t.Context())
	}
}

// printed waits until something was written to the terminal since it rested.
func (s *seat) printed() {
	s.t.Helper()
	eventually.Within(s.t, 5*time.Second, "output on "+s.name(), func() bool {
		info, err := os.Stat("/dev/" + s.name())
		return err == nil && time.Since(info.ModTime()) < time.Minute
	})
}

// use is the terminal's use, as a reader has it.
func (s *seat) use(r *Terminals) (TerminalUse, bool) {
	s.t.Helper()
	got := r.Read(s.t.Context())
	if got.Reason != "" {
		s.t.Fatalf("%+v", got)
	}
	i := slices.IndexFunc(got.Uses, func(u TerminalUse) bool { return u.Name == s.name() })
	if i < 0 {
		return TerminalUse{}, false
	}
	return got.Uses[i], true
}

// used waits for a use by a program.
func (s *seat) used(r *Terminals, program string, typed bool) {
	s.t.Helper()
	var got TerminalUse
	eventually.Within(s.t, 5*time.Second, s.name()+" in use", func() bool { var ok bool; got, ok = s.use(r); return ok })
	if got.Program != program || got.Typed != typed || got.Ago < 0 || got.Ago > ttyStep || got.Closed {
		s.t.Errorf("got %+v, want %q, typed %v", got, program, typed)
	}
}

func (s *seat) unused(r *Terminals) {
	s.t.Helper()
	if got, used := s.use(r); used {
		s.t.Errorf("in use: %+v", got)
	}
}

func (s *seat) typeIn(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// The real kernel's terminals and processes, without privileges.
func TestTerminalsOfThisMachine(t *testing.T) {
	if !asNobody(t) {
		return
	}
	t.Run("somebody types into a shell", func(t *testing.T) {
		s, r := newSeat(t), NewTerminals(TerminalConfig{})
		s.run(exec.CommandContext(t.Context(), "/bin/sh"))
		s.rest(r)
		s.unused(r)
		s.typeIn("\n")
		s.used(r, "sh", true)
	})
	t.Run("a shell that nobody uses, and a message to all terminals", func(t *testing.T) {
		s, r := newSeat(t), NewTerminals(TerminalConfig{})
		s.run(exec.CommandContext(t.Context(), "/bin/sh"))
		s.unused(r)
		s.rest(r)
		if _, err := s.slave().WriteString("the system goes down\n"); err != nil {
			t.Fatal(err)
		}
		s.printed()
		s.unused(r)
	})
	t.Run("a program prints, and nobody types", func(t *testing.T) {
		s, r := newSeat(t), NewTerminals(TerminalConfig{})
		say := s.printer("train")
		s.rest(r)
		s.unused(r)
		say("epoch 1")
		s.used(r, "train", false)
		s.rest(r)
		if _, used := s.use(r); !used {
			t.Error("the use is forgotten")
		}
	})
	t.Run("a program that only shows what goes on", func(t *testing.T) {
		s, r := newSeat(t), NewTerminals(TerminalConfig{})
		say := s.printer("htop")
		s.rest(r)
		say("0 %")
		s.printed()
		s.unused(r)
	})
	t.Run("the log of a server", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		s := newSeat(t)
		r, other := NewTerminals(TerminalConfig{Ports: []uint16{uint16(l.Addr().(*net.TCPAddr).Port)}}), NewTerminals(TerminalConfig{Ports: []uint16{1}})
		say := s.printer("python3", f)
		s.rest(r, other)
		say("INFO: 127.0.0.1 - GET /metrics 200")
		s.printed()
		s.unused(r)
		s.used(other, "python3", false) // as soon as it is not known to be a server
	})
	t.Run("a terminal that somebody leaves", func(t *testing.T) {
		s, r := newSeat(t), NewTerminals(TerminalConfig{})
		cmd := exec.CommandContext(t.Context(), "/bin/sh")
		s.run(cmd)
		s.rest(r)
		s.typeIn("\n")
		s.used(r, "sh", true)
		_ = cmd.Process.Kill()
		s.master.Close()
		eventually.Within(t, 5*time.Second, "the terminal is closed", func() bool {
			got, used := s.use(r)
			return used && got.Closed && got.Program == "sh"
		})
	})
	t.Run("tmux", testTmux)
}

// A real tmux: a detached one holds terminals, and an attached one draws a clock.
func testTmux(t *testing.T) {
	path, err := exec.LookPath("tmux")
	if err != nil {
		t.Skip(err)
	}
	folder := t.TempDir()
	tmux := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), path, append([]string{"-f", "/dev/null", "-S", filepath.Join(folder, "s")}, args...)...)
		cmd.Env = []string{"TERM=xterm", "PATH=" + os.Getenv("PATH"), "HOME=" + folder, "SHELL=/bin/sh", "LC_ALL=C.UTF-8"}
		return cmd
	}
	ask := func(args ...string) string {
		t.Helper()
		out, err := tmux(args...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %s: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	pane := &seat{t: t}
	terminal := ask("new-session", "-d", "-P", "-F", "#{pane_tty}")
	t.Cleanup(func() { _ = exec.Command(path, "-S", filepath.Join(folder, "s"), "kill-server").Run() })
	if _, err := fmt.Sscanf(terminal, "/dev/pts/%d", &pane.number); err != nil {
		t.Fatalf("tmux holds %q: %v", terminal, err)
	}

	r := NewTerminals(TerminalConfig{})
	pane.rest(r)
	pane.unused(r)
	ask("send-keys", "Enter")
	pane.used(r, "sh", true)

	ask("set-option", "-g", "status-interval", "1")
	ask("set-option", "-g", "status-right", "%H:%M:%S")
	r = NewTerminals(TerminalConfig{})
	s := newSeat(t)
	s.run(tmux("attach"))
	eventually.Within(t, 5*time.Second, "tmux is attached", func() bool { return ask("list-clients") != "" })
	pane.rest(r)
	s.rest(r)
	s.printed()
	s.unused(r)
	pane.unused(r)
	s.typeIn("\r")
	pane.used(r, "sh", true)
	if got, used := s.use(r); !used || !got.Typed || !strings.HasPrefix(got.Program, "tmux") {
		t.Errorf("the terminal of who sits at tmux: %+v, %v", got, used)
	}
}

// A look at terminals on which nothing has happened, which is nearly every look.
func BenchmarkTerminals(b *testing.B) {
	r := NewTerminals(TerminalConfig{})
	if got := r.Read(b.Context()); got.Reason != "" {
		b.Skip(got.Reason)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Read(b.Context())
	}
}
