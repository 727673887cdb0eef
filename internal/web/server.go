package web

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/listen"
	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

const (
	// defaultTimeout bounds the reading of one request and the writing of one answer.
	defaultTimeout = 5 * time.Second
	// idleTimeouts is how many timeouts a connection without a request is kept: longer than the usual scrape interval.
	idleTimeouts = 6
	// maxHeader is far more than any scraper, probe or browser sends, in bytes.
	maxHeader = 16 << 10
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
	door    *listen.Door
}

// New makes a server, which does nothing until Run.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Draining == nil {
		c.Draining = func() bool { return false }
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	s := &Server{config: c, log: c.Log, now: time.Now}
	s.metrics = newMetrics(c)
	s.handler = s.routes()
	s.door = listen.New(listen.Config{
		Address: c.Listen, Words: words, Server: s.server, Connections: c.Connections, Retry: c.Retry, Log: c.Log,
	})
	return s
}

// ObserveTick counts how long one tick took, in seconds, for the histogram on /metrics. It is safe for concurrent use.
func (s *Server) ObserveTick(seconds float64) { s.metrics.ticks.Observe(seconds) }

// Address is where the server listens now, with the port that was found where Listen asked for port 0; empty while it
// does not listen.
func (s *Server) Address() string { return s.door.Address() }

// Warnings says in one sentence that nobody can read us, and what to do; it is empty while somebody can.
func (s *Server) Warnings() []string { return s.door.Warnings() }

// Run serves until ctx ends, and then returns nil: what happens here is never a reason to end the watch. An address that
// cannot be had is warned of once, and tried again until it can.
func (s *Server) Run(ctx context.Context) error {
	s.door.Run(ctx)
	return nil
}

// words are what is said of LISTEN.
var words = listen.Words{
	Setting: "WATCHDOG_LISTEN", Example: "127.0.0.1:9877 or 0.0.0.0:9877", Doing: "listening",
	Others: "a second gpu-watchdog", Without: "but its page, /status, /metrics and health checks cannot be read",
}

func (s *Server) server() *http.Server {
	return &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.config.Timeout,
		ReadTimeout:       s.config.Timeout,
		WriteTimeout:      s.config.Timeout,
		IdleTimeout:       idleTimeouts * s.config.Timeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          listen.ErrorLog(s.log),
		// OPTIONS * is a method like any other here: not allowed.
		DisableGeneralOptionsHandler: true,
	}
}
