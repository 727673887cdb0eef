package host

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait bounds the wait for another watchdog that writes the same file at the same moment.
const lockWait = 2 * time.Second

// lockFolder keeps two watchdogs that start together from writing two ids. It returns the unlock. Where no lock can be
// had it goes on without: the file is still replaced whole.
func lockFolder(folder string) (unlock func()) {
	f, err := os.Open(folder)
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK && err != unix.EINTR || time.Now().After(end) {
			return func() { _ = f.Close() }
		}
	}
}
