package host

import (
	"context"
	"net"
	"sync"
)

// Dial wraps a dial function, so that every connection that it makes is known as ours from before its first byte until
// after its close.
func (o *OwnConnections) Dial(
	dial func(ctx context.Context, network, address string) (net.Conn, error),
) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		tcp, ok := conn.LocalAddr().(*net.TCPAddr)
		if !ok {
			return conn, nil
		}
		local := tcp.AddrPort()
		o.Opened(local)
		return &ownConn{Conn: conn, closed: sync.OnceFunc(func() { o.Closed(local) })}, nil
	}
}

// ownConn reports its own close, once.
type ownConn struct {
	net.Conn
	closed func()
}

func (c *ownConn) Close() error {
	err := c.Conn.Close()
	c.closed()
	return err
}
