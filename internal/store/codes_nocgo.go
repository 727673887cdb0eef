//go:build !cgo

package store

// codeOf knows no codes: without cgo the driver only says that it is not there, and the store keeps to memory.
func codeOf(error) (code int, known bool) { return 0, false }
