package host

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// write makes files below root, from pairs of path and content.
func write(t testing.TB, root string, files map[string]string) {
	t.Helper()
	for path, content := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	cpuStat = "usage_usec 5000000\nuser_usec 4000000\nsystem_usec 1000000\n"
	netDev  = "Inter-|   Receive    |  Transmit\n face |bytes    packets errs|bytes\n" +
		"    lo: 999999 29 0 0 0 0 0 0 3193 29\n  eth0:1000 4 0 0 0 0 0 0 7 9\neth1.5: 500 4 0 0 0 0 0 0 7 9\n"
)

// Which of the cgroups that can be seen is the pod's.
func TestFindCPUAccount(t *testing.T) {
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // path, or empty for none
	}{
		{"container, version 2", map[string]string{
			"sys/fs/cgroup/cpu.stat": cpuStat, "proc/1/cgroup": "0::/\n", "proc/self/cgroup": "0::/\n",
		}, "/sys/fs/cgroup/cpu.stat"},
		{"container that sees the machine's tree: its own place, not the neighbours'", map[string]string{
			"sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/docker/abc/cpu.stat": cpuStat,
			"proc/1/cgroup": "0::/docker/abc\n", "proc/self/cgroup": "0::/docker/abc\n",
		}, "/sys/fs/cgroup/docker/abc/cpu.stat"},
		{"the same with a service manager inside", map[string]string{
			"sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/lxc/abc/cpu.stat": cpuStat, "sys/fs/cgroup/lxc/abc/init.scope/cpu.stat": cpuStat,
			"proc/1/cgroup": "0::/lxc/abc/init.scope\n", "proc/self/cgroup": "0::/lxc/abc/system.slice/w.service\n",
		}, "/sys/fs/cgroup/lxc/abc/cpu.stat"},
		{"virtual machine: the whole of it, not our service", map[string]string{
			"sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/cgroup/init.scope/cpu.stat": cpuStat, "sys/fs/cgroup/system.slice/w.service/cpu.stat": cpuStat,
			"proc/1/cgroup": "0::/init.scope\n", "proc/self/cgroup": "0::/system.slice/w.service\n",
		}, "/sys/fs/cgroup/cpu.stat"},
		{"a root without an account: our own place", map[string]string{
			"sys/fs/cgroup/cgroup.procs": "", "sys/fs/cgroup/a/b/cpu.stat": cpuStat, "proc/self/cgroup": "0::/a/b\n",
		}, "/sys/fs/cgroup/a/b/cpu.stat"},
		{"a place outside of what is mounted", map[string]string{
			"sys/fs/cgroup/cpu.stat": cpuStat, "sys/fs/elsewhere/cpu.stat": cpuStat, "proc/1/cgroup": "0::/../elsewhere\n",
		}, "/sys/fs/cgroup/cpu.stat"},
		{"container, version 1", map[string]string{
			"sys/fs/cgroup/cpuacct/cpuacct.usage": "5000000000\n", "sys/fs/cgroup/unified/cpu.stat": cpuStat,
			"proc/1/cgroup": "4:memory:/docker/abc\n2:cpuacct:/docker/abc\n0::/\n",
		}, "/sys/fs/cgroup/cpuacct/cpuacct.usage"},
		{"version 1, joined controllers, the machine's tree", map[string]string{
			"sys/fs/cgroup/cpu,cpuacct/cpuacct.usage": "1\n", "sys/fs/cgroup/cpu,cpuacct/kubepods/abc/cpuacct.usage": "5000000000\n",
			"proc/1/cgroup": "4:cpu,cpuacct:/kubepods/abc\n",
		}, "/sys/fs/cgroup/cpu,cpuacct/kubepods/abc/cpuacct.usage"},
		{"hybrid without CPU accounting in version 1", map[string]string{
			"sys/fs/cgroup/memory/x": "", "sys/fs/cgroup/unified/cpu.stat": cpuStat,
		}, "/sys/fs/cgroup/unified/cpu.stat"},
		{"an account that makes no sense", map[string]string{"sys/fs/cgroup/cpu.stat": "nr_periods 0\n"}, ""},
		{"none", map[string]string{"proc/1/cgroup": "0::/\n"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, c.files)
			got, err := findCPUAccount(root)
			if got.path != c.want || (err == nil) != (c.want != "") {
				t.Fatalf("found %q, %v, want %q", got.path, err, c.want)
			}
			if c.want == "" {
				return
			}
			if used, err := got.usage(root); err != nil || used != 5*time.Second {
				t.Errorf("used %v, %v, want 5s", used, err)
			}
		})
	}
}

