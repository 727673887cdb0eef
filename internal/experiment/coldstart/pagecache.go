package coldstart

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// PageCache is how much of the files that a start reads lay in the machine's memory right before it.
type PageCache struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// Dropped: the kernel was asked to forget them. It keeps what another process has mapped, and it is free not to obey.
	Dropped bool `json:"dropped"`
	// Resident is what lay in memory when the start began, in bytes; unknown where the kernel does not tell.
	Resident watchdog.Maybe[int64] `json:"resident_bytes"`
	// Error says what went wrong on the way; the start took place all the same.
	Error string `json:"error,omitempty"`
}

// Cold says that hardly anything, less than a hundredth, lay in memory; unknown where the kernel does not tell.
func (p PageCache) Cold() watchdog.Maybe[bool] {
	if !p.Resident.Known || p.Bytes == 0 {
		return watchdog.Maybe[bool]{}
	}
	return watchdog.Known(p.Resident.Value < p.Bytes/100+1)
}

// mostFiles bounds what is walked through: a Python environment with CUDA has some ten thousand.
const mostFiles = 500_000

// filesOf lists the regular files below paths, each once, links to files followed, as Hugging Face's cache has them.
func filesOf(ctx context.Context, paths []string) ([]string, error) {
	seen := map[string]bool{}
	var out []string
	take := func(path string) error {
		target, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil // a link that leads nowhere is no file
		}
		if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() || seen[target] {
			return nil
		}
		seen[target] = true
		if out = append(out, target); len(out) > mostFiles {
			return fmt.Errorf("there are more than %d files: name the folders that a start reads", mostFiles)
		}
		return ctx.Err()
	}
	for _, path := range paths {
		root, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
		err = filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil && name == root:
				return err
			case err != nil, entry.IsDir():
				return nil // what may not be read here may not be dropped either
			}
			return take(name)
		})
		if err != nil {
			return nil, fmt.Errorf("list the files of %s: %w", path, err)
		}
	}
	return out, nil
}

// prepare drops the files of paths from the page cache, if it shall, and looks how much of them is in it.
func prepare(ctx context.Context, paths []string, drop bool) PageCache {
	var p PageCache
	files, err := filesOf(ctx, paths)
	if err != nil {
		p.Error = err.Error()
		return p
	}
	resident, told := int64(0), true
	for _, name := range files {
		size, here, err := handle(name, drop)
		if errors.Is(err, errors.ErrUnsupported) {
			told = false
		} else if err != nil {
			p.Error = fmt.Sprintf("%s: %v", name, err)
			told = false
		}
		p.Files++
		p.Bytes += size
		resident += here
	}
	p.Dropped = drop && p.Files > 0 && p.Error == ""
	if told {
		p.Resident = watchdog.Known(resident)
	}
	return p
}

// handle drops one file, if it shall, and says how large it is and how much of it lies in memory.
func handle(name string, drop bool) (size, resident int64, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, 0, errors.Unwrap(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	if size = info.Size(); size == 0 {
		return 0, 0, nil
	}
	if drop {
		if err := forget(f); err != nil {
			return size, 0, fmt.Errorf("drop it from the page cache: %w", err)
		}
	}
	resident, err = residentBytes(f, size)
	return size, min(resident, size), err
}
