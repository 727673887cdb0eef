package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/internal/listen"
)

const (
	// defaultRetry is the distance of two tries to have the path, and of two looks whether it is still ours.
	defaultRetry = 10 * time.Second
	// connections is more than people need at once.
	connections = 16
	// readWithin bounds the reading of a request, and the wait for the next one on the same connection.
	readWithin = 5 * time.Second
	// grace is how long an answer may still take when the watchdog ends.
	grace = time.Second
	// mostHeader is far more than any client of this sends, in bytes.
	mostHeader = 16 << 10
)

// Orders are carried out by whoever owns the watch. Every method is called from a goroutine of its own, several at once; its
// context ends when the asker is gone, when the watchdog ends, or when it takes too long. An error says whose fault it is:
// orders.WrongUse, orders.Refused, or any other where it was tried and failed. Its text is shown to the asker, and holds no secret.
type Orders interface {
	// Standing says how things stand, and changes nothing.
	Standing(ctx context.Context) (orders.Answer, error)
	Hold(ctx context.Context, o orders.Hold) (orders.Answer, error)
	Release(ctx context.Context, o orders.Release) (orders.Answer, error)
	Postpone(ctx context.Context, o orders.Postpone) (orders.Answer, error)
	Stop(ctx context.Context, o orders.Stop) (orders.Answer, error)
}

// Config is what a Server needs. Orders must be set.
type Config struct {
	// Path is an absolute path for the socket, in a folder that is there; empty is DefaultPath.
	Path   string
	Orders Orders
	// Retry is the wait between two tries to have the path, 0 for 10 s.
	Retry time.Duration
	// Log gets every order, and what goes wrong; nil drops it.
	Log *zap.Logger
}

// Server takes orders. Make it with New.
type Server struct {
	config Config
	log    *zap.Logger
	path   string
	uid    uint32

	mu      sync.Mutex
	problem string
	open    bool
}

// New makes a server, which does nothing until Run.
func New(c Config) *Server {
	if c.Path == "" {
		c.Path = DefaultPath()
	}
	if c.Retry <= 0 {
		c.Retry = defaultRetry
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return &Server{config: c, log: c.Log, path: c.Path, uid: uint32(os.Geteuid())}
}

// Path is where the socket is, or will be.
func (s *Server) Path() string { return s.path }

// Open says whether orders are taken now. It is safe for concurrent use.
func (s *Server) Open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Warnings says in one sentence that no orders are taken, and what to do; it is empty while they are. It is safe for concurrent
// use.
func (s *Server) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == "" {
		return nil
	}
	return []string{s.problem}
}

// Run takes orders until ctx ends, and then returns nil: what happens here is never a reason to end the watch. Orders that are
// being carried out then see their context end and get a moment to be answered.
func (s *Server) Run(ctx context.Context) error {
	for {
		c, err := claimAt(ctx, s.path)
		if err == nil {
			s.opened()
			err = s.serve(ctx, c)
		}
		if ctx.Err() != nil {
			s.set(false, "")
			return nil
		}
		if errors.Is(err, errLost) {
			// Mostly a cleaner of old files: the path is free again.
			s.set(false, "")
			s.log.Warn("the socket for orders is gone and is made anew", zap.String("path", s.path))
			continue
		}
		s.shut(err)
		select {
		case <-ctx.Done():
		case <-time.After(s.config.Retry):
		}
	}
}

// serve answers at c until ctx ends, c fails, or its path is no longer ours, which is errLost. It gives the path back.
func (s *Server) serve(ctx context.Context, c *claim) error {
	server := s.server(ctx)
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = server.Serve(netutil.LimitListener(identifying{c}, connections))
	}()
	look := time.NewTicker(s.config.Retry)
	defer look.Stop()
	for {
		select {
		case <-ended:
			c.remove()
			_ = server.Close() // the listener is gone; this lets go of its connections
			return failed
		case <-look.C:
			if c.stands() {
				continue
			}
			s.end(ctx, server)
			<-ended
			return errLost
		case <-ctx.Done():
			c.remove() // before the listener: who finds the path finds somebody who answers
			s.end(ctx, server)
			<-ended
			return nil
		}
	}
}

func (s *Server) end(ctx context.Context, server *http.Server) {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(within); err != nil {
		s.log.Debug("orders cut off at the end", zap.Error(err))
		_ = server.Close()
	}
}

func (s *Server) server(ctx context.Context) *http.Server {
	return &http.Server{
		Handler:           http.HandlerFunc(s.answer),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withAsker,
		ReadHeaderTimeout: readWithin,
		ReadTimeout:       readWithin,
		WriteTimeout:      stopWithin + readWithin,
		IdleTimeout:       readWithin,
		MaxHeaderBytes:    mostHeader,
		ErrorLog:          listen.ErrorLog(s.log),
		// OPTIONS * is a method like any other here: not allowed.
		DisableGeneralOptionsHandler: true,
	}
}

func (s *Server) opened() {
	s.set(true, "")
	s.log.Info("taking orders", zap.String("path", s.path))
}

// shut notes that nobody can give orders; it warns when that begins, or when its cause changes.
func (s *Server) shut(err error) {
	says := problem(s.path, err)
	if !s.set(false, says) {
		s.log.Debug("still not taking orders", zap.String("path", s.path))
		return
	}
	s.log.Warn("not taking orders", zap.String("path", s.path), zap.String("problem", says),
		zap.Float64("retry_seconds", s.config.Retry.Seconds()), zap.Error(err))
}

// set takes over whether orders are taken and what is wrong, and says whether the latter is new.
func (s *Server) set(open bool, problem string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.problem != problem
	s.open, s.problem = open, problem
	return changed
}
