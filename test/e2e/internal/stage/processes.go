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

// descendants lists a process and all that it has started, directly or not.
func descendants(root int) []int {
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
	out := []int{root}
	for i := 0; i < len(out); i++ {
		out = append(out, children[out[i]]...)
	}
	return out
}

// processNamed finds the descendant of root whose command line holds name.
func processNamed(root int, name string) (int, error) {
	for _, pid := range descendants(root) {
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
