// Package faults holds the program to its two promises under every fault that a real pod has: a working pod is never
// stopped, and an idle one is never forgotten. table_test.go has one row a fault. It is tests only, of the real program
// against servers, a driver and a provider that stand in for the real ones:
//
//	go test ./test/faults           # the shorter half
//	test/e2e/faults.sh [ROW...]     # all of them, as a table
//
// Each row is played twice, with its fault and without it. Without it nothing of what the log must say may be said, and
// where the row says so the pod must come to another end.
//
// A wall clock that jumps cannot be made for one process: the tests of package watchdog hold the rules to that.
package faults
