package stage

import (
	"context"
	"time"
)

// Rest lets time pass, or less where ctx ends before.
func Rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Every calls do at each step of d until ctx ends, the first time at once.
func Every(ctx context.Context, d time.Duration, do func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Until asks done twenty times a second until it says yes, and says whether it did, at most so long.
func Until(ctx context.Context, most time.Duration, done func() bool) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			return false
		}
		Rest(ctx, 50*time.Millisecond)
	}
	return true
}
