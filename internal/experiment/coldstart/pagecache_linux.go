package coldstart

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forget asks the kernel to drop a file from its page cache. What was not yet written stays, so it is written first.
func forget(f *os.File) error {
	_ = unix.Fdatasync(int(f.Fd())) // a file that cannot be written has nothing to write
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// residentBytes is how much of a file lies in the page cache. mincore tells the truth only of files that we own or may write;
// cachestat (Linux 6.5) of all, but not through an overlay, where the pages are those of the file below. The error wraps
// errors.ErrUnsupported where neither tells.
func residentBytes(f *os.File, size int64) (int64, error) {
	var about unix.Stat_t
	if unix.Fstat(int(f.Fd()), &about) == nil {
		if me := os.Geteuid(); me == 0 || int(about.Uid) == me || unix.Access(f.Name(), unix.W_OK) == nil {
			return residentByMap(f, size)
		}
	}
	var system unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &system); err != nil || uint32(system.Type) == unix.OVERLAYFS_SUPER_MAGIC {
		return 0, fmt.Errorf("look for it in the page cache: %w", errors.ErrUnsupported)
	}
	var told unix.Cachestat_t
	if err := unix.Cachestat(uint(f.Fd()), &unix.CachestatRange{}, &told, 0); err != nil {
		return 0, fmt.Errorf("look for it in the page cache: %w (%w)", err, errors.ErrUnsupported)
	}
	return int64(told.Cache) * int64(os.Getpagesize()), nil
}

func residentByMap(f *os.File, size int64) (int64, error) {
	mapped, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, fmt.Errorf("look for it in the page cache: %w (%w)", err, errors.ErrUnsupported)
	}
	defer func() { _ = unix.Munmap(mapped) }()
	page := int64(os.Getpagesize())
	pages := make([]byte, (size+page-1)/page)
	_, _, code := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mapped[0])), uintptr(size), uintptr(unsafe.Pointer(&pages[0])))
	if code != 0 {
		return 0, fmt.Errorf("look for it in the page cache: %w (%w)", code, errors.ErrUnsupported)
	}
	resident := int64(0)
	for _, p := range pages {
		resident += int64(p&1) * page
	}
	return resident, nil
}
