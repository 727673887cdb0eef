package child

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
)

// pair is a link: the supervisor's end, and the watchdog's as Open finds it.
func pair(t *testing.T) (theirs *os.File, ours *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs = os.NewFile(uintptr(fds[0]), "supervisor")
	t.Cleanup(func() { theirs.Close() })
	ours, err = Open(func(name string) string {
		if name != link.Variable {
			return ""
		}
		return fmt.Sprint(fds[1])
	})
	if err != nil {
		t.Fatal(err)
	}
	return theirs, ours
}

func send(t *testing.T, to *os.File, text []byte) {
	t.Helper()
	if err := unix.Send(int(to.Fd()), text, 0); err != nil {
		t.Fatal(err)
	}
}

func message(t *testing.T, m link.Message) []byte {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
	}
}

func TestWhatTheSupervisorTellsIsKnown(t *testing.T) {
	theirs, ours := pair(t)
	lines := make(chan string, 10)
	s := New(ours, func(l link.Line) { lines <- l.Text })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	at := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	if got := s.Read(at); got.Known {
		t.Errorf("before a word: %+v", got)
	}
	send(t, theirs, message(t, link.Message{Server: &link.Server{PID: 17, Failures: 2, Tail: []string{"a", "b"}, Starts: []link.Start{
		{At: at.Add(-time.Hour), EndedAt: at.Add(-time.Minute), Status: 139}, {At: at.Add(-30 * time.Second)},
	}}}))
	send(t, theirs, []byte("{half a mess"))
	send(t, theirs, message(t, link.Message{Line: &link.Line{At: at, Text: "Loading weights took 3 s"}}))
	if got := <-lines; got != "Loading weights took 3 s" {
		t.Errorf("line %q", got)
	}
	got := s.Read(at)
	if !got.Known || !got.Running || got.Done || got.RunningFor != 30*time.Second || got.Failures != 2 || got.Status != 139 || !slices.Equal(got.Tail, []string{"a", "b"}) {
		t.Errorf("have %+v", got)
	}
	if early := s.Read(at.Add(-time.Hour)); early.RunningFor != 0 {
		t.Errorf("before it was started it ran for %s", early.RunningFor)
	}
	send(t, theirs, message(t, link.Message{Server: &link.Server{Done: true, Starts: []link.Start{{At: at, EndedAt: at.Add(time.Second)}}}}))
	eventually(t, func() bool { return s.Read(at).Done })
	if got := s.Read(at); got.Running || got.RunningFor != 0 || got.Status != 0 {
		t.Errorf("done: %+v", got)
	}
	cancel()
	<-ended
}

func TestASupervisorThatIsGoneEndsTheReading(t *testing.T) {
	theirs, ours := pair(t)
	s := New(ours, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(t.Context())
	}()
	send(t, theirs, message(t, link.Message{Line: &link.Line{Text: "nobody wants it"}, Server: &link.Server{PID: 1, Starts: []link.Start{{At: time.Now()}}}}))
	eventually(t, func() bool { return s.Read(time.Now()).Running })
	theirs.Close()
	<-ended
	if !s.Read(time.Now()).Known {
		t.Error("what was known is forgotten")
	}
}

func TestOpenRefusesWhatIsNoLink(t *testing.T) {
	none, err := Open(func(string) string { return "" })
	if none != nil || err != nil {
		t.Errorf("without a supervisor: %v, %v", none, err)
	}
	file, err := os.CreateTemp(t.TempDir(), "file")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd()))
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"three", "-1", fmt.Sprint(fd)} {
		if _, err := Open(func(string) string { return value }); err == nil || !strings.Contains(err.Error(), link.Variable) {
			t.Errorf("%s=%s: %v", link.Variable, value, err)
		}
	}
}
