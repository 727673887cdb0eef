package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Whose input and output are a use of a terminal.
func TestTerminalsWhoUsesThem(t *testing.T) {
	shell := sitter{pid: 100, name: "bash", group: 100, session: 100, front: 200}
	idle := sitter{pid: 100, name: "bash", group: 100, session: 100, front: 100}
	in := func(name string) sitter { return sitter{pid: 200, name: name, group: 200, session: 100, front: 200} }
	behind := func(pid int, name string) sitter {
		return sitter{pid: pid, name: name, group: pid, session: 100, front: 100}
	}
	with := func(s sitter, change func(*sitter)) sitter { change(&s); return s }
	for _, c := range []struct {
		name         string
		sitters      []sitter
		console      bool
		typed, wrote string // the program that is said to use it, or nothing
	}{
		{"the shell of a login", []sitter{idle}, false, "bash", ""},
		{"a program in front", []sitter{shell, in("python3")}, false, "python3", "python3"},
		{"a program in the background", []sitter{idle, behind(200, "python3")}, false, "bash", "python3"},
		{"a program that was stopped", []sitter{idle, with(behind(200, "vim"), func(s *sitter) { s.state = "T" })}, false, "bash", ""},
		{"a program that has ended", []sitter{idle, with(behind(200, "vim"), func(s *sitter) { s.state = "Z" })}, false, "bash", ""},
		{"a script", []sitter{shell, in("bash")}, false, "bash", "bash"},
		{"a program without a shell", []sitter{{pid: 100, name: "ipython", group: 100, session: 100, front: 100}}, false, "ipython", "ipython"},
		{"a pipe: one of its programs leads the group, and has ended", []sitter{shell, with(in("cat"), func(s *sitter) { s.pid, s.name = 201, "sort" })}, false, "sort", "sort"},
		{"what shows what goes on", []sitter{shell, in("htop")}, false, "htop", ""},
		{"an attached tmux, with its clock", []sitter{shell, in("tmux: client (/")}, false, "tmux: client (/", ""},
		{"what shows what goes on, and a program beside it", []sitter{shell, in("watch"), behind(300, "train")}, false, "watch", "train"},
		{"vLLM, by its name", []sitter{shell, in("vllm"), with(in("VLLM::EngineCor"), func(s *sitter) { s.pid = 201 })}, false, "vllm", ""},
		{"a server, by what it listens on", []sitter{shell, with(in("python3"), func(s *sitter) { s.fd = "socket:[77]" })}, false, "python3", ""},
		{"a server in IPv6, by what it listens on", []sitter{shell, with(in("python3"), func(s *sitter) { s.fd = "socket:[79]" })}, false, "python3", ""},
		{"something listens that is not served", []sitter{shell, with(in("python3"), func(s *sitter) { s.fd = "socket:[78]" })}, false, "python3", "python3"},
		{"somebody's connection to the server", []sitter{shell, with(in("python3"), func(s *sitter) { s.fd = "socket:[80]" })}, false, "python3", "python3"},
		{"a server in the background, an editor in front", []sitter{shell, in("vim"), behind(300, "vllm")}, false, "vim", ""},
		{"ourselves", []sitter{shell, with(in("watchdog"), func(s *sitter) { s.pid, s.group, s.front = 900, 900, 900 })}, false, "watchdog", ""},
		{"our supervisor, by its name", []sitter{shell, in("gpu-watchdog")}, false, "gpu-watchdog", ""},
		{"the console: what the container runs", []sitter{{pid: 1, name: "python3", group: 1, session: 1, front: 1}}, false, "python3", ""},
		{"the console: a script that runs something", []sitter{{pid: 1, name: "bash", group: 1, session: 1, front: 1}, {pid: 7, name: "python3", group: 1, session: 1, front: 1}}, false, "bash", ""},
		{"the console: the container's init has started something in a group of its own", []sitter{{pid: 1, name: "tini", group: 1, session: 1, front: 7}, {pid: 7, name: "python3", group: 7, session: 1, front: 7}}, false, "python3", ""},
		{"the console, whose first process is elsewhere", []sitter{{pid: 7, name: "python3", group: 7, session: 7, front: 7}}, true, "python3", ""},
		{"the console: a shell in which somebody has started something", []sitter{{pid: 1, name: "bash", group: 1, session: 1, front: 7}, {pid: 7, name: "python3", group: 7, session: 1, front: 7}}, true, "python3", "python3"},
		{"nobody that can be seen: another container's terminal", nil, false, "", ""},
		{"a process of another container, whose terminals are others", []sitter{with(in("python3"), func(s *sitter) { s.mounts = devpts("0:77") })}, false, "", ""},
		{"a process that has our terminals mounted too", []sitter{with(in("python3"), func(s *sitter) { s.mounts = devpts("0:77") + devpts("0:26") })}, false, "python3", "python3"},
		{"a process in a sandbox without terminals", []sitter{with(in("python3"), func(s *sitter) { s.mounts = mount("/", "/", "overlay", "x") })}, false, "python3", "python3"},
		{"a name to be careful with", []sitter{with(in("a) R 1 (\x1b[2Jb"), func(*sitter) {})}, false, "a) R 1 (?[2Jb", "a) R 1 (?[2Jb"},
	} {
		for number, typed := range map[int]bool{3: true, 700000: false} {
			t.Run(fmt.Sprintf("%s/typed=%v/pts=%d", c.name, typed, number), func(t *testing.T) {
				d := newDesk(t)
				write(t, d.root, map[string]string{
					"proc/self/net/tcp": "  sl  local_address rem_address   st ...\n" +
						"   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1\n" +
						"   1: 0100007F:2328 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 78 1\n" +
						"   2: 0100007F:1F40 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  1000        0 80 1\n",
					"proc/self/net/tcp6": "   0: 00000000000000000000000000000000:1F40 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 79 1\n",
				})
				d.open(number)
				if c.console {
					d.table.console = number
				}
				d.sit(number, c.sitters...)
				d.sit(number+1, sitter{pid: 500, name: "somebody", group: 500, session: 500, front: 500})
				d.sit(-1, sitter{pid: 501, name: "daemon", group: 501, session: 501, front: -1})
				if got := d.read(); len(got) != 0 {
					t.Errorf("nothing has happened: %+v", got)
				}
				d.at = time.Minute
				want := c.wrote
				if typed {
					want = c.typed
					d.typed(number)
				} else {
					d.wrote(number)
				}
				got := d.read()
				if want == "" {
					if len(got) != 0 {
						t.Errorf("got %+v", got)
					}
					return
				}
				if len(got) != 1 || got[0] != (TerminalUse{Name: fmt.Sprintf("pts/%d", number), Program: want, Typed: typed}) {
					t.Errorf("got %+v, want %q", got, want)
				}
			})
		}
	}
}

