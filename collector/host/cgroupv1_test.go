package host

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// mount is a line of the table of mounts.
func mount(subtree, point, kind, options string) string {
	return "33 31 0:30 " + subtree + " " + point + " rw,relatime - " + kind + " " + kind + " rw," + options + "\n"
}

const (
	cpuAcct = "5000000000\n" // the same five seconds as cpuStat
	podV1   = "/kubepods/burstable/pod0a1b2c3d-0000-4000-8000-000000000000"
	podV2   = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0a1b2c3d_0000_4000_8000_000000000000.slice"
)

// Which cgroup is the pod's where the table of mounts tells how they are mounted.
func TestFindCPUAccountByTheTableOfMounts(t *testing.T) {
	self := strconv.Itoa(os.Getpid()) + "\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // path, or empty for none
		says  string // in the reason for none
	}{
		{"version 1 in a container", map[string]string{
			"proc/self/mountinfo":                 mount("/docker/abc", "/sys/fs/cgroup/cpuacct", "cgroup", "cpuacct"),
			"sys/fs/cgroup/cpuacct/cpuacct.usage": cpuAcct,
			"proc/1/cgroup":                       "2:cpuacct:/docker/abc\n", "proc/self/cgroup": "2:cpuacct:/docker/abc\n",
		}, "/sys/fs/cgroup/cpuacct/cpuacct.usage", ""},
		{"version 1 at an unusual place, with a blank in it", map[string]string{
			"proc/self/mountinfo":             mount("/", `/cg\040roups/c`, "cgroup", "cpu,cpuacct"),
			"cg roups/c/cpuacct.usage":        "1\n",
			"cg roups/c/pods/a/cpuacct.usage": cpuAcct,
			"proc/1/cgroup":                   "2:cpu,cpuacct:/pods/a\n", "proc/self/cgroup": "2:cpu,cpuacct:/pods/a\n",
		}, "/cg roups/c/pods/a/cpuacct.usage", ""},
		{"both versions: version 2 has one cgroup for the whole machine", map[string]string{
			"proc/self/mountinfo": mount("/", "/sys/fs/cgroup/unified", "cgroup2", "nsdelegate") + mount("/docker/abc", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", "cpu,cpuacct") +
				mount("/docker/abc", "/sys/fs/cgroup/memory", "cgroup", "memory"),
			"sys/fs/cgroup/unified/cpu.stat": cpuStat, "sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": cpuAcct,
			"proc/1/cgroup": "4:cpu,cpuacct:/docker/abc\n0::/\n", "proc/self/cgroup": "4:cpu,cpuacct:/docker/abc\n0::/\n",
		}, "/sys/fs/cgroup/cpu,cpuacct/cpuacct.usage", ""},
		{"both versions, and CPU time is counted by version 2", map[string]string{
			"proc/self/mountinfo":            mount("/", "/sys/fs/cgroup/unified", "cgroup2", "nsdelegate") + mount("/", "/sys/fs/cgroup/memory", "cgroup", "memory"),
			"sys/fs/cgroup/unified/cpu.stat": cpuStat, "proc/1/cgroup": "0::/\n",
		}, "/sys/fs/cgroup/unified/cpu.stat", ""},
		{"another file system covers version 1", map[string]string{
			"proc/self/mountinfo":    mount("/", "/sys/fs/cgroup", "cgroup", "cpuacct") + mount("/", "/sys/fs/cgroup", "tmpfs", "mode=755") + mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/cpuacct.usage": "1\n",
		}, "/sys/fs/cgroup/cpu.stat", ""},
		{"a container within a container: not only what its first process moved to", map[string]string{
			"proc/self/mountinfo":         mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup/cgroup.events": "populated 1\n", "sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/init/cpu.stat": "usage_usec 1\n",
			"proc/1/cgroup": "0::/init\n", "proc/self/cgroup": "0::/init\n",
		}, "/sys/fs/cgroup/cpu.stat", ""},
		{"the same in version 1", map[string]string{
			"proc/self/mountinfo":                 mount("/docker/abc", "/sys/fs/cgroup/cpuacct", "cgroup", "cpuacct"),
			"sys/fs/cgroup/cpuacct/cpuacct.usage": cpuAcct, "sys/fs/cgroup/cpuacct/init/cpuacct.usage": "1\n",
			"proc/1/cgroup": "2:cpuacct:/docker/abc/init\n", "proc/self/cgroup": "2:cpuacct:/docker/abc/init\n",
		}, "/sys/fs/cgroup/cpuacct/cpuacct.usage", ""},
		{"the machine's tree within a namespace is not the pod's", map[string]string{
			"proc/self/mountinfo":    mount("/../../..", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup/cpu.stat": cpuStat, "proc/1/cgroup": "0::/\n", "proc/self/cgroup": "0::/\n",
		}, "", "/sys/fs/cgroup shows the whole machine's"},
		{"Kubernetes, shared processes, the machine's tree: the whole pod, version 1", map[string]string{
			"proc/self/mountinfo":                              mount("/", "/sys/fs/cgroup/cpuacct", "cgroup", "cpuacct"),
			"sys/fs/cgroup/cpuacct" + podV1 + "/cpuacct.usage": cpuAcct, "sys/fs/cgroup/cpuacct" + podV1 + "/pause/cpuacct.usage": "1\n",
			"proc/1/cgroup": "2:cpuacct:" + podV1 + "/pause\n", "proc/self/cgroup": "2:cpuacct:" + podV1 + "/sidecar\n",
		}, "/sys/fs/cgroup/cpuacct" + podV1 + "/cpuacct.usage", ""},
		{"the same in version 2", map[string]string{
			"proc/self/mountinfo":                       mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup" + podV2 + "/cpu.stat":       cpuStat,
			"sys/fs/cgroup" + podV2 + "/pause/cpu.stat": "usage_usec 1\n",
			"proc/1/cgroup":                             "0::" + podV2 + "/pause\n", "proc/self/cgroup": "0::" + podV2 + "/sidecar\n",
		}, "/sys/fs/cgroup" + podV2 + "/cpu.stat", ""},
		{"two containers that share processes and are no pod: not all that this machine runs", map[string]string{
			"proc/self/mountinfo":             mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup/docker/cpu.stat":   "usage_usec 1\n",
			"sys/fs/cgroup/docker/a/cpu.stat": cpuStat,
			"sys/fs/cgroup/docker/b/cpu.stat": "usage_usec 2\n",
			"proc/1/cgroup":                   "0::/docker/a\n", "proc/self/cgroup": "0::/docker/b\n",
		}, "/sys/fs/cgroup/docker/a/cpu.stat", ""},
		{"a sidecar among shared processes: its own load is not the server's", map[string]string{
			"proc/self/mountinfo":         mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup/cgroup.events": "populated 1\n", "sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/cgroup.procs": self,
			"proc/1/cgroup": "0::/../pause\n", "proc/self/cgroup": "0::/\n",
		}, "", "another container's"},
		{"the same in version 1", map[string]string{
			"proc/self/mountinfo":                 mount(podV1+"/sidecar", "/sys/fs/cgroup/cpuacct", "cgroup", "cpuacct"),
			"sys/fs/cgroup/cpuacct/cpuacct.usage": cpuAcct, "sys/fs/cgroup/cpuacct/cgroup.procs": self,
			"proc/1/cgroup": "2:cpuacct:" + podV1 + "/pause\n", "proc/self/cgroup": "2:cpuacct:" + podV1 + "/sidecar\n",
		}, "", "another container's"},
		{"shared processes, and the server in our container", map[string]string{
			"proc/self/mountinfo":         mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup/cgroup.events": "populated 1\n", "sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/cgroup.procs": "7\n" + self,
			"proc/1/cgroup": "0::/../pause\n", "proc/self/cgroup": "0::/\n",
		}, "/sys/fs/cgroup/cpu.stat", ""},
		{"alone, but PID 1 is ours: a machine of our own", map[string]string{
			"proc/self/mountinfo":    mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
			"sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/cgroup.procs": self, "proc/1/cgroup": "0::/\n",
		}, "/sys/fs/cgroup/cpu.stat", ""},
		{"an account that makes no sense", map[string]string{
			"proc/self/mountinfo":                 mount("/", "/sys/fs/cgroup/cpuacct", "cgroup", "cpuacct"),
			"sys/fs/cgroup/cpuacct/cpuacct.usage": "many\n",
		}, "", "cpuacct.usage"},
		{"mounted, and nothing in it", map[string]string{
			"proc/self/mountinfo": mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
		}, "", "mount it there"},
		{"none", map[string]string{"proc/self/mountinfo": mount("/", "/", "overlay", "x")}, "", "mount it there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, c.files)
			got, err := findCPUAccount(root)
			if got.path != c.want || (err == nil) != (c.want != "") {
				t.Fatalf("found %q, %v, want %q", got.path, err, c.want)
			}
			if err != nil {
				if !strings.Contains(err.Error(), c.says) {
					t.Errorf("the reason %q does not say %q", err, c.says)
				}
				return
			}
			if used, err := got.usage(root); err != nil || used != 5*time.Second {
				t.Errorf("used %v, %v, want 5s", used, err)
			}
		})
	}
}

