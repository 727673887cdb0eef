//go:build !linux

package disks

import "testing"

// Small is a disk of 16 KiB of its own.
func Small(t testing.TB) string { return noDisk(t) }

// ReadOnly is one that cannot be written.
func ReadOnly(t testing.TB) string { return noDisk(t) }

func noDisk(t testing.TB) string {
	t.Helper()
	t.Skip("this system's way to mount a small disk is not known here")
	return ""
}
