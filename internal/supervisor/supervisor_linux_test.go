package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
)

func TestExitCodesPassOn(t *testing.T) {
	t.Parallel()
	for code := range 256 {
		if code%8 != 0 && testing.Short() {
			continue
		}
		if got := start(t, play{Server: fmt.Sprintf("exit %d", code), Watch: idleWatch}).status(); got != code {
			t.Errorf("the server ended with %d, the supervisor with %d", code, got)
		}
	}
}

func TestSignalsThatEndTheServerPassOn(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV, syscall.SIGABRT, syscall.SIGHUP} {
		if got := start(t, play{Server: fmt.Sprintf("kill -%d $$", int(sig)), Watch: idleWatch}).status(); got != 128+int(sig) {
			t.Errorf("the server was ended by %s, the supervisor ended with %d", sig, got)
		}
	}
}

func TestCommandsThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for name, want := range map[string]int{"no-such-program-of-ours": statusNotFound, folder: statusNotExecutable} {
		s := &supervisor{Config: Config{Server: []string{name}, Stdin: os.Stdin, Stdout: os.Stdout, Err: os.Stderr, Say: func(string, string, ...any) {}}}
		if got := s.startServer(); got != want {
			t.Errorf("%s: status %d, want %d", name, got, want)
		}
	}
}

func TestSignalsPassToTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: `export ` + roleVariable + `=heard; exec "$SELF"`, Watch: idleWatch})
	s.line("READY")
	for sig, name := range map[syscall.Signal]string{
		syscall.SIGHUP: "hangup", syscall.SIGUSR1: "user defined signal 1", syscall.SIGUSR2: "user defined signal 2", syscall.SIGWINCH: "window changed",
	} {
		s.signal(sig)
		if got := s.line("HEARD"); got != name {
			t.Errorf("sent %s, the server heard %s", sig, got)
		}
	}
	s.signal(syscall.SIGTERM)
	if got := s.status(); got != 7 {
		t.Errorf("status %d", got)
	}
}

// vLLM stays for as long as a client keeps its stream open.
func TestAServerThatStaysIsKilledAfterItsGrace(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: `trap "echo ASKED" TERM; echo READY; while :; do sleep 0.05; done`, Watch: idleWatch, Grace: 300 * time.Millisecond})
	s.line("READY")
	began := time.Now()
	s.signal(syscall.SIGTERM)
	s.line("ASKED")
	if got := s.status(); got != 128+9 {
		t.Errorf("status %d", got)
	}
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("it was killed after %s", took)
	}
	if !strings.Contains(s.said(), "server killed") {
		t.Errorf("it says nothing of that:\n%s", s.said())
	}
}

func TestTheWatchdogIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: `echo "SERVER $$"; exec sleep 1000`, Watch: `echo "WATCH $$"; exec sleep 1000`, Grace: time.Second})
	server, watch := s.pid("SERVER"), s.pid("WATCH")
	if err := syscall.Kill(watch, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.line("SAY error watchdog ended")
	if again := s.pid("WATCH"); again == watch {
		t.Error("the same watchdog")
	}
	if err := syscall.Kill(server, 0); err != nil {
		t.Errorf("the server is gone: %v", err)
	}
	s.signal(syscall.SIGTERM)
	if got := s.status(); got != 128+15 {
		t.Errorf("status %d", got)
	}
}

func TestRefusedSettingsAreSaidAndTheServerGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: "sleep 0.5; exit 4", Watch: "exit 2"})
	if said := s.line("SAY error nobody watches this pod"); !strings.Contains(said, "60") {
		t.Errorf("it is started again at another time than in a minute: %s", said)
	}
	if got := s.status(); got != 4 {
		t.Errorf("status %d", got)
	}
}

func TestAServerThatFailsIsStartedAgainWhereThatIsWanted(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: `echo "SERVER $$"; exit 3`, Watch: toldWatch, Restart: true})
	first := s.pid("SERVER")
	s.line("SAY error server ended")
	if second := s.pid("SERVER"); second == first {
		t.Error("the same server")
	}
	s.signal(syscall.SIGTERM)
	if got := s.status(); got != 128+15 && got != 3 {
		t.Errorf("status %d", got)
	}
}

func TestAServerThatIsDoneIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: `echo finished work; exit 0`, Watch: toldWatch, Restart: true})
	server := s.told(func(told link.Server) bool { return told.Done })
	if server.PID != 0 || len(server.Starts) != 1 || server.Starts[0].Status != 0 || !server.NextStart.IsZero() || len(server.Tail) != 1 || server.Tail[0] != "finished work" {
		t.Errorf("%+v", server)
	}
	s.signal(syscall.SIGTERM)
	if got := s.status(); got != 0 {
		t.Errorf("status %d", got)
	}
}

