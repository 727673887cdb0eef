//go:build linux

package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// stopGrace is how long a program has to end after SIGTERM.
const stopGrace = 10 * time.Second

// Process is a program that a bench started and measures.
type Process struct {
	PID   int
	cmd   *exec.Cmd
	ended chan struct{}
	err   error
}

// Start runs a program with exactly this environment. What it prints goes to the file out, in which a reader finds why
// it ended; empty drops it.
func Start(out string, env []string, program string, args ...string) (*Process, error) {
	cmd := exec.Command(program, args...) //nolint:noctx // Stop ends it
	cmd.Env = env
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", program, err)
		}
		defer f.Close()
		cmd.Stdout, cmd.Stderr = f, f
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &Process{PID: cmd.Process.Pid, cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		p.err = cmd.Wait()
	}()
	return p, nil
}

// Ended is closed when the program has ended by itself or by Stop.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Pause holds the program where it stands, Resume lets it go on.
func (p *Process) Pause() error { return p.cmd.Process.Signal(unix.SIGSTOP) }

// Resume is the end of Pause.
func (p *Process) Resume() error { return p.cmd.Process.Signal(unix.SIGCONT) }

// Stop ends the program by SIGTERM, by SIGKILL where that does not do, and says how it ended. It may be called twice.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(unix.SIGTERM)
	_ = p.Resume() // a paused one hears nothing
	timer := time.NewTimer(stopGrace)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	return p.err
}

// CPU is the processor time that all threads of the process have used, those that have ended included. The kernel keeps
// it to the nanosecond (/proc/PID/stat has hundredths of a second, /proc/PID/schedstat the main thread alone).
func (p *Process) CPU() (time.Duration, error) {
	const allThreads = 2 // CPUCLOCK_SCHED of include/linux/posix-timers_types.h
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.PID<<3|allThreads), &t); err != nil {
		return 0, fmt.Errorf("read the CPU clock of process %d: %w", p.PID, err)
	}
	return time.Duration(t.Nano()), nil
}

// Memory is what a process holds of it, in bytes.
type Memory struct {
	// Resident is all of it, of which Anonymous belongs to the process alone, and the rest to files: the program itself
	// and its libraries.
	Resident, Anonymous uint64
	// Peak is the highest Resident so far.
	Peak uint64
}

// Memory reads /proc/PID/status.
func (p *Process) Memory() (m Memory, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return m, err
	}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		into := map[string]*uint64{"VmRSS": &m.Resident, "RssAnon": &m.Anonymous, "VmHWM": &m.Peak}[name]
		if into == nil {
			continue
		}
		kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		if err != nil {
			return m, fmt.Errorf("read the memory of process %d: %w", p.PID, err)
		}
		*into = kib << 10
	}
	if m.Resident == 0 {
		return m, fmt.Errorf("process %d has no memory: it has ended", p.PID)
	}
	return m, nil
}

// Wait polls ready until it is nil, the program ends, or ctx does; then it returns ready's last error.
func (p *Process) Wait(ctx context.Context, ready func() error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s has ended (%v) before it was ready: %w", p.cmd.Path, p.cmd.ProcessState, err)
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", p.cmd.Path, err)
		case <-ticker.C:
		}
	}
}

// FreeAddress is one on loopback that nobody listens on now.
func FreeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
