//go:build cgo

package main

/*
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifdef __GLIBC__ // which tells constructors what main is told

// While a look is under way Go's runtime watches over it from a thread that sleeps for 20 microseconds at a time, and by default
// the kernel wakes that thread almost as promptly as it asks: some forty times in a look, for a sixth of what the look costs.
// Nothing here is measured more finely than a millisecond, so the kernel may be late by one. The slack belongs to each thread,
// and new ones have it from the one that makes them, so it must be there before Go starts its first. Where it cannot be set
// (a sandbox), all works as well and costs a little more.
static void be_easy_on_timers(void) {
	prctl(PR_SET_TIMERSLACK, 1000000UL, 0UL, 0UL, 0UL);
}

// Go's runtime makes room for as many processors as there are, 29 kB each, before anybody can tell it that one will do: megabytes
// on a machine with a hundred. It heeds the environment, as it was when the program was started; so it is started once more.
// The value is spelt as nobody spells it, and taken out again for those that we start.
static void need_one_processor(char **argv) {
	char self[4096];
	ssize_t n;
	if (getenv("GOMAXPROCS") || (n = readlink("/proc/self/exe", self, sizeof self - 1)) <= 0)
		return;
	self[n] = 0;
	if (setenv("GOMAXPROCS", "01", 1) == 0) // oneProcessor
		execv(self, argv);
	unsetenv("GOMAXPROCS"); // it could not be: that costs memory, and nothing else
}

// The server that exec starts would have the slack, too.
__attribute__((constructor)) static void begin(int argc, char **argv, char **envp) {
	if (argc > 1 && strcmp(argv[1], "exec") == 0)
		need_one_processor(argv);
	else
		be_easy_on_timers();
	// glibc gives threads heaps of their own, so that they need not wait for each other. Ours are rarely two in C at once, and
	// each heap keeps what was freed in it: half a megabyte for nothing.
	mallopt(M_ARENA_MAX, 1);
}

#endif
*/
import "C"
