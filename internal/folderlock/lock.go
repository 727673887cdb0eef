// Package folderlock keeps two processes of this program from changing the same files of one folder at the same moment.
package folderlock

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// again is how often a lock that somebody else has is tried.
const again = 5 * time.Millisecond

// Take locks the folder, and returns the unlock. Where no lock can be had, not within most and not before ctx ends, it goes on
// without: whoever calls must be able to bear that, as the lock only makes it rare.
func Take(ctx context.Context, folder string, most time.Duration) (unlock func()) {
	f, err := os.Open(folder)
	if err != nil {
		return func() {}
	}
	unlock = func() { _ = f.Close() }
	tick := time.NewTicker(again)
	defer tick.Stop()
	enough := time.NewTimer(most)
	defer enough.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return unlock
		}
		select {
		case <-tick.C:
		case <-enough.C:
			return unlock
		case <-ctx.Done():
			return unlock
		}
	}
}
