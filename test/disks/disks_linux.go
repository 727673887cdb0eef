package disks

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// Small is a disk of 16 KiB of its own.
func Small(t testing.TB) string { return mount(t, 0) }

// ReadOnly is one that cannot be written.
func ReadOnly(t testing.TB) string { return mount(t, syscall.MS_RDONLY) }

func mount(t testing.TB, flags uintptr) string {
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
