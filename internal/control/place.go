package control

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

const socketName = "gpu-watchdog.sock"

// surroundings are what the default places depend on.
type surroundings struct {
	// run is /run, sessions the folder of the users' runtime folders, runtime XDG_RUNTIME_DIR.
	run, sessions, runtime string
	// temp is the folder for temporary files here, and temps those that another process of the same user may have.
	temp  string
	temps []string
	uid   int
}

func here() surroundings {
	return surroundings{
		run: "/run", sessions: "/run/user", runtime: os.Getenv("XDG_RUNTIME_DIR"),
		temp: os.TempDir(), temps: []string{"/tmp"}, uid: os.Geteuid(),
	}
}

// DefaultPath is where the socket is when nobody says where: /run/gpu-watchdog.sock if that folder can be written, else
// gpu-watchdog.sock in XDG_RUNTIME_DIR if that is ours, else gpu-watchdog-UID.sock in the folder for temporary files. Somebody
// else's file may already be there: the server leaves it alone and warns.
func DefaultPath() string { return here().serverPath() }

func (s surroundings) serverPath() string {
	switch {
	case writable(s.run):
		return filepath.Join(s.run, socketName)
	case filepath.IsAbs(s.runtime) && writable(s.runtime) && ownedBy(s.runtime, s.uid):
		return filepath.Join(s.runtime, socketName)
	}
	return s.inTemp(s.temp)
}

// clientPaths are the places where a watchdog of this user may have its socket. Its environment need not have been ours: a login
// has an XDG_RUNTIME_DIR, and the start of a container has none.
func (s surroundings) clientPaths() []string {
	paths := []string{filepath.Join(s.run, socketName)}
	for _, runtime := range []string{s.runtime, filepath.Join(s.sessions, fmt.Sprint(s.uid))} {
		if filepath.IsAbs(runtime) {
			paths = append(paths, filepath.Join(runtime, socketName))
		}
	}
	for _, temp := range append([]string{s.temp}, s.temps...) {
		paths = append(paths, s.inTemp(temp))
	}
	var once []string
	for _, p := range paths {
		if !slices.Contains(once, p) {
			once = append(once, p)
		}
	}
	return once
}

func (s surroundings) inTemp(folder string) string {
	// Named after the user: elsewhere one user's socket would be in another's way.
	return filepath.Join(folder, fmt.Sprintf("gpu-watchdog-%d.sock", s.uid))
}

// writable says whether a socket can be made in a folder, and whether it would stay ours there.
func writable(folder string) bool {
	info, err := os.Stat(folder)
	if err != nil || !info.IsDir() || unix.Access(folder, unix.W_OK|unix.X_OK) != nil {
		return false
	}
	const anybody = 0o002
	return info.Mode().Perm()&anybody == 0 || info.Mode()&fs.ModeSticky != 0
}

func ownedBy(path string, uid int) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(owner.Uid) == uid
}
