// Command exec plays `gpu-watchdog exec` around a real vLLM: its start and the phases of it, a watchdog that is killed again and
// again under load, a SIGTERM while streams are open, a model that is not there, an engine that hangs and dies, and a job that
// ends. test/e2e/exec.sh builds and starts it.
package main
