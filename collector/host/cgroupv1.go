package host

import "time"

// Version 1 of the kernel's cgroups has a hierarchy for each controller, and CPU time is counted by cpuacct. It is mounted alone or
// beside cpu, and in a machine that mounts both versions the account is here: version 2 then mostly has one cgroup for everything.
const (
	cpuAcctController = "cpuacct"
	cpuAcctFile       = "cpuacct.usage"
)

// cpuAcctLayouts are where it is mounted by custom, for where the table of mounts does not tell.
var cpuAcctLayouts = []cgroupLayout{
	{mount: "/sys/fs/cgroup/cpuacct", file: cpuAcctFile, controller: cpuAcctController, read: parseCPUAcct},
	{mount: "/sys/fs/cgroup/cpu,cpuacct", file: cpuAcctFile, controller: cpuAcctController, read: parseCPUAcct},
}

// parseCPUAcct reads version 1's cpuacct.usage, in nanoseconds.
func parseCPUAcct(page string) (time.Duration, error) { return cpuTime(page, time.Nanosecond) }
