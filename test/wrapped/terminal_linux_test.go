package wrapped

import (
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal is a pair of a terminal's ends: what a person has before them, and what a program has.
func terminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// A person at a terminal has the server before them: it knows that it is one, reads its lines, and gets its keys.
func TestATerminalIsTheServers(t *testing.T) {
	t.Parallel()
	person, program := terminal(t)
	w := &wrapper{t: t, cmd: command(t, []string{refused}, nil,
		`test -t 0 && test -t 1 && test -t 2 && echo TERMINAL; read line; echo "READ $line"; trap "echo KEY; exit 5" INT; echo READY; while :; do sleep 0.02; done`), ended: make(chan struct{})}
	w.out.more, w.log.more = make(chan struct{}), make(chan struct{})
	w.cmd.Stdin, w.cmd.Stdout, w.cmd.Stderr = program, program, program
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	program.Close()
	go w.out.read(person)
	go func() {
		defer close(w.ended)
		_ = w.cmd.Wait() // status says how it ended
	}()
	t.Cleanup(func() {
		left := children(w.cmd.Process.Pid)
		_ = w.cmd.Process.Kill()
		for _, pid := range left {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
		<-w.ended
		if t.Failed() {
			t.Logf("the terminal shows:\n%s", w.out.text())
		}
	})
	w.said("TERMINAL")
	if _, err := person.WriteString("hello there\n"); err != nil {
		t.Fatal(err)
	}
	if got := w.said("READ "); got != "hello there" {
		t.Errorf("it read %q", got)
	}
	w.said("READY")
	if _, err := person.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	if got := w.status(); got != 5 {
		t.Errorf("status %d", got)
	}
}
