package web

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"strings"
	"syscall"

	"go.uber.org/zap"
)

// listenProblem says why nobody can read us, and what to do about it.
func listenProblem(address string, err error) string {
	what, remedy := fmt.Sprintf("cannot be listened on (%v)", err), "correct WATCHDOG_LISTEN"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		what = "is taken by another program (a second gpu-watchdog?)"
		remedy = "end that program, or set WATCHDOG_LISTEN to a free address"
	case errors.Is(err, fs.ErrPermission):
		what = "may not be listened on by this user"
		remedy = "set WATCHDOG_LISTEN to a port of 1024 or above"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		what = "is no address of this machine"
		remedy = "set WATCHDOG_LISTEN to one that is, such as 127.0.0.1:9877 or 0.0.0.0:9877"
	}
	return fmt.Sprintf("%s %s: %s; the watch goes on, but its page, /status, /metrics and health checks cannot be read until then", address, what, remedy)
}

// standardLog gives net/http a logger: its lines are about clients, so nobody needs them every day.
func standardLog(to *zap.Logger) *log.Logger { return log.New(lines{to}, "", 0) }

// lines turns each line of a standard log into a field, so that the message stays the same.
type lines struct{ to *zap.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.to.Debug("a request went wrong", zap.String("detail", strings.TrimSpace(string(b))))
	return len(b), nil
}
