package control

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

func TestPlaces(t *testing.T) {
	folder := t.TempDir()
	place := func(name string, mode fs.FileMode) string {
		path := filepath.Join(folder, name)
		must(t, os.MkdirAll(path, 0o755))
		must(t, os.Chmod(path, mode))
		return path
	}
	run, runtime, temp := place("run", 0o755), place("runtime", 0o700), place("temp", 0o777|fs.ModeSticky)
	anybodys, shared := place("anybodys", 0o777), place("shared", 0o777|fs.ModeSticky)
	file := filepath.Join(folder, "file")
	written(t, file, "")
	uid := os.Geteuid()
	inTemp := func(folder string, uid int) string {
		return filepath.Join(folder, "gpu-watchdog-"+strconv.Itoa(uid)+".sock")
	}
	for name, x := range map[string]struct {
		s    surroundings
		want string
	}{
		"/run":                          {surroundings{run: run, runtime: runtime, temp: temp, uid: uid}, run + "/gpu-watchdog.sock"},
		"/run, which anybody may write": {surroundings{run: shared, runtime: runtime, temp: temp, uid: uid}, shared + "/gpu-watchdog.sock"},
		"no /run":                       {surroundings{run: run + "/none", runtime: runtime, temp: temp, uid: uid}, runtime + "/gpu-watchdog.sock"},
		"a file in its place":           {surroundings{run: file, runtime: runtime, temp: temp, uid: uid}, runtime + "/gpu-watchdog.sock"},
		"anybody may replace it there":  {surroundings{run: anybodys, runtime: runtime, temp: temp, uid: uid}, runtime + "/gpu-watchdog.sock"},
		"another's runtime folder":      {surroundings{run: file, runtime: runtime, temp: temp, uid: uid + 1}, inTemp(temp, uid+1)},
		"a relative runtime folder":     {surroundings{run: file, runtime: ".", temp: temp, uid: uid}, inTemp(temp, uid)},
		"no runtime folder":             {surroundings{run: file, temp: temp, uid: uid}, inTemp(temp, uid)},
		"nothing at all":                {surroundings{run: file, runtime: file, temp: file, uid: uid}, inTemp(file, uid)},
	} {
		if got := x.s.serverPath(); got != x.want {
			t.Errorf("%s: %s, want %s", name, got, x.want)
		}
		paths := x.s.clientPaths()
		if !slices.Contains(paths, x.want) {
			t.Errorf("%s: the client does not look at %s, only at %v", name, x.want, paths)
		}
		if slices.Sort(paths); len(slices.Compact(slices.Clone(paths))) != len(paths) {
			t.Errorf("%s: the client looks somewhere twice: %v", name, paths)
		}
	}
}

// A login has an XDG_RUNTIME_DIR and a TMPDIR where the start of the container had none, or the other way round.
func TestClientLooksWhereItsEnvironmentDoesNotPoint(t *testing.T) {
	folder := t.TempDir()
	uid := os.Geteuid()
	sessions, mine := filepath.Join(folder, "sessions"), filepath.Join(folder, "mine")
	session := filepath.Join(sessions, strconv.Itoa(uid))
	must(t, os.MkdirAll(session, 0o700))
	must(t, os.MkdirAll(mine, 0o700))
	nowhere := filepath.Join(folder, "none")
	client := surroundings{run: nowhere, sessions: sessions, runtime: mine, temp: mine, temps: []string{"/tmp"}, uid: uid}
	for name, server := range map[string]surroundings{
		"the same":        client,
		"its session":     {run: nowhere, runtime: session, temp: mine, uid: uid},
		"no session":      {run: nowhere, temp: mine, uid: uid},
		"none, no TMPDIR": {run: nowhere, temp: "/tmp", uid: uid},
	} {
		if want := server.serverPath(); !slices.Contains(client.clientPaths(), want) {
			t.Errorf("%s: the client does not look at %s, only at %v", name, want, client.clientPaths())
		}
	}
}

func TestDefaultPath(t *testing.T) {
	path := DefaultPath()
	if checkPath(path) != nil || New(Config{}).Path() != path || !slices.Contains(here().clientPaths(), path) {
		t.Errorf("by default it is %q; the server has it at %q, and the client looks at %v", path, New(Config{}).Path(), here().clientPaths())
	}
}
