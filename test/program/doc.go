// Package program builds the real gpu-watchdog and runs it for the tests that look at it from outside: at its log, its
// pages and its exit code. It must not import any room of it.
package program
