package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
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
	// subtree is the cgroup that is mounted there: "/" is the root of the hierarchy, or of our cgroup namespace, and what begins
	// with "/.." lies above that; empty is unknown.
	subtree string
}

// cgroupLayouts are where hierarchies are mounted by custom, for where the table of mounts does not tell.
var cgroupLayouts = slices.Concat(
	[]cgroupLayout{{mount: "/sys/fs/cgroup", file: "cpu.stat", read: parseCPUStat}},
	cpuAcctLayouts,
	[]cgroupLayout{{mount: "/sys/fs/cgroup/unified", file: "cpu.stat", read: parseCPUStat}},
)

// errOtherContainer: in a process namespace that several containers share, PID 1 is none of ours, and the server need not be.
var errOtherContainer = errors.New("the first process is another container's, and nothing but gpu-watchdog runs in ours: the server's CPU time cannot be seen from here")

// podCgroup is the name of a cgroup that holds all containers of one Kubernetes pod and nothing else.
var podCgroup = regexp.MustCompile(`(^|-)pod[0-9a-f]{8}`)

// findCPUAccount looks for the cgroup that covers this pod.
//
// Mostly that is the mount's root: a container sees its own cgroup there. Where it sees the machine's whole tree
// instead, PID 1's place in the tree is the container; on a machine without containers PID 1 sits at the root or in
// /init.scope, and then the whole machine is the pod. Our own place in the tree comes last, for roots that keep no
// account: in a service manager's tree it may hold nothing but the watchdog. Where PID 1 and we are in two containers of
// one Kubernetes pod, and its cgroup can be seen, that is it.
func findCPUAccount(root string) (cpuAccount, error) {
	first, self := cgroupPaths(root, "/proc/1/cgroup"), cgroupPaths(root, "/proc/self/cgroup")
	layouts := mountedLayouts(root)
	if len(layouts) == 0 {
		layouts = cgroupLayouts
	}
	var refused error
	for _, layout := range layouts {
		first := first[layout.controller]
		places := layout.places(root, first, self[layout.controller])
		if len(places) == 0 && refused == nil {
			refused = fmt.Errorf("%s shows the whole machine's, and which of them is this container's cannot be told", layout.mount)
		}
		for _, place := range places {
			account := cpuAccount{path: path.Join(layout.mount, place, layout.file), read: layout.read}
			if _, err := account.usage(root); err != nil {
				if refused == nil && !errors.Is(err, fs.ErrNotExist) {
					refused = err
				}
				continue
			}
			if layout.elsewhere(first) && alone(root, path.Dir(account.path)) {
				return cpuAccount{}, errOtherContainer
			}
			return account, nil
		}
	}
	if refused != nil {
		return cpuAccount{}, fmt.Errorf("no cgroup with CPU accounting can be read: %w", refused)
	}
	return cpuAccount{}, errors.New("no cgroup with CPU accounting below /sys/fs/cgroup: mount it there, read-only, if the CPU is to be evidence")
}

// places are the cgroups of a layout that may be the pod's, likeliest first, as paths below the mount.
func (l cgroupLayout) places(root, first, self string) []string {
	switch {
	case strings.HasPrefix(l.subtree, "/.."):
		// The whole machine's tree, mounted into a cgroup namespace: where we are in it cannot be told.
		return nil
	case l.subtree != "" && l.subtree != "/":
		return []string{"/"} // a container's own, with nothing of others around it
	case l.controller == "" && exists(under(root, path.Join(l.mount, "cgroup.events"))):
		// The root of the machine's tree has no such file, so this is the root of a namespace. PID 1 may have moved into a
		// cgroup of its own below it, as what starts containers within a container does, and not all that runs here is in that.
		return []string{"/"}
	}
	if parent := path.Dir(first); first != self && parent == path.Dir(self) && podCgroup.MatchString(path.Base(parent)) {
		first = parent
	}
	var out []string
	for _, place := range []string{strings.TrimSuffix(first, "/init.scope"), "/", self} {
		if place != "" && !strings.Contains(place, "..") { // unknown, the root, or outside of what is mounted here
			out = append(out, place)
		}
	}
	return out
}

// elsewhere says that PID 1, whose place is first, is in none of the cgroups that can be seen here.
func (l cgroupLayout) elsewhere(first string) bool {
	outside := l.subtree != "" && l.subtree != "/" && first != "" && first != l.subtree && !strings.HasPrefix(first, l.subtree+"/")
	return outside || strings.HasPrefix(first, "/..")
}

// mountedLayouts reads from the table of mounts which hierarchies there are, version 1's before version 2's.
func mountedLayouts(root string) []cgroupLayout {
	page, err := readBounded(under(root, "/proc/self/mountinfo"), maxProcFile)
	if err != nil {
		return nil
	}
	return parseCgroupMounts(string(page))
}

// parseCgroupMounts reads lines of "id parent major:minor subtree mountpoint options [tags] - kind source options". Of mounts on the
// same point the last one covers the others.
func parseCgroupMounts(page string) []cgroupLayout {
	var v1, v2 []cgroupLayout
	for line := range strings.Lines(page) {
		before, after, found := strings.Cut(line, " - ")
		fields, behind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(behind) < 3 {
			continue
		}
		l := cgroupLayout{mount: unescapeMount(fields[4]), subtree: unescapeMount(fields[3])}
		covered := func(other cgroupLayout) bool { return other.mount == l.mount }
		v1, v2 = slices.DeleteFunc(v1, covered), slices.DeleteFunc(v2, covered)
		switch {
		case behind[0] == "cgroup2":
			l.file, l.read = "cpu.stat", parseCPUStat
			v2 = append(v2, l)
		case behind[0] == "cgroup" && slices.Contains(strings.Split(behind[2], ","), cpuAcctController):
			l.file, l.controller, l.read = cpuAcctFile, cpuAcctController, parseCPUAcct
			v1 = append(v1, l)
		}
	}
	return slices.Concat(v1, v2)
}

// alone says that a cgroup holds no process but our own. Where it cannot be read it may hold others.
func alone(root, folder string) bool {
	page, err := readBounded(under(root, path.Join(folder, "cgroup.procs")), maxProcFile)
	if err != nil {
		return false
	}
	pids := strings.Fields(string(page))
	own := strconv.Itoa(os.Getpid())
	return len(pids) > 0 && !slices.ContainsFunc(pids, func(pid string) bool { return pid != own })
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cgroupPaths reads /proc/PID/cgroup into controller → path.
func cgroupPaths(root, file string) map[string]string {
	page, err := readBounded(under(root, file), maxProcFile)
	if err != nil {
		return nil
	}
	return parseCgroupPaths(string(page))
}

// parseCgroupPaths reads lines of "number:controllers:path".
func parseCgroupPaths(page string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(page) {
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
