package web

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

const (
	// defaultRetry is the distance of two tries to listen on an address that is taken.
	defaultRetry = 10 * time.Second
	// defaultTimeout bounds the reading of one request and the writing of one answer.
	defaultTimeout = 5 * time.Second
	// idleTimeouts is how many timeouts a connection without a request is kept: longer than the usual scrape interval.
	idleTimeouts = 6
	// shutdownGrace is how long requests in flight may take when the watchdog ends.
	shutdownGrace = time.Second
	// maxHeader is far more than any scraper, probe or browser sends, in bytes.
	maxHeader = 16 << 10
	// maxConnections keeps a flood from using up the file descriptors that the watch itself needs.
	maxConnections = 64
)

// Config is what a Server needs. Latest must be set.
type Config struct {
	// Listen is the address, host:port; empty serves nothing.
	Listen string
	// AllowedHosts are the names, beside IP addresses and localhost, that a request's Host may have.
	AllowedHosts []string
	// Latest returns the view that was published last, nil before the first. It must be safe for concurrent use.
	Latest func() *loop.View
	// Draining says that a stop is near, and the pod should get no more requests; nil is never. It must be safe for
	// concurrent use.
	Draining func() bool
	// Served says how requests were served until now, Graded counts the rows of requests, and Dropped those of telemetry that
	// were given up. Each may be nil, must not wait, and must be safe for concurrent use.
	Served  func(now time.Time) Served
	Graded  func() serving.Totals
	Dropped func() uint64
	// Log gets what goes wrong with the server itself; nil drops it.
	Log     *zap.Logger
	Version string

	// Retry is the wait between two tries to listen, 0 for 10 s. Timeout bounds a request and its answer, 0 for 5 s.
	Retry, Timeout time.Duration
	// Connections is how many clients may be connected at once, 0 for 64.
	Connections int
}

// Served is what /status tells of requests.
type Served struct {
	serving.Summary
	// USDPerMillionTokens is what a million output tokens cost over the last day.
	USDPerMillionTokens watchdog.Maybe[float64]
}

// Server serves the reads. Make it with New.
type Server struct {
	config  Config
	log     *zap.Logger
	now     func() time.Time
	metrics *metrics
	handler http.Handler

	mu      sync.Mutex
	address string
	problem string
}

// New makes a server, which does nothing until Run.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Draining == nil {
		c.Draining = func() bool { return false }
	}
	if c.Retry <= 0 {
		c.Retry = defaultRetry
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.Connections <= 0 {
		c.Connections = maxConnections
	}
	s := &Server{config: c, log: c.Log, now: time.Now}
	s.metrics = newMetrics(c)
	s.handler = s.routes()
	return s
}

// ObserveTick counts how long one tick took, in seconds, for the histogram on /metrics. It is safe for concurrent use.
func (s *Server) ObserveTick(seconds float64) { s.metrics.ticks.Observe(seconds) }

// Address is where the server listens now, with the port that was found where Listen asked for port 0; empty while it
// does not listen.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// Warnings says in one sentence that nobody can read us, and what to do; it is empty while somebody can.
func (s *Server) Warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == "" {
		return nil
	}
	return []string{s.problem}
}

// Run serves until ctx ends, and then returns nil: what happens here is never a reason to end the watch. An address that
// cannot be had is warned of once, and tried again until it can.
func (s *Server) Run(ctx context.Context) error {
	if s.config.Listen == "" {
		<-ctx.Done()
		return nil
	}
	for {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.config.Listen)
		if err == nil {
			s.listening(l.Addr().String())
			err = s.serve(ctx, netutil.LimitListener(l, s.config.Connections))
		}
		if ctx.Err() != nil {
			s.setState("", "")
			return nil
		}
		s.silent(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.config.Retry):
		}
	}
}

// serve serves on l until ctx ends or l fails; it closes l.
func (s *Server) serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.config.Timeout,
		ReadTimeout:       s.config.Timeout,
		WriteTimeout:      s.config.Timeout,
		IdleTimeout:       idleTimeouts * s.config.Timeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          standardLog(s.log),
		// OPTIONS * is a method like any other here: not allowed.
		DisableGeneralOptionsHandler: true,
	}
	var failed error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		failed = srv.Serve(l)
	}()
	select {
	case <-ended:
		_ = srv.Close() // the listener is gone; this lets go of its connections
		return failed
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		s.log.Debug("requests cut off at the end", zap.Error(err))
		_ = srv.Close()
	}
	<-ended
	return nil
}

func (s *Server) listening(address string) {
	s.setState(address, "")
	s.log.Info("listening", zap.String("address", address))
}

// silent notes that nobody can read us; it warns when that begins, or when its cause changes.
func (s *Server) silent(err error) {
	problem := listenProblem(s.config.Listen, err)
	if !s.setState("", problem) {
		s.log.Debug("still not listening", zap.String("address", s.config.Listen))
		return
	}
	s.log.Warn("not listening", zap.String("address", s.config.Listen), zap.String("problem", problem),
		zap.Float64("retry_seconds", s.config.Retry.Seconds()), zap.Error(err))
}

// setState takes over where we listen and what is wrong, and says whether the latter is new.
func (s *Server) setState(address, problem string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := s.problem != problem
	s.address, s.problem = address, problem
	return changed
}
