// Package wrong gives the real program wrong input of every kind, one at a time: servers that answer nonsense or nothing,
// disks that cannot be written, a taken port, a provider gone mad, a broken library, mistaken settings. Each must lead to
// one clear message and a defined state, leave the program alive (but for mistaken settings) and small, and never to a
// stop. It is tests only.
//
// A wall clock that jumps cannot be made for one process: the tests of package watchdog hold the rules to that.
package wrong
