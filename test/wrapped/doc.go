// Package wrapped runs the real `gpu-watchdog exec` with small servers, and looks at it from outside: at exit codes, signals,
// streams, terminals, and at what the server inherits. It must not import any room of it.
package wrapped
