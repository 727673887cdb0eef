//go:build cgo

package main

/*
#include <malloc.h>
#include <sys/prctl.h>

// While a look is under way Go's runtime watches over it from a thread that sleeps for 20 microseconds at a time, and by default
// the kernel wakes that thread almost as promptly as it asks: some forty times in a look, for a sixth of what the look costs.
// Nothing here is measured more finely than a millisecond, so the kernel may be late by one. The slack belongs to each thread,
// and new ones have it from the one that makes them, so it must be there before Go starts its first. Where it cannot be set
// (a sandbox), all works as well and costs a little more.
__attribute__((constructor)) static void be_easy_on_timers(void) {
	prctl(PR_SET_TIMERSLACK, 1000000UL, 0UL, 0UL, 0UL);
}

// glibc gives threads heaps of their own, so that they need not wait for each other. Ours are rarely two in C at once, and each
// heap keeps what was freed in it: half a megabyte for nothing.
__attribute__((constructor)) static void keep_one_heap(void) {
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
#endif
}
*/
import "C"
