// Package config turns the environment into settings: read once, checked whole, every mistake in one message.
//
// Load is given everything it looks at (the environment, a way to read a secret's file, what is mounted, facts of the
// pod), so the same input always gives the same Config or the same *Error. The comments on Config's fields are the
// texts that users read in `gpu-watchdog env` and in docs/variables.md; after changing one, run
// `go generate ./internal/config`.
//
// It must not import anything of this project but the plain types of package watchdog and, of those who will use a setting,
// the one function that reads it (the addresses of hooks, the stop command): a second reader would accept what the first
// one refuses. It must not start a goroutine, open a connection, or log; it opens no file but the one that a secret's _FILE
// variable names, and the time zones of KEEP_HOURS.
package config

//go:generate go run ./gendoc
