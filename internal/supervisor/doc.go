// Package supervisor runs a server and the watchdog beside it, as process 1 of a container where it is that: `gpu-watchdog exec`.
//
// The server is what the container is for. Signals go to its process group, its exit code is the container's, and nothing that
// happens to the watchdog touches it. The watchdog is the same program in a process of its own, so that a missing symbol of
// NVIDIA's library, a lack of memory or a mistake of ours ends only that one; it is started again.
//
// Neither cgo, HTTP nor SQL is used here: what holds other processes together must be small and must not fail.
package supervisor
