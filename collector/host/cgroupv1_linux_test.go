package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// What cannot be read, though it is there, is named.
func TestFindCPUAccountSaysWhatItMayNotRead(t *testing.T) {
	if !asNobody(t) {
		return
	}
	root := t.TempDir()
	write(t, root, map[string]string{"sys/fs/cgroup/cpu.stat": cpuStat, "proc/self/mountinfo": mount("/", "/sys/fs/cgroup", "cgroup2", "x")})
	if err := os.Chmod(filepath.Join(root, "sys/fs/cgroup/cpu.stat"), 0); err != nil {
		t.Fatal(err)
	}
	got := NewHost(HostConfig{Root: root}).Read(t.Context(), 0)
	if got.State != watchdog.SourceAbsent || !strings.Contains(got.Reason, "permission denied") || !strings.Contains(got.Reason, "cpu.stat") {
		t.Errorf("got %+v", got)
	}
}