// A sidecar that was alone in its container stays blind for the server's load when somebody comes in for a moment.
func TestHostElsewhereStaysElsewhere(t *testing.T) {
	root := t.TempDir()
	procs := func(pids string) { write(t, root, map[string]string{"sys/fs/cgroup/cgroup.procs": pids}) }
	write(t, root, map[string]string{
		"proc/self/mountinfo":    mount("/", "/sys/fs/cgroup", "cgroup2", "nsdelegate"),
		"sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/cgroup.events": "populated 1\n", "proc/1/cgroup": "0::/../pause\n",
	})
	self := strconv.Itoa(os.Getpid()) + "\n"
	h := NewHost(HostConfig{Root: root})
	for _, pids := range []string{self, self + "99999\n", self} {
		procs(pids)
		if got := h.Read(t.Context(), time.Second); got.State != watchdog.SourceAbsent || got.CPUCores.Known || !strings.Contains(got.Reason, "another container's") {
			t.Errorf("with processes %q: %+v", pids, got)
		}
	}
}

// Our own load is known where the pod's is, and on its own.
func TestOwnCores(t *testing.T) {
	h := NewHost(HostConfig{Root: t.TempDir()})
	if got := h.Read(t.Context(), 0).OwnCores; got.Known {
		t.Errorf("at first: %+v", got)
	}
	start := time.Now()
	eventually.Within(t, 5*time.Second, "some CPU used by ourselves", func() bool {
		for end := time.Now().Add(10 * time.Millisecond); time.Now().Before(end); {
		}
		own := h.Read(t.Context(), time.Since(start)).OwnCores
		start = time.Now()
		return own.Known && own.Value > 0.01 && own.Value < 1000
	})
	if got := h.Read(t.Context(), 0).OwnCores; got.Known {
		t.Errorf("no time passed: %+v", got)
	}
}

