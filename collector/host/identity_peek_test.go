package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPeekIdentityAgreesWithWhatIsTakenAndWritesNothing(t *testing.T) {
	root, set := machine(t)
	temp := filepath.Join(root, "tmp")
	cfg := IdentityConfig{Root: root, TempDir: temp}
	peek := func(cfg IdentityConfig) IdentityPlace {
		t.Helper()
		place, err := PeekIdentity(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return place
	}
	if got := peek(IdentityConfig{PodUID: "5c2b5c0e-7c5e-4a0f-9f5e-0a3a0f0c9d1e", Root: root}); !got.PodUID || got.Path != "" {
		t.Errorf("with a pod UID: %+v", got)
	}
	seen := peek(cfg)
	if seen.Known || seen.Volume != "" || seen.PodUID {
		t.Errorf("before any watchdog: %+v", seen)
	}
	for _, made := range []string{filepath.Dir(seen.Path), temp} {
		if _, err := os.Stat(made); err == nil {
			t.Errorf("peeking made %s", made)
		}
	}
	taken := identity(t, cfg)
	if taken.Path != seen.Path {
		t.Errorf("%s was seen, and %s taken", seen.Path, taken.Path)
	}
	before, err := os.ReadFile(taken.Path)
	if err != nil {
		t.Fatal(err)
	}
	if got := peek(cfg); !got.Known || got.Path != taken.Path {
		t.Errorf("after a watchdog: %+v", got)
	}
	set("proc/sys/kernel/random/boot_id", bootB) // the pod was resumed elsewhere: the file is of another start
	if got := peek(cfg); got.Known || got.Path != taken.Path {
		t.Errorf("after another boot: %+v", got)
	}
	if after, err := os.ReadFile(taken.Path); err != nil || string(after) != string(before) {
		t.Errorf("peeking made %q (%v) of %q", after, err, before)
	}

	set("file", "")
	blocked := filepath.Join(root, "file", "start-id")
	if _, err := PeekIdentity(IdentityConfig{Root: root, File: blocked}); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("with a file in the way of the folder: %v", err)
	}
}

func TestFirstProgramTellsNoArgumentButAPlainWord(t *testing.T) {
	for line, want := range map[string][2]string{
		"/usr/local/bin/gpu-watchdog\x00run\x00":             {"gpu-watchdog", "run"},
		"gpu-watchdog\x00exec\x00--\x00vllm\x00serve\x00":    {"gpu-watchdog", "exec"},
		"/bin/bash\x00-c\x00KEY=secret vllm serve\x00":       {"bash", ""},
		"python3\x00--api-key=rpa_secret\x00serve\x00":       {"python3", "serve"},
		"/sbin/docker-init\x00--\x00/start.sh\x00secret\x00": {"docker-init", ""},
		"": {"", ""},
	} {
		root := t.TempDir()
		write(t, root, map[string]string{"proc/1/cmdline": line})
		if name, word := FirstProgram(root); name != want[0] || word != want[1] {
			t.Errorf("%q: %q, %q; want %q", line, name, word, want)
		}
	}
	if name, word := FirstProgram(t.TempDir()); name+word != "" {
		t.Errorf("of nothing: %q, %q", name, word)
	}
}
