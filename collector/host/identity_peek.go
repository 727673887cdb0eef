package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// IdentityPlace is where the identity of this start is, or would be, as far as can be seen without writing anything.
type IdentityPlace struct {
	// PodUID: it is Kubernetes' pod UID, and no file is needed.
	PodUID bool
	// Path is the file that would be used; empty where PodUID is, or where no place can be written.
	Path string
	// Known: the file is there and is of this start, so a watchdog has run in it.
	Known bool
	// Volume is the volume on which the file lies; empty where it lies on the container's own disk, as it must.
	Volume string
}

// PeekIdentity says what StartIdentity would find and choose, and neither makes nor changes anything. Its error says which
// places cannot be used, and why.
func PeekIdentity(cfg IdentityConfig) (IdentityPlace, error) {
	if podUIDPattern.MatchString(strings.TrimSpace(cfg.PodUID)) {
		return IdentityPlace{PodUID: true}, nil
	}
	first, boot := readFirstProcess(cfg.Root), bootID(cfg.Root)
	paths, volumes := cfg.places()
	var failed []error
	for _, path := range paths {
		out := IdentityPlace{Path: path, Volume: volumes[path]}
		file := startIDFile{path: path, boot: boot, first: first.started, outlives: out.Volume != ""}
		if old, err := file.read(); err == nil && file.sameStart(old) {
			out.Known = true
			return out, nil
		}
		if err := mayWriteInto(filepath.Dir(path)); err != nil {
			failed = append(failed, fmt.Errorf("start-id file %s: %w", path, err))
			continue
		}
		return out, nil
	}
	return IdentityPlace{}, oneLine(failed)
}

// mayWriteInto says whether files can be made in a folder, or the folder itself where it is not there yet. It asks the kernel, and
// writes nothing.
func mayWriteInto(folder string) error {
	for {
		info, err := os.Stat(folder)
		parent := filepath.Dir(folder)
		switch {
		case errors.Is(err, fs.ErrNotExist) && parent != folder:
			folder = parent
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return fmt.Errorf("%s is no folder", folder)
		}
		if err := unix.Faccessat(unix.AT_FDCWD, folder, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("user %d may not write into %s: %w", os.Geteuid(), folder, err)
		}
		return nil
	}
}
