//go:build cgo

package main

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Threads that Go starts, at whatever time, may be woken a millisecond late.
func TestThreadsMayBeWokenLate(t *testing.T) {
	var all sync.WaitGroup
	here := make(chan struct{})
	for range 4 { // each is locked to a thread, so these are four threads
		all.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			<-here
			ns, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
			if slack := time.Duration(ns); err != nil || slack != time.Millisecond {
				t.Errorf("a thread's slack is %s, want 1ms (%v)", slack, err)
			}
		})
	}
	close(here)
	all.Wait()
}
