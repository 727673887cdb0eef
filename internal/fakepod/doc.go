// Package fakepod is a rented GPU pod on loopback, for the demo and for end-to-end tests: a vLLM that really listens and
// really streams to clients which really connect, a GPU behind a compiled stand-in of NVML, and a RunPod that may refuse.
// The people who use it follow a Day, at a clock that runs faster than ours.
//
// What the watchdog reads is real: pages over HTTP, the kernel's socket table, a shared library by its ABI. So this
// package must not import the collectors, the loop or the core, which are to be shown and tested against it (of them only the
// stand-ins that their own tests have), nor net/http/httptest, since the demo is part of the program.
package fakepod
