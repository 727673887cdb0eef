package listen

import (
	"context"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

const (
	// defaultRetry is the distance of two tries to listen on an address that is taken.
	defaultRetry = 10 * time.Second
	// defaultConnections keeps a flood from using up the file descriptors that the watch itself needs.
	defaultConnections = 64
	// Grace is how long requests in flight may take when the watchdog ends.
	Grace = time.Second
)

// Config is what a Door needs. Words and Server must be set.
type Config struct {
	// Address is host:port; empty listens nowhere.
	Address string
	Words   Words
	// Server makes the server, once for each time that listening begins: one that has ended cannot serve again.
	Server func() *http.Server
	// Wrap puts something before the connections that come in; nil puts nothing.
	Wrap func(net.Listener) net.Listener
	// Connections is how many clients may be connected at once, 0 for 64. Retry is the wait between two tries to listen,
	// 0 for 10 s.
	Connections int
	Retry       time.Duration
	// Log gets what goes wrong; nil drops it.
	Log *zap.Logger
}

// Door is where a server can be reached. Make it with New.
type Door struct {
	config Config
	log    *zap.Logger

	mu      sync.Mutex
	address string
	problem string
}

// New makes a door, which stays shut until Run.
func New(c Config) *Door {
	if c.Connections <= 0 {
		c.Connections = defaultConnections
	}
	if c.Retry <= 0 {
		c.Retry = defaultRetry
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return &Door{config: c, log: c.Log}
}

// Address is where the server listens now, with the port that was found where port 0 was asked for; empty while it does
// not listen. It is safe for concurrent use.
func (d *Door) Address() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.address
}

// Warnings says in one sentence that nobody can come in, and what to do; it is empty while somebody can. It is safe for
// concurrent use.
func (d *Door) Warnings() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.problem == "" {
		return nil
	}
	return []string{d.problem}
}

// Run serves until ctx ends. Requests in flight then get a moment to end (Grace), and are cut off; their handlers may
// still be running when it returns.
func (d *Door) Run(ctx context.Context) {
	if d.config.Address == "" {
		<-ctx.Done()
		return
	}
	for {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", d.config.Address)
		if err == nil {
			d.open(l.Addr().String())
			err = d.serve(ctx, l)
		}
		if ctx.Err() != nil {
			d.set("", "")
			return
		}
		d.shut(err)
		select {
		case <-ctx.Done():
			d.set("", "")
			return
		case <-time.After(d.config.Retry):
		}
	}
}

// serve serves on l until ctx ends or l fails; it closes l.
func (d *Door) serve(ctx context.Context, l net.Listener) error {
	l = netutil.LimitListener(l, d.config.Connections)
	if d.config.Wrap != nil {
		l = d.config.Wrap(l)
	}
	server := d.config.Server()
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = server.Serve(l)
	}()
	select {
	case <-ended:
		_ = server.Close() // the listener is gone; this lets go of its connections
		return failed
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), Grace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		d.log.Debug("requests cut off at the end", zap.Error(err))
		_ = server.Close()
	}
	<-ended
	return nil
}

func (d *Door) open(address string) {
	d.set(address, "")
	d.log.Info(d.config.Words.Doing, zap.String("address", address))
}

// shut notes that nobody can come in; it warns when that begins, or when its cause changes.
func (d *Door) shut(err error) {
	problem := d.config.Words.Problem(d.config.Address, err)
	if !d.set("", problem) {
		d.log.Debug("still not "+d.config.Words.Doing, zap.String("address", d.config.Address))
		return
	}
	d.log.Warn("not "+d.config.Words.Doing, zap.String("address", d.config.Address), zap.String("problem", problem),
		zap.Float64("retry_seconds", d.config.Retry.Seconds()), zap.Error(err))
}

// set takes over where we listen and what is wrong, and says whether the latter is new.
func (d *Door) set(address, problem string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	changed := d.problem != problem
	d.address, d.problem = address, problem
	return changed
}

// ErrorLog gives net/http a logger: its lines are about clients, so nobody needs them every day.
func ErrorLog(to *zap.Logger) *log.Logger { return log.New(lines{to}, "", 0) }

// lines turns each line of a standard log into a field, so that the message stays the same.
type lines struct{ to *zap.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.to.Debug("a request went wrong", zap.String("detail", strings.TrimSpace(string(b))))
	return len(b), nil
}
