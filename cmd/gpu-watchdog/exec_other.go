//go:build !linux

package main

import (
	"context"
	"errors"
	"time"
)

// supervise is for the Linux of containers.
func supervise(context.Context, []string, time.Duration) error {
	return errors.New("exec: processes are only supervised on Linux")
}
