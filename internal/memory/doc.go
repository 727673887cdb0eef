// Package memory keeps the little that must survive: the idle clock and what every counter said (over a restart of the
// watchdog), and the measured starts and the open stop (over a stop of the pod, where DIR is on a volume).
//
// It is one JSON file of at most 64 KiB, replaced as a whole by rename, so that a kill at any instant leaves either the
// old or the new contents under its name. One goroutine writes; nobody waits for a disk but who asks to (Flush).
package memory
