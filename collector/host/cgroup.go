package host

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"
)

// cpuAccount is a file in which the kernel counts the CPU time of a cgroup.
type cpuAccount struct {
	path string // below the root
	read func(page string) (time.Duration, error)
}

// cgroupLayout is one way in which a hierarchy with CPU accounting is mounted.
type cgroupLayout struct {
	mount, file string
	controller  string // in /proc/PID/cgroup; empty is version 2
	read        func(string) (time.Duration, error)
}

var cgroupLayouts = []cgroupLayout{
	{mount: "/sys/fs/cgroup", file: "cpu.stat", read: parseCPUStat},
	{mount: "/sys/fs/cgroup/cpuacct", file: "cpuacct.usage", controller: "cpuacct", read: parseCPUAcct},
	{mount: "/sys/fs/cgroup/cpu,cpuacct", file: "cpuacct.usage", controller: "cpuacct", read: parseCPUAcct},
	{mount: "/sys/fs/cgroup/unified", file: "cpu.stat", read: parseCPUStat},
}

// findCPUAccount looks for the cgroup that covers this pod.
//
// Mostly that is the mount's root: a container sees its own cgroup there. Where it sees the machine's whole tree
// instead, PID 1's place in the tree is the container; on a machine without containers PID 1 sits at the root or in
// /init.scope, and then the whole machine is the pod. Our own place in the tree comes last, for roots that keep no
// account: in a service manager's tree it may hold nothing but the watchdog.
func findCPUAccount(root string) (cpuAccount, error) {
	first, self := cgroupPaths(root, "/proc/1/cgroup"), cgroupPaths(root, "/proc/self/cgroup")
	for _, layout := range cgroupLayouts {
		for _, place := range []string{strings.TrimSuffix(first[layout.controller], "/init.scope"), "/", self[layout.controller]} {
			if place == "" || strings.Contains(place, "..") {
				continue // unknown, the root, or outside of what is mounted here
			}
			account := cpuAccount{path: path.Join(layout.mount, place, layout.file), read: layout.read}
			if _, err := account.usage(root); err == nil {
				return account, nil
			}
		}
	}
	return cpuAccount{}, errors.New("no cgroup with CPU accounting below /sys/fs/cgroup")
}

// cgroupPaths reads /proc/PID/cgroup, lines of "number:controllers:path", into controller → path.
func cgroupPaths(root, file string) map[string]string {
	page, err := readBounded(under(root, file), maxProcFile)
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for line := range strings.Lines(string(page)) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		controllers, place, found := strings.Cut(rest, ":")
		if !found {
			continue
		}
		for controller := range strings.SplitSeq(controllers, ",") {
			out[controller] = place
		}
	}
	return out
}

// usage is the CPU time that the cgroup has used since it was made.
func (a cpuAccount) usage(root string) (time.Duration, error) {
	page, err := readBounded(under(root, a.path), maxProcFile)
	if err != nil {
		return 0, err
	}
	used, err := a.read(string(page))
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", a.path, err)
	}
	return used, nil
}

// parseCPUStat reads version 2's cpu.stat.
func parseCPUStat(page string) (time.Duration, error) {
	for line := range strings.Lines(page) {
		if value, found := strings.CutPrefix(line, "usage_usec "); found {
			return cpuTime(value, time.Microsecond)
		}
	}
	return 0, errors.New("no usage_usec")
}

// parseCPUAcct reads version 1's cpuacct.usage.
func parseCPUAcct(page string) (time.Duration, error) { return cpuTime(page, time.Nanosecond) }

func cpuTime(text string, unit time.Duration) (time.Duration, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, err
	}
	if n < 0 || n > int64(1<<63-1)/int64(unit) {
		return 0, fmt.Errorf("CPU time of %d × %v is out of range", n, unit)
	}
	return time.Duration(n) * unit, nil
}
