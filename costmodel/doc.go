// Package costmodel is the pure money side of gpu-watchdog: when is idling on dearer than starting again later?
//
// It knows what an hour of this pod costs, how long a cold start takes (measured on this pod), what a cold start costs
// the people who wait for it, and from these the break-even and the idle threshold of each policy. Like package
// watchdog it takes time as data and imports nothing that reads a clock, a file, the network or a database.
package costmodel
