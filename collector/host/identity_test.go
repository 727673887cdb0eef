package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	bootA = "00ccea0b-a138-4a21-b3d4-3f857e914526\n"
	bootB = "11ccea0b-a138-4a21-b3d4-3f857e914527\n"
)

// pidOne is /proc/1/stat of a process that began so many ticks after boot; its name is as bad as a name can be.
func pidOne(ticks string) string {
	return "1 (a) b (c)) S 0 0 0 0 -1 4194560 38853 844871 0 622 50 238 9954 1655 20 0 13 0 " + ticks + " 48394240 4163 0\n"
}

// machine is a root file system on which everything is known: up for 100 s, PID 1 begun 40 s after boot.
func machine(t *testing.T) (root string, set func(path, content string)) {
	t.Helper()
	root = t.TempDir()
	set = func(path, content string) { t.Helper(); write(t, root, map[string]string{path: content}) }
	set("proc/sys/kernel/random/boot_id", bootA)
	set("proc/1/stat", pidOne("4000"))
	set("proc/uptime", "100.00 50.00\n")
	return root, set
}

func identity(t *testing.T, cfg IdentityConfig) Identity {
	t.Helper()
	id, err := StartIdentity(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if id.ID == "" || id.Source == "" {
		t.Fatalf("no error and no identity: %+v", id)
	}
	return id
}

func TestStartIdentityOfAPod(t *testing.T) {
	root, _ := machine(t)
	got := identity(t, IdentityConfig{PodUID: " 5c2b5c0e-7c5e-4a0f-9f5e-0a3a0f0c9d1e\n", Root: root, TempDir: root})
	want := Identity{ID: "5c2b5c0e-7c5e-4a0f-9f5e-0a3a0f0c9d1e", Source: SourcePodUID,
		ContainerStart: watchdog.Known(60 * time.Second), BootID: strings.TrimSpace(bootA)}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if _, err := os.Stat(filepath.Join(root, "var")); err == nil {
		t.Error("a start-id file was written beside a pod UID")
	}
}

// A POD_UID that would be the same on every pod must not carry an idle clock from one to the next.
func TestStartIdentityRefusesAnUnexpandedUID(t *testing.T) {
	for _, uid := range []string{"$(POD_UID)", "${POD_UID}", "a b", "a/b", strings.Repeat("a", 129), "-"} {
		root, _ := machine(t)
		got := identity(t, IdentityConfig{PodUID: uid, Root: root, TempDir: root})
		if got.Source != SourceStartIDFile || !strings.Contains(got.Warning, "POD_UID is set to") {
			t.Errorf("%q: got %+v", uid, got)
		}
	}
}

// One start, told from the next, over everything that can happen to a container.
func TestStartIdentityFile(t *testing.T) {
	root, set := machine(t)
	cfg := IdentityConfig{Root: root, TempDir: filepath.Join(root, "tmp")}
	first := identity(t, cfg)
	path := filepath.Join(root, defaultStartIDFile)
	want := Identity{ID: first.ID, New: true, Source: SourceStartIDFile, Path: path,
		ContainerStart: watchdog.Known(60 * time.Second), BootID: strings.TrimSpace(bootA)}
	if first != want || !startIDPattern.MatchString(first.ID) {
		t.Fatalf("got %+v, want %+v", first, want)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != first.ID+"\n"+bootA+"4000\n" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}

	set("proc/uptime", "160.00 50.00\n")
	if got := identity(t, cfg); got.ID != first.ID || got.New || got.ContainerRestarted || got.ContainerStart.Value != 2*time.Minute {
		t.Errorf("the watchdog restarted: %+v", got)
	}

	set("proc/1/stat", pidOne("16000"))
	if got := identity(t, cfg); got.ID != first.ID || got.New || !got.ContainerRestarted || got.ContainerStart.Value != 0 {
		t.Errorf("the container restarted: %+v", got)
	}
	if got := identity(t, cfg); got.ID != first.ID || got.New || got.ContainerRestarted {
		t.Errorf("and the watchdog restarted after that: %+v", got)
	}

	set("proc/sys/kernel/random/boot_id", bootB)
	rebooted := identity(t, cfg)
	if rebooted.ID == first.ID || !rebooted.New || rebooted.ContainerRestarted {
		t.Errorf("the machine rebooted: %+v", rebooted)
	}
	if got := identity(t, cfg); got.ID != rebooted.ID || got.New {
		t.Errorf("and the watchdog restarted after that: %+v", got)
	}

	if err := os.RemoveAll(filepath.Join(root, "var")); err != nil {
		t.Fatal(err)
	}
	if got := identity(t, cfg); got.ID == rebooted.ID || !got.New {
		t.Errorf("the pod was resumed with a fresh disk: %+v", got)
	}
	if left, err := filepath.Glob(filepath.Join(root, "var/lib/gpu-watchdog/.*")); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// What is not whole is replaced: the idle clock then starts at 0, which is the safe error.
func TestStartIdentityReplacesWhatIsNotWhole(t *testing.T) {
	good := "0123456789abcdef\n" + bootA + "4000\n"
	for name, content := range map[string]string{
		"empty": "", "cut short": good[:len(good)-1], "one line": "0123456789abcdef\n", "no boot": "0123456789abcdef\n\n4000\n",
		"a line more": good + "\n", "upper case": strings.ToUpper(good), "carriage returns": strings.ReplaceAll(good, "\n", "\r\n"),
		"a negative tick": "0123456789abcdef\n" + bootA + "-1\n", "a padded tick": "0123456789abcdef\n" + bootA + "04000\n",
		"huge": strings.Repeat("0123456789abcdef\n", 1<<16), "zeros": strings.Repeat("\x00", 58),
	} {
		root, set := machine(t)
		set(defaultStartIDFile, content)
		got := identity(t, IdentityConfig{Root: root, TempDir: root})
		if !got.New || got.ID == "0123456789abcdef" || got.Path != filepath.Join(root, defaultStartIDFile) {
			t.Errorf("%s: got %+v", name, got)
		}
		if again := identity(t, IdentityConfig{Root: root, TempDir: root}); again.ID != got.ID || again.New {
			t.Errorf("%s, again: got %+v, want id %s", name, again, got.ID)
		}
	}
	root, set := machine(t)
	set(defaultStartIDFile, good)
	if got := identity(t, IdentityConfig{Root: root, TempDir: root}); got.ID != "0123456789abcdef" || got.New {
		t.Errorf("whole: got %+v", got)
	}
}

// Where a link or a folder lies in the file's place nothing is followed and nothing blocks.
func TestStartIdentityNotAFile(t *testing.T) {
	root, set := machine(t)
	set("elsewhere", "0123456789abcdef\n"+bootA+"4000\n")
	path := filepath.Join(root, "start-id")
	if err := os.Symlink(filepath.Join(root, "elsewhere"), path); err != nil {
		t.Fatal(err)
	}
	if got := identity(t, IdentityConfig{File: path, Root: root}); !got.New || got.ID == "0123456789abcdef" {
		t.Errorf("a link: %+v", got)
	}
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link was not replaced: %v, %v", info, err)
	}
	set("folder/start-id/x", "")
	if got, err := StartIdentity(IdentityConfig{File: filepath.Join(root, "folder/start-id"), Root: root}); err == nil {
		t.Errorf("a folder: %+v", got)
	}
	left, err := filepath.Glob(filepath.Join(root, "folder/.start-id*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// A configured file is the only place. Without one there are two, and the error names both.
func TestStartIdentityPlaces(t *testing.T) {
	root, set := machine(t)
	set("blocked", "a file, and no folder")
	blocked := filepath.Join(root, "blocked/start-id")
	got, err := StartIdentity(IdentityConfig{File: blocked, Root: root, TempDir: root})
	if err == nil || got.ID != "" || got.Source != "" || got.New {
		t.Fatalf("got %+v, %v", got, err)
	}
	if !got.ContainerStart.Known || got.BootID == "" {
		t.Errorf("what is known all the same is missing: %+v", got)
	}
	for _, part := range []string{blocked, "not a directory", "nothing will be stopped", "WATCHDOG_START_ID_FILE", "POD_UID"} {
		if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q does not say %q on one line", err, part)
		}
	}

	set("var", "a file, and no folder")
	temp := filepath.Join(root, "tmp")
	if got := identity(t, IdentityConfig{Root: root, TempDir: temp}); got.Path != filepath.Join(temp, "gpu-watchdog/start-id") || !got.New {
		t.Errorf("the second place: %+v", got)
	}
	_, err = StartIdentity(IdentityConfig{Root: root, TempDir: filepath.Join(root, "blocked")})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(root, defaultStartIDFile)) || !strings.Contains(err.Error(), blocked[:len(blocked)-len("start-id")]) {
		t.Errorf("both blocked: %v", err)
	}
}

// Without a boot id only the same PID 1 proves the same start; without either every start is new.
func TestStartIdentityWithoutABootID(t *testing.T) {
	root, set := machine(t)
	cfg := IdentityConfig{Root: root, TempDir: root}
	remove := func(path string) {
		t.Helper()
		if err := os.Remove(filepath.Join(root, path)); err != nil {
			t.Fatal(err)
		}
	}
	remove("proc/sys/kernel/random/boot_id")
	first := identity(t, cfg)
	if got := identity(t, cfg); got.ID != first.ID || got.New || got.BootID != "" {
		t.Errorf("the same PID 1: %+v", got)
	}
	set("proc/1/stat", pidOne("4001"))
	second := identity(t, cfg)
	if second.ID == first.ID || !second.New || second.ContainerRestarted {
		t.Errorf("another PID 1: %+v", second)
	}
	set("proc/sys/kernel/random/boot_id", bootA)
	third := identity(t, cfg)
	if third.ID == second.ID || !third.New {
		t.Errorf("a boot id came up: %+v", third)
	}
	remove("proc/1/stat")
	if got := identity(t, cfg); got.ID != third.ID || got.ContainerRestarted || got.ContainerStart.Known {
		t.Errorf("PID 1 went out of sight: %+v", got)
	}
	remove("proc/sys/kernel/random/boot_id")
	fourth := identity(t, cfg)
	if fifth := identity(t, cfg); !fourth.New || !fifth.New || fourth.ID == fifth.ID {
		t.Errorf("neither is known: %+v, then %+v", fourth, fifth)
	}
}

// On a volume the file outlives the pod: warned of, and another PID 1 is another start.
func TestStartIdentityOnAVolume(t *testing.T) {
	root, set := machine(t)
	volume, bound, own := filepath.Join(root, "vol ume"), filepath.Join(root, "bound"), filepath.Join(root, "own")
	temporary, ofRoot := filepath.Join(root, "temporary"), filepath.Join(root, "ofroot")
	for _, dir := range []string{volume, volume + "2", bound, own, temporary, ofRoot} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	escaped := strings.ReplaceAll(volume, " ", `\040`)
	set("proc/self/mountinfo", "22 1 8:9 / / rw - ext4 /dev/sdb rw\n"+
		"23 22 0:50 / "+escaped+" rw,relatime shared:1 - nfs4 server:/v rw\n"+
		"24 22 0:50 /sub "+bound+" rw - nfs4 server:/v rw\n"+
		"25 22 8:1 / "+own+" rw - ext4 /dev/sda1 rw\n"+
		"26 22 0:60 / "+temporary+" rw - tmpfs tmpfs rw\n"+
		"27 22 8:9 /some "+ofRoot+" rw - ext4 /dev/sdb rw\n"+
		"nonsense\n")
	dir := filepath.Join(volume, ".gpu-watchdog/not/yet/made")
	for _, c := range []struct {
		name, file, volume string
		warned             bool
	}{
		{"on the volume", filepath.Join(volume, "a/start-id"), dir, true},
		{"on the same volume, mounted elsewhere", filepath.Join(bound, "start-id"), dir, true},
		{"on another disk", filepath.Join(own, "start-id"), dir, false},
		{"on the container's disk", filepath.Join(root, "start-id"), dir, false},
		{"DIR on the container's disk too", filepath.Join(root, "start-id-2"), filepath.Join(root, "dir"), false},
		{"beside the volume", filepath.Join(root, "vol ume2/start-id"), dir, false},
		{"on a folder of the root's disk that is mounted again", filepath.Join(ofRoot, "start-id"), filepath.Join(root, "dir"), false},
		{"both in memory", filepath.Join(temporary, "start-id"), filepath.Join(temporary, "dir"), false},
	} {
		cfg := IdentityConfig{File: c.file, Volumes: []string{c.volume}, Root: root}
		set("proc/1/stat", pidOne("4000"))
		first := identity(t, cfg)
		if got := strings.Contains(first.Warning, "cannot tell a resumed pod from a restarted watchdog"); got != c.warned || got != (first.Warning != "") {
			t.Errorf("%s: warning %q", c.name, first.Warning)
		}
		if got := identity(t, cfg); got.ID != first.ID || got.New {
			t.Errorf("%s: the watchdog restarted: %+v", c.name, got)
		}
		set("proc/1/stat", pidOne("5000"))
		if got := identity(t, cfg); (got.ID != first.ID) != c.warned || got.New != c.warned || got.ContainerRestarted == c.warned {
			t.Errorf("%s: another PID 1: %+v", c.name, got)
		}
	}
}

// Where the first of the default places lies on a volume and the second does not, the second serves.
func TestStartIdentityAvoidsAVolume(t *testing.T) {
	root, set := machine(t)
	lib, temp := filepath.Join(root, "var/lib/gpu-watchdog"), filepath.Join(root, "tmp")
	set("var/lib/gpu-watchdog/memory.json", "")
	set("proc/self/mountinfo", "22 1 0:21 / / rw - overlay overlay rw\n23 22 8:1 / "+lib+" rw - ext4 /dev/sda1 rw\n")
	cfg := IdentityConfig{Volumes: []string{lib}, Root: root, TempDir: temp}
	if got := identity(t, cfg); !strings.HasPrefix(got.Path, temp) || got.Warning != "" {
		t.Errorf("got %+v", got)
	}
	cfg.TempDir = filepath.Join(lib, "memory.json") // a file: no place at all
	if got := identity(t, cfg); !strings.HasPrefix(got.Path, lib) || got.Warning == "" {
		t.Errorf("the volume alone: %+v", got)
	}
}

// Watchdogs that start together agree on one id, and exactly one of them made it.
func TestStartIdentityConcurrently(t *testing.T) {
	root, set := machine(t)
	cfg := IdentityConfig{Root: root, TempDir: root}
	seen := map[string]bool{}
	for round := range 24 {
		switch round % 3 {
		case 0: // no file yet
			if err := os.RemoveAll(filepath.Join(root, "var")); err != nil {
				t.Fatal(err)
			}
		case 1: // a reboot
			set("proc/sys/kernel/random/boot_id", fmt.Sprintf("%032x", round))
		case 2: // a torn file
			set(defaultStartIDFile, "torn")
		}
		got := make([]Identity, 16)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() { got[i], _ = StartIdentity(cfg) })
		}
		all.Wait()
		made := 0
		for _, id := range got {
			if id.New {
				made++
			}
			if id.ID != got[0].ID || id.ID == "" {
				t.Fatalf("%+v and %+v", got[0], id)
			}
		}
		if made != 1 || seen[got[0].ID] {
			t.Errorf("%d made id %s", made, got[0].ID)
		}
		seen[got[0].ID] = true
	}
}