func TestCPUTimeRefusesNonsense(t *testing.T) {
	for _, page := range []string{"", "x", "-1", "99999999999999999999", "1.5"} {
		if got, err := parseCPUAcct(page); err == nil {
			t.Errorf("%q reads as %v", page, got)
		}
	}
	if got, err := parseCPUStat("usage_usec 9223372036854775807\n"); err == nil {
		t.Errorf("292,000 years read as %v", got)
	}
}

type wantHost struct {
	state           watchdog.SourceState
	cores, received watchdog.Maybe[float64]
}

func checkHost(t *testing.T, step string, got watchdog.Host, want wantHost) {
	t.Helper()
	if got.State != want.state || got.CPUCores != want.cores || got.ReceivedBytesPerSecond != want.received {
		t.Errorf("%s: %+v, want %+v", step, got, want)
	}
	if (got.Reason == "") != (got.State == watchdog.SourceOK) {
		t.Errorf("%s: state %d with reason %q", step, got.State, got.Reason)
	}
}

// Unknown is not zero: at first, after a gap, and where a counter fell.
func TestHostRead(t *testing.T) {
	root := t.TempDir()
	h := NewHost(HostConfig{Root: root})
	known, unknown := watchdog.Known[float64], watchdog.Maybe[float64]{}
	cpu := func(usage string) {
		write(t, root, map[string]string{"sys/fs/cgroup/cpu.stat": "usage_usec " + usage + "\n"})
	}
	net := func(page string) { write(t, root, map[string]string{"proc/self/net/dev": page}) }
	eth := func(bytes string) string { return "  eth0: " + bytes + " 4\n    lo: 5 6\n" }
	step := func(name string, elapsed time.Duration, want wantHost) {
		t.Helper()
		checkHost(t, name, h.Read(t.Context(), elapsed), want)
	}

	net(eth("1000"))
	step("no cgroup", 0, wantHost{watchdog.SourceAbsent, unknown, unknown})
	net(eth("3000"))
	step("no cgroup, but a network", 2*time.Second, wantHost{watchdog.SourceAbsent, unknown, known(1000)})
	cpu("5000000")
	step("the first account", 2*time.Second, wantHost{watchdog.SourceOK, unknown, known(0)})
	cpu("8000000")
	net(eth("3500"))
	step("3 s of CPU in 2 s", 2*time.Second, wantHost{watchdog.SourceOK, known(1.5), known(250)})
	step("idle", 5*time.Second, wantHost{watchdog.SourceOK, known(0), known(0)})
	cpu("1000000")
	net(eth("10"))
	step("both fell", 5*time.Second, wantHost{watchdog.SourceOK, unknown, unknown})
	cpu("2000000")
	net(eth("20") + "  eth9: 1000000 1\n")
	step("from the new baseline; a new interface brings no history", time.Second, wantHost{watchdog.SourceOK, known(1), known(10)})
	step("no time passed", 0, wantHost{watchdog.SourceOK, unknown, unknown})
	net("  eth0: many 4\n")
	step("the network is unreadable", time.Second, wantHost{watchdog.SourceOK, known(0), unknown})
	net(eth("20"))
	step("and readable again", time.Second, wantHost{watchdog.SourceOK, known(0), unknown})
	if err := os.Remove(filepath.Join(root, "sys/fs/cgroup/cpu.stat")); err != nil {
		t.Fatal(err)
	}
	step("the account is gone", time.Second, wantHost{watchdog.SourceFailed, unknown, known(0)})
	cpu("9000000")
	step("it is back: no baseline", time.Second, wantHost{watchdog.SourceOK, unknown, known(0)})
	late, cancel := context.WithCancel(t.Context())
	cancel()
	checkHost(t, "too late", h.Read(late, time.Second), wantHost{watchdog.SourceFailed, unknown, unknown})
	step("after that", time.Second, wantHost{watchdog.SourceOK, unknown, unknown})
}

