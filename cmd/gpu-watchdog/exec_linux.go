package main

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor"
)

// supervise runs the server and this program's `run` until the server is over. Its error is the server's exit status.
func supervise(ctx context.Context, argv []string, grace time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := interrupted(ctx); err != nil {
		return err
	}
	environ := slices.DeleteFunc(os.Environ(), func(e string) bool { return e == oneProcessor })
	keepTiny()
	say, sync := sayer(os.Stderr)
	defer func() { _ = sync() }() // it never errs
	return exited(supervisor.Run(supervisor.Config{
		Server: argv, Watch: []string{self, "run"}, Environ: environ,
		Stdin: os.Stdin, Stdout: os.Stdout, Err: os.Stderr,
		Restart: restarts(os.Getenv), Grace: grace, Say: say,
	}))
}
