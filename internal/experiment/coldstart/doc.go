// Package coldstart measures what it costs to start a server: it starts the given command again and again, with the model's
// files in the machine's memory and without, notes when each phase of the start ended, asks for the first token, and puts a
// price on all of it.
//
// A cold start is C = the time to the first 200 of /health, plus what the first token took beyond the usual, plus what cannot
// be seen from inside of the pod. That is what WATCHDOG_COLD_START means, and so this package suggests its value.
//
// It must not import the loop, the watchdog's memory or its store: a measurement changes nothing that a watch stands on.
package coldstart
