package listen

import (
	"errors"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"testing"
)

var words = Words{
	Setting: "WATCHDOG_DOOR", Example: "127.0.0.1:4000", Doing: "letting people in", Others: "a second door",
	Along: " and the doormat's with it", Without: "but nobody can come in",
}

func TestProblem(t *testing.T) {
	for err, says := range map[error][]string{
		syscall.EADDRINUSE:    {"is taken by another program (a second door?)", "set WATCHDOG_DOOR to a free address and the doormat's with it;"},
		fs.ErrPermission:      {"may not be listened on by this user", "set WATCHDOG_DOOR to a port of 1024 or above;"},
		syscall.EACCES:        {"set WATCHDOG_DOOR to a port of 1024 or above;"},
		syscall.EADDRNOTAVAIL: {"is no address of this machine", "set WATCHDOG_DOOR to one that is, such as 127.0.0.1:4000;"},
		errors.New("strange"): {"cannot be listened on (listen: strange)", "correct WATCHDOG_DOOR;"},
	} {
		got := words.Problem("127.0.0.1:4317", &net.OpError{Op: "listen", Err: err})
		for _, part := range append(says, "the watch goes on, but nobody can come in until then") {
			if !strings.HasPrefix(got, "127.0.0.1:4317 ") || !strings.Contains(got, part) {
				t.Errorf("%v: %q lacks %q", err, got, part)
			}
		}
	}
}