// The real kernel's files.
func TestStartIdentityOnThisMachine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "start-id")
	first := identity(t, IdentityConfig{File: path})
	if again := identity(t, IdentityConfig{File: path}); again.ID != first.ID || again.New || again.ContainerRestarted {
		t.Errorf("first %+v, then %+v", first, again)
	}
	if first.BootID == "" || !first.ContainerStart.Known || first.ContainerStart.Value <= 0 {
		t.Errorf("got %+v", first)
	}
}

func TestReadFirstProcess(t *testing.T) {
	for _, c := range []struct{ stat, uptime, want string }{
		{pidOne("4000"), "100.25 9\n", "4000 1m0.25s"},
		{pidOne("4000"), "39.00 9\n", "4000 unknown"}, // one of them is virtualised
		{pidOne("4000"), "x\n", "4000 unknown"},
		{pidOne("4000"), "", "4000 unknown"},
		{pidOne("-1"), "100.00 9\n", "0 unknown"},
		{pidOne("18446744073709551615"), "100.00 9\n", "0 unknown"},
		{"1 (init) S 0 0\n", "100.00 9\n", "0 unknown"},
		{"1 init S 0 0\n", "100.00 9\n", "0 unknown"},
		{"", "100.00 9\n", "0 unknown"},
	} {
		root := t.TempDir()
		write(t, root, map[string]string{"proc/1/stat": c.stat, "proc/uptime": c.uptime})
		p := readFirstProcess(root)
		got := fmt.Sprint(p.started, " unknown")
		if p.age.Known {
			got = fmt.Sprint(p.started, " ", p.age.Value)
		}
		if got != c.want {
			t.Errorf("%q at %q: %s, want %s", c.stat, c.uptime, got, c.want)
		}
	}
	if p := readFirstProcess(t.TempDir()); p.started != 0 || p.age.Known {
		t.Errorf("no files: %+v", p)
	}
}

// What is read as whole is exactly what would be written, and nothing else is.
func FuzzParseStartRecord(f *testing.F) {
	f.Add([]byte("0123456789abcdef\n" + bootA + "4000\n"))
	f.Add([]byte("0123456789abcdef\n-\n-\n"))
	f.Add([]byte("0123456789abcdef\n-\n0\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseStartRecord(b)
		if err != nil {
			if r != (startRecord{}) {
				t.Errorf("error %v beside %+v", err, r)
			}
			return
		}
		if r.format() != string(b) || len(r.id) != 16 || len(b) > 16+1+64+1+20+1 {
			t.Errorf("%q reads as %+v", b, r)
		}
	})
}
