package coldstart

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A file that was just written lies in memory; dropped, it does not, on file systems that have a disk below them.
func TestPageCache(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux drops and tells")
	}
	const size = 4<<20 + 123
	dir := t.TempDir()
	file := filepath.Join(dir, "blob")
	if err := os.WriteFile(file, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	// Hugging Face's cache names blobs by links, which may lead nowhere.
	for link, to := range map[string]string{"model.safetensors": file, "lost": filepath.Join(dir, "nothing"), "loop": dir} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	warm := prepare(t.Context(), []string{dir, file}, false)
	if warm.Files != 1 || warm.Bytes != size || warm.Dropped || warm.Error != "" {
		t.Fatalf("have %+v", warm)
	}
	if !warm.Resident.Known {
		t.Skip("this kernel does not tell what lies in its page cache")
	}
	if warm.Resident.Value != size || warm.Cold().Value {
		t.Errorf("just written, %d of %d bytes lie in memory", warm.Resident.Value, size)
	}
	cold := prepare(t.Context(), []string{dir}, true)
	if cold.Files != 1 || !cold.Dropped || !cold.Resident.Known {
		t.Fatalf("have %+v", cold)
	}
	if cold.Resident.Value == size {
		t.Skip("nothing was dropped: the temporary folder is memory itself")
	}
	if !cold.Cold().Value {
		t.Errorf("after it was dropped, %d of %d bytes lie in memory", cold.Resident.Value, size)
	}
	if _, err := os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	if again := prepare(t.Context(), []string{dir}, false); again.Resident.Value != size {
		t.Errorf("read again, %d of %d bytes lie in memory", again.Resident.Value, size)
	}
}

func TestPageCacheOfNothing(t *testing.T) {
	if p := prepare(t.Context(), []string{filepath.Join(t.TempDir(), "absent")}, true); p.Error == "" || p.Dropped || p.Cold().Known {
		t.Errorf("have %+v", p)
	}
	if p := prepare(t.Context(), nil, true); p.Error != "" || p.Dropped || p.Cold().Known {
		t.Errorf("have %+v", p)
	}
}
