package host

import "testing"

func TestAccountNamesTheFileThatIsRead(t *testing.T) {
	for file, version := range map[string]int{"/sys/fs/cgroup/cpu.stat": 2, "/sys/fs/cgroup/cpuacct/cpuacct.usage": 1} {
		root := t.TempDir()
		h := NewHost(HostConfig{Root: root})
		if got, v := h.Account(); got != "" || v != 0 {
			t.Errorf("before the first look: %s, version %d", got, v)
		}
		h.Read(t.Context(), 0)
		if got, v := h.Account(); got != "" || v != 0 {
			t.Errorf("without any account: %s, version %d", got, v)
		}
		write(t, root, map[string]string{file: map[int]string{1: cpuAcct, 2: cpuStat}[version]})
		h.Read(t.Context(), 0)
		if got, v := h.Account(); got != file || v != version {
			t.Errorf("%s, version %d; want %s, %d", got, v, file, version)
		}
	}
}
