package child

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
)

// Open takes the watchdog's end over, as the environment names it. It returns nil where there is no supervisor.
func Open(getenv func(string) string) (*net.UnixConn, error) {
	text := getenv(link.Variable)
	if text == "" {
		return nil, nil
	}
	fd, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%s is %q, not a file descriptor: only `gpu-watchdog exec` sets it", link.Variable, text)
	}
	f := os.NewFile(uintptr(fd), "link")
	defer f.Close() // FileConn has one of its own
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("%s names file descriptor %d, which is no socket: only `gpu-watchdog exec` sets it: %w", link.Variable, fd, err)
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("%s names file descriptor %d, which is another kind of socket: only `gpu-watchdog exec` sets it", link.Variable, fd)
	}
	return conn, nil
}

// read hands each message on until the supervisor closes its end or conn is closed. What cannot be understood is passed over: the
// next message says all that matters once more.
func read(conn *net.UnixConn, to func(link.Message)) {
	buf := make([]byte, link.MostBytes)
	for {
		n, err := conn.Read(buf)
		if n == 0 || err != nil {
			return
		}
		var m link.Message
		if json.Unmarshal(buf[:n], &m) == nil {
			to(m)
		}
	}
}