// What the times of a terminal tell.
func TestTerminalsWhenTheyWereUsed(t *testing.T) {
	const minute = time.Minute
	program := sitter{pid: 200, name: "python3", group: 200, session: 200, front: 200}
	begin := func(t *testing.T) *desk {
		d := newDesk(t)
		d.sit(3, program)
		d.open(3)
		return d
	}
	// check looks, and wants one use at that age, as far as the kernel's steps let it be known; no use where it is negative.
	check := func(t *testing.T, d *desk, step string, ago time.Duration) {
		t.Helper()
		got := d.read()
		if ago < 0 {
			if len(got) != 0 {
				t.Errorf("%s: %+v", step, got)
			}
			return
		}
		if len(got) != 1 || got[0].Ago < 0 || got[0].Ago > ago || got[0].Ago < ago-ttyStep {
			t.Errorf("%s: %+v, want %v ago", step, got, ago)
		}
	}
	t.Run("a use ages", func(t *testing.T) {
		d := begin(t)
		check(t, d, "new", -1)
		d.at = minute
		d.typed(3)
		check(t, d, "typed", 0)
		d.at = 2 * minute
		check(t, d, "a minute later", minute)
		d.wrote(3)
		check(t, d, "wrote", 0)
		d.at = 3 * time.Hour
		check(t, d, "much later", 3*time.Hour-2*minute)
	})
	t.Run("making a terminal, logging in and out is no use", func(t *testing.T) {
		d := begin(t)
		d.at = 50 * time.Millisecond
		d.times(3).changed = d.wall() // its owner is set
		check(t, d, "new", -1)
		d.at = minute
		d.open(3)
		check(t, d, "another one with its number", -1)
		d.times(3).changed = d.wall().Add(time.Second)
		check(t, d, "another mode", -1)
		d.close(3)
		d.at = 2 * minute
		check(t, d, "none", -1)
	})
	t.Run("another terminal with its number is used", func(t *testing.T) {
		d := begin(t)
		check(t, d, "new", -1)
		d.at = minute
		d.open(3)
		d.at = minute + 20*time.Second
		d.typed(3)
		d.at = minute + 30*time.Second
		check(t, d, "typed", 10*time.Second)
	})
	t.Run("what was done before our first look", func(t *testing.T) {
		d := begin(t)
		d.at = minute
		d.typed(3)
		d.at = 11 * minute
		check(t, d, "first", 10*minute)
	})
	t.Run("the wall clock was set back before our first look", func(t *testing.T) {
		d := begin(t)
		d.times(3).read = d.wall().Add(time.Hour)
		check(t, d, "first", 0)
		d.at = 10 * minute
		check(t, d, "later", 10*minute)
	})
	t.Run("the wall clock was set forward meanwhile", func(t *testing.T) {
		d := begin(t)
		check(t, d, "new", -1)
		d.at = minute
		check(t, d, "still nothing", -1)
		d.at = minute + 5*time.Second
		d.times(3).read = d.wall().Add(-2 * time.Hour)
		d.times(3).changed = d.wall().Add(-3 * time.Hour)
		check(t, d, "a time of before the step", 5*time.Second)
	})
	t.Run("it stays known when it is closed, for a day", func(t *testing.T) {
		d := begin(t)
		check(t, d, "new", -1)
		d.at = minute
		d.typed(3)
		check(t, d, "typed", 0)
		d.close(3)
		d.at = 31 * minute
		check(t, d, "closed", 30*minute)
		if got := d.read(); !got[0].Closed || got[0].Program != "python3" || !got[0].Typed {
			t.Errorf("closed: %+v", got)
		}
		d.open(3)
		check(t, d, "another one with its number", 30*minute)
		if got := d.read(); got[0].Closed {
			t.Errorf("open again: %+v", got)
		}
		d.close(3)
		d.at += keepClosed
		check(t, d, "a day later", -1)
	})
	t.Run("the latest comes first", func(t *testing.T) {
		d := begin(t)
		d.open(4)
		d.sit(4, sitter{pid: 300, name: "vim", group: 300, session: 300, front: 300})
		d.at = minute
		d.typed(4)
		check(t, d, "one", 0)
		d.at = 2 * minute
		d.typed(3)
		got := d.read()
		if len(got) != 2 || got[0].Name != "pts/3" || got[1].Name != "pts/4" || got[1].Program != "vim" {
			t.Errorf("got %+v", got)
		}
	})
}

