package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// desk is a container's terminals, whose files, processes and clock are the test's. It begins where one of the kernel's steps does.
type desk struct {
	*Terminals
	t     testing.TB
	start time.Time
	at    time.Duration // since the start
	table terminalList
	err   error
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	now := time.Now()
	d := &desk{t: t, start: now.Add(-time.Duration(now.UnixNano() % int64(ttyStep))), table: terminalList{device: "0:26", console: -1}}
	d.Terminals = NewTerminals(TerminalConfig{Ports: []uint16{8000}, Root: t.TempDir()})
	d.self, d.privileged = 900, true
	d.now = func() time.Time { return d.start.Add(d.at) }
	d.list = func() (terminalList, error) {
		return terminalList{device: d.table.device, console: d.table.console, terminals: slices.Clone(d.table.terminals)}, d.err
	}
	write(t, d.root, map[string]string{"proc/self/stat": statLine(sitter{pid: 900, name: "gpu-watchdog"}, -1)})
	return d
}

// wall is the time as the kernel stamps a file when it makes one.
func (d *desk) wall() time.Time { return d.start.Add(d.at).Round(0) }

// open makes a terminal, or another one under the number of one that is gone.
func (d *desk) open(number int) {
	d.close(number)
	d.table.terminals = append(d.table.terminals, terminalTimes{number: number, read: d.wall(), written: d.wall(), changed: d.wall()})
}

func (d *desk) close(number int) {
	d.table.terminals = slices.DeleteFunc(d.table.terminals, func(n terminalTimes) bool { return n.number == number })
}

func (d *desk) times(number int) *terminalTimes {
	return &d.table.terminals[slices.IndexFunc(d.table.terminals, func(n terminalTimes) bool { return n.number == number })]
}

// stamp does as the kernel does: whole seconds, and only where the time lies in another step.
func (d *desk) stamp(times *time.Time) {
	if sec := d.wall().Unix(); (sec^times.Unix())&^7 != 0 {
		*times = time.Unix(sec, 0)
	}
}

func (d *desk) typed(number int) { d.stamp(&d.times(number).read) }
func (d *desk) wrote(number int) { d.stamp(&d.times(number).written) }

// read looks, and expects the source to be well.
func (d *desk) read() []TerminalUse {
	d.t.Helper()
	got := d.Read(d.t.Context())
	if got.State != watchdog.SourceOK || got.Reason != "" || got.Open != len(d.table.terminals) {
		d.t.Errorf("at %v: state %d, reason %q, %d open", d.at, got.State, got.Reason, got.Open)
	}
	return got.Uses
}

// sitter is a process at a terminal.
type sitter struct {
	pid                   int
	name, state           string
	group, session, front int
	fd, mounts            string
}

func (d *desk) sit(number int, sitters ...sitter) {
	d.t.Helper()
	for _, s := range sitters {
		folder := fmt.Sprintf("proc/%d/", s.pid)
		write(d.t, d.root, map[string]string{folder + "stat": statLine(s, number)})
		if s.mounts != "" {
			write(d.t, d.root, map[string]string{folder + "mountinfo": s.mounts})
		}
		if s.fd != "" {
			if err := os.MkdirAll(filepath.Join(d.root, folder, "fd"), 0o755); err != nil {
				d.t.Fatal(err)
			}
			if err := os.Symlink(s.fd, filepath.Join(d.root, folder, "fd/3")); err != nil {
				d.t.Fatal(err)
			}
		}
	}
}

// statLine is a line of /proc/PID/stat for a process on a terminal, -1 for none.
func statLine(s sitter, number int) string {
	device := 0
	if number >= 0 {
		device = number&0xff | 136<<8 | number&^0xff<<12
	}
	if s.state == "" {
		s.state = "S"
	}
	return fmt.Sprintf("%d (%s) %s 1 %d %d %d %d 4194304 96 0\n", s.pid, s.name, s.state, s.group, s.session, int32(uint32(device)), s.front)
}

func devpts(device string) string {
	return "29 26 " + device + " / /dev/pts rw,relatime - devpts devpts rw,mode=600\n"
}
