// Package watchdog is the pure heart of gpu-watchdog: what is happening on this pod, and may it be stopped?
//
// Rules.Decide turns a State and a Snapshot into the next State and a Decision. The live loop, the simulator, explain
// and the tests all call this one function. Time is data here: the package compares the instants and durations that it
// was given and never asks a clock. It imports the standard library only, and of that nothing that reads a clock, a
// file, the network, a context or a database (imports_test.go holds it to that).
package watchdog
