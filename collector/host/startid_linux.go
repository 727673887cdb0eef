package host

import (
	"errors"
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
	unlock = func() { _ = f.Close() }
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	enough := time.NewTimer(lockWait)
	defer enough.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return unlock
		}
		select {
		case <-again.C:
		case <-enough.C:
			return unlock
		}
	}
}
