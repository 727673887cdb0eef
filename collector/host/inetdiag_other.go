//go:build !linux

package host

import "context"

// noTable is the table of a system without sock_diag.
type noTable struct{}

func newSocketTable([]uint16) socketTable { return noTable{} }

func (noTable) dump(context.Context, bool, func(diagSocket)) error { return errNotLinux }
func (noTable) close() error                                       { return nil }
