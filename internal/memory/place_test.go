package memory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOnlyAVolumeOutlivesThePod(t *testing.T) {
	const mounts = `22 1 0:20 / / rw - overlay overlay rw
30 22 254:16 / /workspace rw - ext4 /dev/vdb rw
31 22 0:40 / /net rw shared:7 master:2 - fuse.mfs mfs rw
32 22 0:41 / /run rw - tmpfs tmpfs rw
33 22 254:1 /var/lib/kubelet/pods/1/volumes/kubernetes.io~empty-dir/watchdog /var/lib/gpu-watchdog rw - ext4 /dev/vda1 rw
a line that is none
`
	for dir, want := range map[string]bool{
		"/workspace/.gpu-watchdog/pod":  true,
		"/workspace":                    true,
		"/net/pod":                      true,
		"/workspaces/pod":               false, // another folder, on the container's disk
		"/run/gpu-watchdog":             false,
		"/var/lib/gpu-watchdog/default": false,
		"/srv":                          false,
	} {
		if got := outlivesPod(mounts, dir); got != want {
			t.Errorf("%s outlives the pod: %v, want %v", dir, got, want)
		}
	}
}

func TestChooseFallsBackAndSaysWhatThatCosts(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	p := Choose(blocked, "pod", temp)
	if p.Dir != filepath.Join(temp, "gpu-watchdog", "pod") || p.Persistent || !strings.Contains(p.Warning, "WATCHDOG_DIR cannot be used") {
		t.Errorf("chose %+v", p)
	}
	if p := Choose(blocked, "pod", blocked); p.Dir != "" || !strings.Contains(p.Warning, "nothing can be kept") {
		t.Errorf("with no place at all chose %+v", p)
	}
}