// The real kernel's files: work shows.
func TestHostReadsThisMachine(t *testing.T) {
	h := NewHost(HostConfig{})
	first := h.Read(t.Context(), 0)
	if first.State != watchdog.SourceOK {
		t.Skipf("no CPU accounting here: %s", first.Reason)
	}
	start := time.Now()
	eventually.Within(t, 5*time.Second, "some CPU used", func() bool {
		for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); {
		}
		got := h.Read(t.Context(), time.Since(start))
		start = time.Now()
		return got.State == watchdog.SourceOK && got.CPUCores.Value > 0 && got.ReceivedBytesPerSecond.Known
	})
}

func TestParseReceivedBytes(t *testing.T) {
	got, err := parseReceivedBytes([]byte(netDev))
	if err != nil || len(got) != 2 || got["eth0"] != 1000 || got["eth1.5"] != 500 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, page := range []string{"eth0:\n", "eth0: x 4\n", "eth0: -1 4\n"} {
		if got, err := parseReceivedBytes([]byte(page)); err == nil {
			t.Errorf("%q reads as %v", page, got)
		}
	}
}

func TestParsePassiveOpens(t *testing.T) {
	for page, want := range map[string]watchdog.Maybe[uint64]{
		"Ip: a b\nIp: 1 2\nTcp: RtoMin PassiveOpens InSegs\nTcp: 200 17 5\nUdp: x\n": watchdog.Known[uint64](17),
		"Tcp: PassiveOpens\nTcp: 18446744073709551615\n":                             watchdog.Known[uint64](1<<64 - 1),
		"Tcp: RtoMin PassiveOpens\nTcp: 200\n":                                       {},
		"Tcp: RtoMin\nTcp: 200\n":                                                    {},
		"Tcp: PassiveOpens\nTcp: -1\n":                                               {},
		"TcpExt: PassiveOpens\nTcpExt: 1\n":                                          {},
		"":                                                                           {},
	} {
		if got := parsePassiveOpens([]byte(page)); got != want {
			t.Errorf("%q reads as %+v, want %+v", page, got, want)
		}
	}
	if got := passiveOpens(t.TempDir()); got.Known {
		t.Errorf("no file reads as %+v", got)
	}
}

// A file of any size costs bounded memory.
func TestReadBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, filepath.Dir(path), map[string]string{"f": strings.Repeat("x", 100)})
	if b, err := readBounded(path, 100); err != nil || len(b) != 100 {
		t.Errorf("at the limit: %d bytes, %v", len(b), err)
	}
	if _, err := readBounded(path, 99); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("above the limit: %v", err)
	}
	if _, err := readBounded("/dev/zero", 1<<16); err == nil {
		t.Error("an endless file was read")
	}
}

func BenchmarkHostRead(b *testing.B) {
	h := NewHost(HostConfig{})
	b.ReportAllocs()
	for b.Loop() {
		if got := h.Read(b.Context(), time.Second); got.State != watchdog.SourceOK {
			b.Skip(got.Reason)
		}
	}
}

// A final look follows a tick at once. What it costs ourselves is no work of the pod's.
func TestAnInstantSaysNothingOfThePod(t *testing.T) {
	root := t.TempDir()
	files := func(usec, received string) map[string]string {
		return map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.stat": "usage_usec " + usec + "\n",
			"proc/self/net/dev": strings.Replace(netDev, "eth0:1000", "eth0:"+received, 1),
		}
	}
	write(t, root, files("1000000", "1000"))
	h := NewHost(HostConfig{Root: root})
	h.Read(t.Context(), 0)
	write(t, root, files("1100000", "2000"))
	tick := h.Read(t.Context(), time.Second)
	if !tick.CPUCores.Known || tick.CPUCores.Value > 0.11 {
		t.Fatalf("the tick says %+v", tick)
	}
	write(t, root, files("1102000", "9000"))
	if now := h.Read(t.Context(), 2*time.Millisecond); now != tick {
		t.Errorf("2 ms later the pod is said to be %+v, not as at the tick, %+v", now, tick)
	}
	write(t, root, files("1600000", "9000"))
	if later := h.Read(t.Context(), 998*time.Millisecond); later.CPUCores.Value < 0.49 || later.CPUCores.Value > 0.51 || later.ReceivedBytesPerSecond.Or(0) != 7000 {
		t.Errorf("a second after the tick: %+v", later)
	}
}
