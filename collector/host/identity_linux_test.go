package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Someone who may not write anywhere gets no identity, but an error that says what to do.
func TestStartIdentityUnprivileged(t *testing.T) {
	if !asNobody(t) {
		return
	}
	root, set := machine(t)
	set("ro/gone/x", "")
	set("ro/mine/start-id", "0123456789abcdef\n"+bootA+"4000\n")
	set("ro/shut/start-id", "0123456789abcdef\n"+bootA+"4000\n")
	chmod := func(path string, mode fs.FileMode) {
		t.Helper()
		if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"ro/gone", "ro/mine", "ro/shut", "ro"} {
		chmod(path, 0o555)
		t.Cleanup(func() { chmod(path, 0o755) })
	}
	chmod("ro/shut/start-id", 0)
	file := func(name string) IdentityConfig { return IdentityConfig{File: filepath.Join(root, name), Root: root} }

	for _, name := range []string{"ro/gone/start-id", "ro/new/start-id", "ro/shut/start-id"} {
		got, err := StartIdentity(file(name))
		if err == nil || got.ID != "" || !strings.Contains(err.Error(), "permission denied") || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	// An old file may be read where none can be written, for as long as it holds.
	if got := identity(t, file("ro/mine/start-id")); got.ID != "0123456789abcdef" || got.New || got.Warning != "" {
		t.Errorf("got %+v", got)
	}
	set("proc/1/stat", pidOne("5000"))
	if got := identity(t, file("ro/mine/start-id")); got.ID != "0123456789abcdef" || !got.ContainerRestarted || !strings.Contains(got.Warning, "permission denied") {
		t.Errorf("the container restarted: %+v", got)
	}
	set("proc/sys/kernel/random/boot_id", bootB)
	if got, err := StartIdentity(file("ro/mine/start-id")); err == nil || got.ID != "" {
		t.Errorf("the machine rebooted: %+v, %v", got, err)
	}
	// The second place serves where the first is shut.
	set("var/lib/x", "")
	chmod("var/lib", 0o555)
	t.Cleanup(func() { chmod("var/lib", 0o755) })
	temp := filepath.Join(root, "tmp")
	if got := identity(t, IdentityConfig{Root: root, TempDir: temp}); !strings.HasPrefix(got.Path, temp) || !got.New {
		t.Errorf("the second place: %+v", got)
	}
}
