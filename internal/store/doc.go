// Package store keeps the telemetry, which is big and expendable: rows of requests, decisions, minutes, starts and attempts,
// in one SQLite file beside the memory. What it promises: a batch of rows that Add took is on disk, each row once; a tick
// never waits for a disk; and whatever the disk does (full, read-only, hung, damaged), the watchdog goes on and the store
// comes back by itself. One goroutine writes; everything reaches it through bounded queues.
//
// It decides nothing and knows no source and no server: it imports what its rows are made of, and neither net/http nor cmd.
package store
