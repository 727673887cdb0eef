package wrong

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// smallDisk is a disk of 16 KiB of its own.
func smallDisk(t *testing.T) string { return mount(t, 0) }

// readOnlyDisk is one that cannot be written.
func readOnlyDisk(t *testing.T) string { return mount(t, syscall.MS_RDONLY) }

func mount(t *testing.T, flags uintptr) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	err = syscall.Mount("tmpfs", dir, "tmpfs", flags, "size=16k,mode=0755")
	if errors.Is(err, syscall.EPERM) {
		t.Skip("only root may mount a disk")
	}
	if err != nil {
		t.Fatalf("mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