// told waits for a message about the server that fits.
func (s *supervised) told(fits func(link.Server) bool) link.Server {
	s.t.Helper()
	for {
		var m link.Message
		if err := json.Unmarshal([]byte(s.line("TOLD")), &m); err != nil {
			s.t.Fatal(err)
		}
		if m.Server != nil && fits(*m.Server) {
			return *m.Server
		}
	}
}

func TestTheWatchdogIsToldOfTheServer(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: `sleep 0.3; echo "Loading weights took 3 s"; echo "the key is $MY_API_KEY" >&2; sleep 0.2; exit 5`, Watch: toldWatch, Restart: true}, "MY_API_KEY=abcdefghijk")
	running := s.told(func(told link.Server) bool { return told.PID != 0 })
	if !running.Restarts || running.Program != "/bin/sh" || len(running.Starts) != 1 || !running.Starts[0].EndedAt.IsZero() {
		t.Errorf("running: %+v", running)
	}
	failed := s.told(func(told link.Server) bool { return told.PID == 0 })
	if failed.Starts[0].Status != 5 || failed.Starts[0].EndedAt.IsZero() || failed.NextStart.IsZero() || failed.Done {
		t.Errorf("failed: %+v", failed)
	}
	if tail := strings.Join(failed.Tail, "\n"); !strings.Contains(tail, "Loading weights took 3 s") || !strings.Contains(tail, "the key is [secret]") {
		t.Errorf("its last words were %q", tail)
	}
	if !strings.Contains(s.said(), `"text":"Loading weights took 3 s"`) {
		t.Errorf("its lines were not told:\n%s", s.said())
	}
	for _, line := range s.seen {
		if strings.HasPrefix(line, "TOLD") && strings.Contains(line, "abcdefghijk") {
			t.Errorf("a secret was told: %s", line)
		}
	}
	s.signal(syscall.SIGTERM)
	s.status()
}

func TestNothingOfOursIsInTheServersEnvironment(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: "env; exit 0", Watch: idleWatch}, "WATCHDOG_RUNPOD_API_KEY=planted-1", "WATCHDOG_PRICE=1.5", "RUNPOD_API_KEY=planted-2", "WATCHDOG_USEC=5", "MINE=kept")
	s.status()
	for _, bad := range []string{"planted", "WATCHDOG_PRICE", link.Variable} {
		if strings.Contains(s.said(), bad) {
			t.Errorf("%s is in the server's environment:\n%s", bad, s.said())
		}
	}
	for _, good := range []string{"MINE=kept", "WATCHDOG_USEC=5"} {
		if !strings.Contains(s.said(), good) {
			t.Errorf("%s is not in the server's environment", good)
		}
	}
}

// What the server leaves behind comes to us, and is buried.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	s := start(t, play{
		Server: `i=0; while [ $i -lt 1000 ]; do (sleep 0.01 & ) ; i=$((i+1)); done; sleep 0.5; echo CHILDREN $(cat /proc/$PPID/task/*/children | wc -w); sleep 0.1; exit 0`,
		Watch:  idleWatch,
	})
	// The server and the watchdog; the shell's own pipeline is no child of ours.
	if left := s.line("CHILDREN"); left != "2" {
		t.Errorf("%s children are left, 2 are ours", left)
	}
	if got := s.status(); got != 0 {
		t.Errorf("status %d", got)
	}
}

func TestOutputComesThroughWhole(t *testing.T) {
	t.Parallel()
	s := start(t, play{Server: `i=0; while [ $i -lt 5000 ]; do echo "LINE $i"; i=$((i+1)); done`, Watch: idleWatch})
	s.status()
	n := 0
	for _, line := range s.seen {
		if line == fmt.Sprintf("LINE %d", n) {
			n++
		}
	}
	if n != 5000 {
		t.Errorf("%d of 5000 lines came through in their order", n)
	}
}

// On RunPod the end of the container would be followed by its next start, for ever and unwatched.
func TestACommandThatCannotBeStartedIsTriedAgainWhereThatIsWanted(t *testing.T) {
	s := &supervisor{Config: Config{
		Server: []string{"no-such-program-of-ours"}, Stdin: os.Stdin, Stdout: os.Stdout, Err: os.Stderr, Restart: true, Say: func(string, string, ...any) {},
	}, serverAgain: backoff{first: time.Second, most: time.Minute, calm: time.Minute}}
	if got := s.startServer(); got != 0 {
		t.Fatalf("it ends with %d", got)
	}
	if s.serverDue.IsZero() || s.failures != 1 || len(s.starts) != 1 || s.starts[0].Status != statusNotFound || s.starts[0].EndedAt.IsZero() {
		t.Errorf("%d failures, next at %s, starts %+v", s.failures, s.serverDue, s.starts)
	}
	if tail := strings.Join(s.tail.last(), "\n"); !strings.Contains(tail, "no-such-program-of-ours") {
		t.Errorf("nothing is told of why: %q", tail)
	}
}
