// Package web shows what the watchdog knows to whoever asks over TCP: the page, /status, /metrics and the health checks.
//
// It serves reads only, and only from the view that the loop published last: no request makes the watchdog look, decide
// or act, and none can change anything. It must not import a source, a stopper or the memory. When its address is taken,
// or a client misbehaves, the watch goes on without it.
package web

//go:generate go test . -run Document -update
