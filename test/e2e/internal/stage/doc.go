// Package stage is what the end-to-end plays stand on: a real vLLM on this machine's CPU, its processes, waits, and the report
// of what was checked. It knows nothing of gpu-watchdog.
package stage