// What cannot be read is absent with a reason, failed where it could be before, and then nothing of it is lost.
func TestTerminalsThatCannotBeRead(t *testing.T) {
	expect := func(t *testing.T, d *desk, state watchdog.SourceState, words string, uses int) {
		t.Helper()
		if got := d.Read(t.Context()); got.State != state || !strings.Contains(got.Reason, words) || (got.Reason == "") != (words == "") || len(got.Uses) != uses {
			t.Errorf("got %+v, want state %d, %q, %d uses", got, state, words, uses)
		}
	}
	t.Run("no terminals here", func(t *testing.T) {
		d := newDesk(t)
		d.err = errors.New("no devpts is mounted there")
		expect(t, d, watchdog.SourceAbsent, "read the terminals: no devpts", 0)
		d.err = nil
		expect(t, d, watchdog.SourceOK, "", 0)
		d.err = errors.New("gone")
		expect(t, d, watchdog.SourceFailed, "gone", 0)
	})
	t.Run("the processes cannot be read", func(t *testing.T) {
		d := newDesk(t)
		d.open(3)
		d.sit(3, sitter{pid: 200, name: "vim", group: 200, session: 200, front: 200})
		expect(t, d, watchdog.SourceOK, "", 0)
		write(t, d.root, map[string]string{"proc/300/stat": "300 (odd\n"})
		d.at = time.Minute
		expect(t, d, watchdog.SourceOK, "", 0) // nothing has happened, so nobody asks who did it
		d.typed(3)
		expect(t, d, watchdog.SourceFailed, "proc/300/stat: no command's name", 0)
		write(t, d.root, map[string]string{"proc/300/stat": statLine(sitter{pid: 300, name: "odd"}, -1)})
		d.at = 2 * time.Minute
		expect(t, d, watchdog.SourceOK, "", 1)
		d.at = 3 * time.Minute
		d.err = errors.New("gone")
		expect(t, d, watchdog.SourceFailed, "gone", 1)
	})
	t.Run("processes are hidden", func(t *testing.T) {
		for options, hidden := range map[string]bool{"hidepid=invisible": true, "hidepid=2": true, "gid=5,hidepid=noaccess": true, "hidepid=0": false, "hidepid=off": false, "gid=5": false} {
			d := newDesk(t)
			d.privileged = false
			write(t, d.root, map[string]string{"proc/self/mountinfo": mount("/", "/proc", "proc", options)})
			d.open(3)
			d.at = time.Minute
			d.typed(3)
			if hidden {
				expect(t, d, watchdog.SourceAbsent, "hidepid", 0)
				d.privileged = true
			}
			expect(t, d, watchdog.SourceOK, "", 0)
		}
	})
	t.Run("too late", func(t *testing.T) {
		d := newDesk(t)
		late, cancel := context.WithCancel(t.Context())
		cancel()
		if got := d.Read(late); got.State != watchdog.SourceFailed || got.Reason == "" {
			t.Errorf("got %+v", got)
		}
	})
}

