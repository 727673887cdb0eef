// Package collector takes one look at the pod: every source of evidence at once, under one deadline. A source that fails
// is data, not an error. It knows how to ask, never what an answer means; that is for package watchdog to judge. The
// sources do not know each other, and this package imports none of them: the wiring hands them in.
package collector
