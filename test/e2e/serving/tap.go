package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
)

// tap passes what vLLM's exporter sends to the watchdog, and the answers back, without reading either; and it keeps what was
// sent. So the watchdog meets vLLM's own bytes.
type tap struct {
	listener net.Listener
	to       string
	group    sync.WaitGroup

	mu sync.Mutex
	// sent is what each connection brought so far; open are the connections.
	sent []*bytes.Buffer
	open map[net.Conn]bool
	over bool
}

func newTap(ctx context.Context, to string) (*tap, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{listener: l, to: to, open: map[net.Conn]bool{}}
	t.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.group.Go(func() { t.pass(c) })
		}
	})
	return t, nil
}

func (t *tap) address() string { return t.listener.Addr().String() }

func (t *tap) close() {
	t.mu.Lock()
	t.over = true
	for c := range t.open {
		c.Close()
	}
	t.mu.Unlock()
	t.listener.Close()
	t.group.Wait()
}

// pass serves one connection until either side ends it. Where the watchdog does not listen, the exporter sees it end.
func (t *tap) pass(from net.Conn) {
	defer from.Close()
	to, err := new(net.Dialer).DialContext(context.Background(), "tcp", t.to)
	if err != nil {
		return
	}
	defer to.Close()
	sent := t.begin(from, to)
	if sent == nil {
		return
	}
	defer t.end(from, to)
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(from, to) // how a connection ends is the two sides' business
		from.Close()
	})
	_, _ = io.Copy(to, io.TeeReader(from, writerFunc(func(b []byte) (int, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		return sent.Write(b)
	})))
	to.Close()
	back.Wait()
}

func (t *tap) begin(both ...net.Conn) *bytes.Buffer {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return nil
	}
	for _, c := range both {
		t.open[c] = true
	}
	sent := new(bytes.Buffer)
	t.sent = append(t.sent, sent)
	return sent
}

func (t *tap) end(both ...net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range both {
		delete(t.open, c)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// spans are those that were sent so far, each once.
func (t *tap) spans() ([]span, error) {
	t.mu.Lock()
	var all [][]byte
	for _, sent := range t.sent {
		all = append(all, bytes.Clone(sent.Bytes()))
	}
	t.mu.Unlock()
	var out []span
	seen := map[string]bool{}
	for _, sent := range all {
		spans, err := spansIn(sent)
		if err != nil {
			return nil, err
		}
		for _, s := range spans {
			if !seen[s.key] {
				seen[s.key] = true
				out = append(out, s)
			}
		}
	}
	return out, nil
}
