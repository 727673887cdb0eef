package supervisor

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
)

// The test's own program plays all the parts, each a process of its own: this variable says which.
const roleVariable = "GPU_WATCHDOG_TEST_ROLE"

// play is what one supervisor is to run, as JSON in a variable.
type play struct {
	// Server and Watch are shell scripts; WATCH in them is this program as a watchdog that writes down what it is told.
	Server, Watch string
	Restart       bool
	Grace         time.Duration
}

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "supervisor":
		supervise()
	case "watch":
		listen()
	case "heard":
		heard()
	default:
		if signal.Ignored(syscall.SIGHUP) { // by nohup: what is started here must not inherit that
			signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
		}
		os.Exit(m.Run())
	}
}

func supervise() {
	var p play
	if err := json.Unmarshal([]byte(os.Getenv("PLAY")), &p); err != nil {
		panic(err)
	}
	environ := []string{}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, roleVariable+"=") && !strings.HasPrefix(e, "PLAY=") {
			environ = append(environ, e)
		}
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	environ = append(environ, "SELF="+self)
	os.Exit(Run(Config{
		Server: []string{"/bin/sh", "-c", p.Server}, Watch: []string{"/bin/sh", "-c", p.Watch}, Environ: environ,
		Stdin: os.Stdin, Stdout: os.Stdout, Err: os.Stderr, Restart: p.Restart, Grace: cmp.Or(p.Grace, Grace),
		Say: func(level, message string, facts ...any) {
			fmt.Fprintln(os.Stderr, "SAY", level, message, fmt.Sprint(facts...))
		},
	}))
}

// listen is a watchdog: it prints each message that it is told, and ends by SIGTERM or when it is told nothing more.
func listen() {
	fd, err := strconv.Atoi(os.Getenv(link.Variable))
	if err != nil {
		fmt.Println("LINK", err)
		os.Exit(9)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	go func() {
		<-ended
		fmt.Println("WATCH ENDS")
		os.Exit(0)
	}()
	buf := make([]byte, link.MostBytes)
	for {
		n, err := syscall.Read(fd, buf)
		if n == 0 || err != nil {
			select {} // until we are ended
		}
		fmt.Println("TOLD", string(buf[:n]))
	}
}

// heard prints the name of each signal that it gets, and ends with 7 by SIGTERM.
func heard() {
	all := make(chan os.Signal, 16)
	signal.Notify(all, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGALRM, syscall.SIGTERM)
	fmt.Println("READY", os.Getpid())
	for s := range all {
		fmt.Println("HEARD", s)
		if s == syscall.SIGTERM {
			os.Exit(7)
		}
	}
}

// A watchdog that does nothing but end when it is told to.
const idleWatch = "exec sleep 1000"

// toldWatch is one that prints what it is told.
const toldWatch = `export ` + roleVariable + `=watch; exec "$SELF"`

// supervised is a supervisor that runs.
type supervised struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
	seen  []string
	// waiting are lines that nobody has asked for yet: two processes write in any order.
	waiting []string
}

// start starts one, with more variables in its environment.
func start(t *testing.T, p play, environ ...string) *supervised {
	t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &supervised{t: t, cmd: exec.Command(self), lines: make(chan string, 10_000)}
	s.cmd.Env = append(os.Environ(), roleVariable+"=supervisor", "PLAY="+string(text))
	s.cmd.Env = append(s.cmd.Env, environ...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd.Stdout, s.cmd.Stderr = in, in
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		out.Close()
	})
	return s
}

const patience = 20 * time.Second

// line waits for a line that begins so, and returns what follows. Each line is returned once.
func (s *supervised) line(begins string) string {
	s.t.Helper()
	for i, line := range s.waiting {
		if rest, found := strings.CutPrefix(line, begins); found {
			s.waiting = slices.Delete(s.waiting, i, i+1)
			return strings.TrimSpace(rest)
		}
	}
	timeout := time.After(patience)
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				s.t.Fatalf("it ended without %q; it said:\n%s", begins, strings.Join(s.seen, "\n"))
			}
			s.seen = append(s.seen, line)
			if rest, found := strings.CutPrefix(line, begins); found {
				return strings.TrimSpace(rest)
			}
			s.waiting = append(s.waiting, line)
		case <-timeout:
			s.t.Fatalf("no %q within %s; it said:\n%s", begins, patience, strings.Join(s.seen, "\n"))
		}
	}
}

// pid is the number in a line that begins so.
func (s *supervised) pid(begins string) int {
	s.t.Helper()
	text := s.line(begins)
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatalf("%q is no process: %v", text, err)
	}
	return n
}

// status waits for its end and returns its exit code; a signal that ended it is 128 + n.
func (s *supervised) status() int {
	s.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() })
	defer timer.Stop()
	for line := range s.lines {
		s.seen = append(s.seen, line)
	}
	_ = s.cmd.Wait()
	ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}

func (s *supervised) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *supervised) said() string { return strings.Join(s.seen, "\n") }
