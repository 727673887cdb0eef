package stage

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Descendants lists a process and all that it has started, directly or not.
func Descendants(root int) []int {
	children := family()
	out := []int{root}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// Children lists what a process has started itself.
func Children(of int) []int { return family()[of] }

// family are the processes of this machine by the one that has started them.
func family() map[int][]int {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, file := range stats {
		page, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state ppid …", where the name may hold anything.
		fields := strings.Fields(string(page[bytes.LastIndexByte(page, ')')+1:]))
		pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parent, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	return children
}

// ProcessNamed finds the descendant of root whose command line holds name.
func ProcessNamed(root int, name string) (int, error) {
	for _, pid := range Descendants(root) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && bytes.Contains(line, []byte(name)) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("process %d has started nothing that is called %s", root, name)
}

// Alive says whether a process runs, zombies excluded.
func Alive(pid int) bool {
	page, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	rest := page[bytes.LastIndexByte(page, ')')+1:]
	return !bytes.HasPrefix(rest, []byte(" Z"))
}

// signalAll sends a signal to each; those that have ended do not matter.
func signalAll(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s)
	}
}
