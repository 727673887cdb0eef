//go:build !linux

package host

// lockFolder does nothing where only one watchdog is ever expected.
func lockFolder(string) (unlock func()) { return func() {} }
