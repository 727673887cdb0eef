package memory

import "golang.org/x/sys/unix"

// exchange swaps the names of two files in one step. It errs where one is missing, or the file system cannot.
func exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}
