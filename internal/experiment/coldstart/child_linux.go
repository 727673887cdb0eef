package coldstart

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ownGroup puts a server into a process group of its own, out of reach of the terminal's signals, and asks the kernel to end
// it when we die without having stopped it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// process is a process that cannot be taken for a later one of the same number.
type process struct {
	pid int
	// began is its start in ticks of the kernel.
	began string
}

// stat is what /proc says of a process.
type stat struct {
	process
	parent, group int
	zombie        bool
}

// readStat reads /proc/PID/stat: "pid (name) state ppid pgrp …", where the name may hold anything.
func readStat(pid int) (s stat, ok bool) {
	page, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return s, false
	}
	const state, parent, group, start = 0, 1, 2, 19 // after the name
	fields := bytes.Fields(page[bytes.LastIndexByte(page, ')')+1:])
	if len(fields) <= start {
		return s, false
	}
	s.pid, s.began = pid, string(fields[start])
	s.zombie = string(fields[state]) == "Z" || string(fields[state]) == "X"
	s.parent, _ = strconv.Atoi(string(fields[parent])) // the kernel writes numbers
	s.group, _ = strconv.Atoi(string(fields[group]))
	return s, true
}

// everyStat is that of every process that we can see.
func everyStat() (all []stat) {
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is a good one
	for _, folder := range folders {
		if pid, err := strconv.Atoi(filepath.Base(folder)); err == nil {
			if s, ok := readStat(pid); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

// descendants are the processes that root has started, directly or not, root excluded. Some may have left its group.
func descendants(root int) (out []process) {
	children := map[int][]stat{}
	for _, s := range everyStat() {
		children[s.parent] = append(children[s.parent], s)
	}
	for next := []int{root}; len(next) > 0; next = next[1:] {
		for _, s := range children[next[0]] {
			out = append(out, s.process)
			next = append(next, s.pid)
		}
	}
	return out
}

// runs says that it has not ended, zombies excluded: they wait for a parent who may never ask.
func (p process) runs() bool {
	s, ok := readStat(p.pid)
	return ok && s.began == p.began && !s.zombie
}

func (p process) kill() {
	if p.runs() {
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
	}
}

// groupRuns says that a process of that group has not ended.
func groupRuns(group int) bool {
	if syscall.Kill(-group, 0) != nil {
		return false
	}
	for _, s := range everyStat() {
		if s.group == group && !s.zombie {
			return true
		}
	}
	return false
}