// A hierarchy is read as it was written, whatever surrounds it, and a page that is none yields no hierarchy without a place.
func FuzzParseCgroupMounts(f *testing.F) {
	f.Add("/docker/abc", "/sys/fs/cgroup/cpuacct", "cpuacct", "", "")
	f.Add("/", `/a\040b`, "cpu,cpuacct", "1 2 3 - \n", mount("/", "/x", "cgroup2", "y"))
	f.Add("/", "/x", "memory", mount("/", "/x", "cgroup2", "y"), " - cgroup cgroup cpuacct")
	f.Fuzz(func(t *testing.T, subtree, point, options, before, behind string) {
		for _, l := range parseCgroupMounts(before) {
			if l.mount == "" || l.read == nil || l.file == "" || (l.controller == "") != (l.file == "cpu.stat") {
				t.Errorf("%q has the hierarchy %+v", before, l)
			}
		}
		for _, text := range []string{subtree, point, "/" + options} {
			if fields := strings.Fields(text); len(fields) != 1 || fields[0] != text || strings.ContainsRune(text, '\\') {
				return
			}
		}
		if subtree[0] != '/' || point[0] != '/' {
			return // the kernel writes none such
		}
		if before != "" && !strings.HasSuffix(before, "\n") {
			before += "\n"
		}
		got := parseCgroupMounts(before + mount(subtree, point, "cgroup", options))
		at := slices.IndexFunc(got, func(l cgroupLayout) bool { return l.mount == point && l.controller == cpuAcctController })
		counts := slices.Contains(strings.Split(options, ","), cpuAcctController)
		if counts != (at >= 0) || counts && got[at].subtree != subtree {
			t.Errorf("%q at %q with %q reads as %+v", subtree, point, options, got)
		}
		if n := len(parseCgroupMounts(before + mount(subtree, point, "cgroup", options) + "\n" + behind)); n > strings.Count(before+behind, "\n")+3 {
			t.Errorf("%d hierarchies", n)
		}
	})
}

// CPU time is what was written or refused, never another time; and a place is what stands behind the second colon.
func FuzzParseCPUTime(f *testing.F) {
	f.Add("5000000000\n", uint64(5))
	f.Add("-1", uint64(1)<<63)
	f.Add("nr_periods 0\nusage_usec x\n", uint64(1)<<60)
	f.Fuzz(func(t *testing.T, page string, n uint64) {
		if got, err := parseCPUAcct(page); err == nil && (got < 0 || strings.TrimLeft(strings.TrimSpace(page), "+-0") != strings.TrimLeft(strconv.FormatInt(int64(got), 10), "0")) {
			t.Errorf("%q reads as %d ns", page, int64(got))
		}
		if got, err := parseCPUStat(page); err == nil && got < 0 {
			t.Errorf("%q reads as %v", page, got)
		}
		number := strconv.FormatUint(n, 10)
		if got, err := parseCPUAcct(number + "\n"); (err == nil) != (n < 1<<63) || err == nil && uint64(got) != n {
			t.Errorf("%d ns read as %v, %v", n, got, err)
		}
		line := "usage_usec " + number + "\n"
		if got, err := parseCPUStat("nr_periods 1\n" + line); (err == nil) != (n <= (1<<63-1)/1000) || err == nil && uint64(got) != n*1000 {
			t.Errorf("%d us read as %v, %v", n, got, err)
		}
		if strings.Contains(page, "\n") {
			return
		}
		if got := parseCgroupPaths("2:cpuacct:" + page + "\n0::" + page + "\n"); got["cpuacct"] != page || got[""] != page {
			t.Errorf("the place %q reads as %q", page, got)
		}
	})
}
