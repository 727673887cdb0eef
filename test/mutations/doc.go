// Command mutations asks whether the tests of the pure core, of the loop around it, and of the stopper that can delete a pod, would
// notice if a rule were missing.
//
//	go run ./test/mutations            all of them
//	go run ./test/mutations -only spin those whose name matches
//
// Each mutation takes one rule, guard or lie-detector out of a copy of its package by replacing one exact text, and then runs
// the short tests of the package that it is in. A mutation that no test notices survives, and the command exits with 1; so it
// does where a text is not there exactly once, or where the mutated code does not compile.
package main
