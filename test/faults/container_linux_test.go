package faults

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

const (
	// aContainer makes the sandbox a container, whose control group follows; withInit gives it a first process of its own, and
	// withoutGroups hides the control group from it.
	aContainer    = "container of "
	withInit      = " with init"
	withoutGroups = " without groups"
	groups        = "/sys/fs/cgroup"
)

// contain lets the program run in a container: with processes and a control group of its own, whose CPU is the pod's. The program
// is its first process, or init has a small one before it.
func (p *pod) contain(init bool) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		p.t.Skip("only root may make a container")
	}
	self, err := os.Executable()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, account := range []string{"cpu.stat", "cpuacct/cpuacct.usage", "cpu,cpuacct/cpuacct.usage"} {
		file := filepath.Join(groups, account)
		if _, err := os.Stat(file); err != nil {
			continue
		}
		p.group, err = os.MkdirTemp(filepath.Dir(file), "gpu-watchdog-faults-")
		if err != nil {
			p.t.Skipf("no control group can be made: %v", err)
		}
		group := p.group
		p.t.Cleanup(func() {
			eventually.Within(p.t, program.Soon, "the control group is empty", func() bool { return os.Remove(group) == nil })
		})
		break
	}
	if p.group == "" {
		p.t.Skip("no control group with CPU accounting below " + groups)
	}
	p.config.Wrap = []string{self}
	p.config.Attr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	act := aContainer + p.group
	if init {
		act += withInit
	}
	p.set(sandboxVariable + "=" + act)
}

// contained makes this first process of its namespaces a container and becomes argv, or runs it. It does not return.
func contained(group string, argv []string) {
	group, hidden := strings.CutSuffix(group, withoutGroups)
	group, init := strings.CutSuffix(group, withInit)
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	for _, step := range []func() error{
		func() error { return unix.Mount("proc", "/proc", "proc", 0, "") },
		func() error { return os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o600) },
		func() error { return unix.Mount(group, filepath.Dir(group), "", unix.MS_BIND, "") },
	} {
		if err == nil {
			err = step()
		}
	}
	switch {
	case err != nil:
	case init:
		if hidden {
			_ = showGroups(false) // the row tells
		}
		os.Exit(runFirst(argv))
	default:
		err = syscall.Exec(argv[0], argv, os.Environ())
	}
	fmt.Fprintln(os.Stderr, "container:", err)
	os.Exit(99)
}

// runFirst is the first process of a container. SIGUSR1 hides its control groups, SIGUSR2 shows them again.
func runFirst(argv []string) int {
	orders := make(chan os.Signal, 2)
	signal.Notify(orders, syscall.SIGUSR1, syscall.SIGUSR2)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "container:", err)
		return 99
	}
	go func() {
		for order := range orders {
			if err := showGroups(order == syscall.SIGUSR2); err != nil {
				fmt.Fprintln(os.Stderr, "container:", err)
			}
		}
	}()
	_ = cmd.Wait() // its status tells
	return cmd.ProcessState.ExitCode()
}

func showGroups(show bool) error {
	if show {
		return unix.Unmount(groups, unix.MNT_DETACH)
	}
	return unix.Mount("none", groups, "tmpfs", 0, "")
}

// hidesGroups takes the control groups out of the container's sight.
func hidesGroups(p *pod) {
	p.Signal(syscall.SIGUSR1)
	p.heal = func() { p.Signal(syscall.SIGUSR2) }
}

// noGroups has them hidden from the start.
func noGroups(p *pod) {
	p.set(sandboxVariable + "=" + aContainer + p.group + withInit + withoutGroups)
	p.heal = func() { p.Signal(syscall.SIGUSR2) }
}

// inTheContainer runs what a shell is told in the control group, until it is ended.
func (p *pod) inTheContainer(script string) (end func()) {
	p.t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `echo $$ >"$0/cgroup.procs" && `+script, p.group)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	p.t.Cleanup(end)
	return end
}

// child waits for a process that exec has started, other than that one: the watchdog, or the server.
func (p *pod) child(watchdog bool, other int) (found int) {
	p.t.Helper()
	p.until(program.Soon, "a child", func() bool {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", p.PID())) // the pattern is a good one
		for _, list := range lists {
			text, _ := os.ReadFile(list) // one that has gone has no children
			for pid := range strings.FieldsSeq(string(text)) {
				line, _ := os.ReadFile("/proc/" + pid + "/cmdline")
				if n, err := strconv.Atoi(pid); err == nil && n != other && len(line) > 0 && bytes.HasSuffix(line, []byte("\x00run\x00")) == watchdog {
					found = n
				}
			}
		}
		return found != 0
	})
	return found
}

// types is somebody who types into a shell.
func types(p *pod) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		p.t.Skipf("this machine gives no terminal: %v", err)
	}
	person := os.NewFile(uintptr(fd), "/dev/ptmx")
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	shell := exec.Command("/bin/sh")
	shell.Stdin, shell.Stdout, shell.Stderr = tty, tty, tty
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := shell.Start(); err != nil {
		p.t.Fatal(err)
	}
	// The kernel notes a use when the one before it is eight seconds old: this terminal was opened an hour ago.
	ago := time.Now().Add(-time.Hour)
	if err := os.Chtimes(tty.Name(), ago, ago); err != nil {
		p.t.Fatal(err)
	}
	var group sync.WaitGroup
	left := make(chan struct{})
	group.Go(func() { _, _ = io.Copy(io.Discard, person) }) // it ends with the terminal
	group.Go(func() {
		each := time.NewTicker(100 * time.Millisecond)
		defer each.Stop()
		for {
			select {
			case <-each.C:
				_, _ = person.WriteString("\n")
			case <-left:
				return
			}
		}
	})
	p.t.Cleanup(func() {
		close(left)
		_ = shell.Process.Kill()
		_ = shell.Wait() // it was killed
		_ = tty.Close()
		_ = person.Close()
		group.Wait()
	})
}