// Whatever happens on terminals, at whatever distance one looks: the age that is said is never negative, never more than the truth
// and at most one of the kernel's steps less.
func TestTerminalsNeverSayTooMuch(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 9))
		d := newDesk(t)
		const numbers = 4
		// last is the latest use of each number in a step that the kernel has noted; what was not yet looked at when a terminal was
		// closed is lost with it.
		last, looked := map[int]time.Duration{}, map[int]time.Duration{}
		for number := range numbers {
			d.sit(number, sitter{pid: 200 + number, name: "vim", group: 200 + number, session: 200 + number, front: 200 + number})
		}
		for range 300 {
			d.at += time.Duration(rng.IntN(6000)) * time.Millisecond
			number := rng.IntN(numbers)
			open := slices.ContainsFunc(d.table.terminals, func(n terminalTimes) bool { return n.number == number })
			switch n := rng.IntN(12); {
			case !open:
				d.open(number)
			case n == 0:
				d.close(number)
				if when, was := looked[number]; was {
					last[number] = when
				} else {
					delete(last, number)
				}
			case n < 8:
				times := d.times(number)
				if n%2 == 0 {
					d.typed(number)
				} else {
					d.wrote(number)
				}
				if sameStep(d.wall(), times.read) && times.read.After(times.changed) || sameStep(d.wall(), times.written) && times.written.After(times.changed) {
					last[number] = d.at
				}
			default:
				got := map[string]time.Duration{}
				for _, use := range d.read() {
					got[use.Name] = use.Ago
				}
				looked = maps.Clone(last)
				for number := range numbers {
					ago, used := got[fmt.Sprintf("pts/%d", number)]
					when, was := last[number]
					truth := max(0, d.at-when)
					if used != was || used && (ago < 0 || ago > truth || ago < truth-ttyStep) {
						t.Fatalf("seed %d at %v: pts/%d was used %v ago (%v), the truth is %v (%v)", seed, d.at, number, ago, used, truth, was)
					}
				}
			}
		}
	}
}

func sameStep(a, b time.Time) bool { return (a.Unix()^b.Unix())&^7 == 0 }
