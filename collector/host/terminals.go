package host

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// ttyStep: the kernel notes the input and output of a terminal once in each eight seconds of the clock, so that nobody can tell
	// keystrokes apart. What has happened within such a step shows as its first moment.
	ttyStep = 8 * time.Second
	// keepClosed is how long the last use of a terminal is remembered that is no longer there; nobody guards for longer.
	keepClosed = 24 * time.Hour
	// maxTerminals is what the kernel allows by default (kernel.pty.max).
	maxTerminals = 4096
)

// TerminalConfig says where to look, and what serves here.
type TerminalConfig struct {
	// Ports are the served TCP ports: what listens on one of them is a server, and the log of a server is nobody's doing.
	Ports []uint16
	// Root is where /dev and /proc are looked for; empty is "/".
	Root string
}

// TerminalReading is one look at the terminals of this container.
type TerminalReading struct {
	State watchdog.SourceState
	// Reason says why it is absent or failed.
	Reason string
	// Open is how many pseudo terminals there are, used or not.
	Open int
	// Uses are those that were in use at any time, the latest use first. What was seen earlier stands also where this look failed.
	Uses []TerminalUse
}

// TerminalUse is the last use of one terminal.
type TerminalUse struct {
	// Name is the terminal's own, as "pts/3".
	Name string
	// Program is the name of what was in its foreground then, without arguments; no line breaks, at most some dozen characters.
	Program string
	// Typed: something was typed that Program has read. Else Program has written.
	Typed bool
	// Ago is how long ago that was, never negative. It may be up to 8 s less than the truth, never more.
	Ago time.Duration
	// Closed: the terminal is gone by now.
	Closed bool
}

// Terminals tells which pseudo terminals (SSH, web terminals, kubectl exec -it, tmux) are really used: by the times of their last
// input and output, and by the processes that hang on them. It needs no privileges, reads no terminal and no arguments.
//
// A terminal is in use when something is typed, whatever runs there; or when a program writes to it that is neither a server, nor
// ourselves, nor one that only shows what goes on (top, tail, an attached tmux). An idle shell does neither. Where a server or we
// ourselves hang on a terminal, nothing that is written there counts: it may be a log. The same holds for the container's console,
// unless it is a shell in which somebody has started something. A terminal on which no process of ours hangs is another
// container's, of which only /dev/pts was mounted here.
//
// In a Kubernetes sidecar the server's container has terminals of its own, which cannot be seen from here. The caller knows that it
// is in one.
type Terminals struct {
	root  string
	ports []uint16
	list  func() (terminalList, error)
	now   func() time.Time
	// self is our process, and whether it sees those that /proc hides from others.
	self       int
	privileged bool

	mu     sync.Mutex
	worked bool
	looked time.Time // the last complete look; zero before the first
	seen   map[int]terminalMemory
}

// terminalList is what /dev/pts holds.
type terminalList struct {
	// device is that of the file system, as /proc/PID/mountinfo has it: every container has one of its own.
	device string
	// console is the number of the container's console, -1 where it is none of these.
	console   int
	terminals []terminalTimes
}

// terminalTimes are the times of one terminal's file.
type terminalTimes struct {
	number int
	// read is when a program last read what was typed, and written when one last wrote, in the steps of ttyStep. Both are those of
	// its creation at first, and so is changed, the time of the last change of its owner or mode: logging in sets these at once.
	// Kernels of before 2023 miss here what goes through /dev/tty.
	read, written, changed time.Time
}

// terminalMemory is what is remembered of one terminal.
type terminalMemory struct {
	terminalTimes
	// used is by the monotonic clock, so that no step of the wall clock moves it; zero is never.
	used    time.Time
	program string
	typed   bool
	open    bool
}

// motion is what has happened on one terminal since the last look.
type motion struct {
	terminalTimes
	typed, wrote bool
}

// NewTerminals prepares a reader; nothing is read before the first Read.
func NewTerminals(cfg TerminalConfig) *Terminals {
	return &Terminals{
		root: cfg.Root, ports: slices.Clone(cfg.Ports), now: time.Now, self: os.Getpid(), privileged: os.Getuid() == 0,
		list: func() (terminalList, error) { return listTerminals(cfg.Root) },
	}
}

