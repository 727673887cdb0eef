// Package doctor looks at everything that the watchdog needs on this pod, before, beside and without one that runs: its settings, its
// sources, the price, the clock, the disk, its addresses, and what a stop would go through. Each check gives a plain verdict and, where
// all is not well, what to do.
//
// It changes nothing: it makes no file, no folder and no socket's file, listens nowhere, tells nobody anything, and asks the provider
// only what it may be asked. So it must not import a stopper, the store, the loop or the supervisor: what a stop would do it is told by
// functions that cmd hands it, which rehearse and never act.
package doctor
