// Package vllm reads one vLLM server over HTTP: its /metrics page, /health, /load and /version become a watchdog.Server.
//
// It finds out and reports; what a reading means (idle, reset, hung, dead) is the core's business. It knows the page of
// every version since 0.8 by the exact names of its series, in the Prometheus text format and in OpenMetrics, and keeps
// one connection to a server, on which one request is in flight at a time, so that watching costs the server next to
// nothing.
//
// It must not import other collectors, the loop or the configuration; that the socket collector should leave our own
// connections out is said through OwnPorts.
package vllm