// Read looks at every terminal. The processes are looked at only where something was typed or written since the last look, so a
// pod without terminals pays for one folder. It honours ctx and is safe for concurrent use.
//
// Absent: there are no terminals to be seen here (no /dev/pts, another system, processes hidden). Failed: they could be seen before.
func (t *Terminals) Read(ctx context.Context) TerminalReading {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	out := TerminalReading{State: watchdog.SourceOK}
	list, err := t.look(ctx, now)
	switch {
	case err == nil:
		t.worked, out.Open = true, len(list.terminals)
	case t.worked || ctx.Err() != nil:
		out.State, out.Reason = watchdog.SourceFailed, fmt.Sprintf("read the terminals: %v", err)
	default:
		out.State, out.Reason = watchdog.SourceAbsent, fmt.Sprintf("read the terminals: %v", err)
	}
	out.Uses = t.uses(now)
	return out
}

// look takes in what has changed. After an error it is as if it had not been made: the next look finds the same changes.
func (t *Terminals) look(ctx context.Context, now time.Time) (terminalList, error) {
	if err := ctx.Err(); err != nil {
		return terminalList{}, err
	}
	list, err := t.list()
	if err != nil {
		return terminalList{}, err
	}
	moved := map[int]motion{}
	for _, times := range list.terminals {
		before, known := t.seen[times.number]
		m := motion{terminalTimes: times, typed: times.moved(times.read, before.read, before, known), wrote: times.moved(times.written, before.written, before, known)}
		if m.typed || m.wrote {
			moved[times.number] = m
		}
	}
	var crowds map[int]crowd
	if len(moved) > 0 {
		if crowds, err = t.crowds(ctx, list.device, moved); err != nil {
			return terminalList{}, err
		}
	}
	seen := make(map[int]terminalMemory, len(list.terminals))
	for _, times := range list.terminals {
		memory := t.seen[times.number]
		memory.terminalTimes, memory.open = times, true
		if m, has := moved[times.number]; has {
			memory.take(m, crowds[times.number], times.number == list.console, now, t.looked)
		}
		seen[times.number] = memory
	}
	for number, memory := range t.seen {
		if _, still := seen[number]; !still && !memory.used.IsZero() && now.Sub(memory.used) < keepClosed {
			memory.open = false
			seen[number] = memory
		}
	}
	t.seen, t.looked = seen, now
	return list, nil
}

// moved says that a time of a terminal tells of something that has happened since the last look. A terminal that was never seen
// before, or that is another one under the same number, has times from its creation: they tell nothing.
func (n terminalTimes) moved(is, was time.Time, before terminalMemory, known bool) bool {
	if known && n.changed.Equal(before.changed) {
		return !is.Equal(was)
	}
	return is.After(n.changed)
}

// take remembers the latest use that a motion tells of, if it tells of one.
func (m *terminalMemory) take(moved motion, on crowd, console bool, now, looked time.Time) {
	use := func(stamp time.Time, program string, typed bool) {
		if at := usedAt(stamp, now, looked); m.used.IsZero() || at.After(m.used) {
			m.used, m.program, m.typed = at, program, typed
		}
	}
	if moved.typed && len(on) > 0 {
		use(moved.read, on.front(), true)
	}
	if moved.wrote {
		if program := on.writer(console); program != "" {
			use(moved.written, program, false)
		}
	}
}

// usedAt turns a time of the file system into one of our monotonic clock: the latest at which the last use within that step can
// have been, and not before the last look, which did not see it yet. So the wall clock may step without making a use look old.
func usedAt(stamp, now, looked time.Time) time.Time {
	ago := now.Sub(time.Unix((stamp.Unix()|7)+1, 0))
	if !looked.IsZero() {
		ago = min(ago, now.Sub(looked))
	}
	return now.Add(-max(ago, -ttyStep))
}

// uses lists what is remembered, the latest use first.
func (t *Terminals) uses(now time.Time) []TerminalUse {
	var out []TerminalUse
	for number, m := range t.seen {
		if !m.used.IsZero() {
			out = append(out, TerminalUse{Name: fmt.Sprintf("pts/%d", number), Program: m.program, Typed: m.typed, Ago: max(0, now.Sub(m.used)), Closed: !m.open})
		}
	}
	slices.SortFunc(out, func(a, b TerminalUse) int { return cmp.Or(cmp.Compare(a.Ago, b.Ago), cmp.Compare(a.Name, b.Name)) })
	return out
}
