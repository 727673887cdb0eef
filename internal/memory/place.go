package memory

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// fileName is the file's name below DIR/NAME.
const fileName = "memory.json"

// Place is where the memory lies.
type Place struct {
	Dir string
	// Persistent: it lies on a volume of its own, so it outlives a stop of the pod.
	Persistent bool
	// Warning says what is not as asked for, and what that costs; empty where all is well.
	Warning string
}

// Choose finds a folder that can be written: dir/name, else the same below the temporary folder, else none (Dir empty:
// nothing will outlive this process).
func Choose(dir, name, temp string) Place {
	wanted := filepath.Join(dir, name)
	err := writable(wanted)
	if err == nil {
		p := Place{Dir: wanted, Persistent: ownVolume(wanted)}
		if !p.Persistent {
			p.Warning = fmt.Sprintf("%s is on the container's own disk: measured starts are lost when the pod stops; put WATCHDOG_DIR on a volume to keep them", dir)
		}
		return p
	}
	fallback := filepath.Join(temp, "gpu-watchdog", name)
	if second := writable(fallback); second != nil {
		return Place{Warning: fmt.Sprintf("nothing can be kept: %v; %v; the idle clock begins at 0 with each start of the watchdog; make WATCHDOG_DIR writable", err, second)}
	}
	return Place{Dir: fallback, Warning: fmt.Sprintf("WATCHDOG_DIR cannot be used (%v), so %s is: measured starts are lost when the pod stops", err, fallback)}
}

// writable makes the folder and tries to write into it.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return err
	}
	name := f.Name()
	_, err = f.Write([]byte("probe"))
	if closing := f.Close(); err == nil {
		err = closing
	}
	if removing := os.Remove(name); err == nil {
		err = removing
	}
	return err
}

// ownVolume: the folder is on a mount of its own that outlives the pod.
func ownVolume(dir string) bool {
	var root, here syscall.Stat_t
	if syscall.Stat("/", &root) != nil || syscall.Stat(dir, &here) != nil || root.Dev == here.Dev {
		return false
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	return err == nil && outlivesPod(string(mounts), dir)
}

// outlivesPod reads the kernel's list of mounts: memory is lost with the pod, and so is an emptyDir of Kubernetes, which
// tells itself by the folder of the node that it is.
func outlivesPod(mountinfo, dir string) bool {
	longest, kept := "", false
	for line := range strings.Lines(mountinfo) {
		// 36 35 98:0 /root/of/the/mount /mount/point options - type source options
		fields := strings.Fields(line)
		kind := slices.Index(fields, "-") + 1
		if kind < 6 || kind >= len(fields) {
			continue
		}
		from, at := fields[3], fields[4]
		if at != "/" && dir != at && !strings.HasPrefix(dir, at+"/") || len(at) < len(longest) {
			continue
		}
		longest = at
		kept = !slices.Contains([]string{"tmpfs", "ramfs", "overlay"}, fields[kind]) && !strings.Contains(from, "kubernetes.io~empty-dir")
	}
	return kept
}
