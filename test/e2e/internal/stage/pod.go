package stage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// Pod is a control group for a server and what runs beside it, as a container has one. Its zero value is none: the CPU of the
// whole machine is then taken for the pod's.
type Pod struct {
	// mount is where CPU time is accounted, group the pod's place below it.
	mount, group string
}

// NewPod makes the group where this machine lets us, and says why it does not.
func NewPod() (Pod, error) {
	for _, account := range []struct{ mount, file string }{
		{"/sys/fs/cgroup", "cpu.stat"},
		{"/sys/fs/cgroup/cpuacct", "cpuacct.usage"},
		{"/sys/fs/cgroup/cpu,cpuacct", "cpuacct.usage"},
	} {
		if _, err := os.Stat(filepath.Join(account.mount, account.file)); err != nil {
			continue
		}
		p := Pod{account.mount, filepath.Join(account.mount, "gpu-watchdog-e2e-"+strconv.Itoa(os.Getpid()))}
		if err := os.Mkdir(p.group, 0o755); err != nil {
			return Pod{}, err
		}
		return p, p.try()
	}
	return Pod{}, fmt.Errorf("no control group with CPU accounting below /sys/fs/cgroup")
}

// try sees whether a process can be started inside.
func (p *Pod) try() error {
	argv := p.Inside("true")
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		p.Remove()
		*p = Pod{}
		return fmt.Errorf("start a process in a control group: %w: %s", err, out)
	}
	return nil
}

// Of is the command that runs argv in the pod's control group.
func (p Pod) Of(argv ...string) []string {
	if p.group == "" {
		return argv
	}
	return append([]string{"sh", "-c", `echo $$ >"$0/cgroup.procs" && exec "$@"`, p.group}, argv...)
}

// Inside is the command that runs argv in the pod's control group and lets it see nothing but that, as in a container.
func (p Pod) Inside(argv ...string) []string {
	if p.group == "" {
		return argv
	}
	return append([]string{"unshare", "--mount", "sh", "-c",
		`echo $$ >"$0/cgroup.procs" && mount --bind "$0" "$1" && shift && exec "$@"`, p.group, p.mount}, argv...)
}

// Remove gives the group back.
func (p Pod) Remove() {
	if p.group != "" {
		_ = os.Remove(p.group) // it stays where a process of it does
	}
}
