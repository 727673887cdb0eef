package ingest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/listen"
)

const (
	defaultMaxBody     = 4 << 20
	defaultConcurrency = 8
	defaultPatience    = 3 * time.Second
	defaultTimeout     = 8 * time.Second // exporters give up after 10
	// headerTimeout bounds the reading of a header, idleTimeout how long a connection without a request is kept.
	headerTimeout, idleTimeout = 5 * time.Second, 5 * time.Minute
	// maxHeader is far more than any exporter sends, in bytes.
	maxHeader = 16 << 10
	// maxStreams bounds the calls at once on one connection of HTTP/2, streamBuffer what is held unread of each, in bytes: not
	// less than the 64 kB that a client may send before it has heard of any bound.
	maxStreams, streamBuffer = 4, 64 << 10
	// complainEvery is the distance of two log lines about the same thing.
	complainEvery = time.Minute
)

// Config is what a Server needs. Sink must be set.
type Config struct {
	// Listen is the address, host:port; empty takes nothing.
	Listen string
	Sink   Sink
	// Log gets what goes wrong; nil drops it.
	Log *zap.Logger
	// Now is the wall clock, nil for time.Now. It dates posted rows that bring no date, and refuses dates of the future.
	Now func() time.Time

	// MaxBody bounds what one request brings, packed and unpacked, in bytes; 0 for 4 MiB, which is gRPC's own limit.
	MaxBody int64
	// Concurrency is how many messages are taken in at once, 0 for 8; each takes up to half a megabyte.
	Concurrency int
	// Patience is how long a few more wait for that, 0 for 3 s.
	Patience time.Duration
	// Timeout bounds the reading of one request, and the making durable of what it brought; 0 for 8 s. Retry is the wait
	// between two tries to listen, 0 for 10 s.
	Timeout, Retry time.Duration
	// Connections is how many clients may be connected at once, 0 for 64.
	Connections int
}

// Server takes spans and rows. Make it with New.
type Server struct {
	config Config
	log    *zap.Logger
	slots  slots
	held   atomic.Int64
	counts counters
	door   *listen.Door

	mu         sync.Mutex
	complaints map[string]time.Time
}

// New makes a server, which does nothing until Run.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxBody <= 0 {
		c.MaxBody = defaultMaxBody
	}
	if c.Concurrency <= 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.Patience <= 0 {
		c.Patience = defaultPatience
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	s := &Server{config: c, log: c.Log, slots: newSlots(c.Concurrency, c.Patience), complaints: map[string]time.Time{}}
	s.door = listen.New(listen.Config{
		Address: c.Listen, Words: words, Server: s.server, Connections: c.Connections, Retry: c.Retry, Log: c.Log,
		Wrap: func(l net.Listener) net.Listener { return &doorway{Listener: l} },
	})
	return s
}

// Address is where the server listens now, with the port that was found where Listen asked for port 0; empty while it
// does not listen. It is safe for concurrent use.
func (s *Server) Address() string { return s.door.Address() }

// Warnings says in one sentence that nobody can send us anything, and what to do; it is empty while somebody can. It is
// safe for concurrent use.
func (s *Server) Warnings() []string { return s.door.Warnings() }

// Run takes what comes until ctx ends, and then returns nil: what happens here is never a reason to end the watch. An
// address that cannot be had is warned of once, and tried again until it can.
func (s *Server) Run(ctx context.Context) error {
	s.door.Run(ctx)
	// Requests that were cut off have had their contexts end; nobody may close the Sink while they are still in it.
	if !s.slots.empty(listen.Grace) {
		s.log.Warn("rows are still being kept at the end")
	}
	return nil
}

func (s *Server) server() *http.Server {
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           s,
		Protocols:         &both,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       s.config.Timeout,
		WriteTimeout:      2*s.config.Timeout + s.config.Patience,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          listen.ErrorLog(s.log),
		// OPTIONS * is a method like any other here: not allowed.
		DisableGeneralOptionsHandler: true,
		// What is not yet read waits with the client, not in our memory; and a connection has room for all its streams, or
		// those that wait for a slot would keep from being read those that have one.
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReceiveBufferPerStream: streamBuffer, MaxReceiveBufferPerConnection: maxStreams * streamBuffer,
			MaxReadFrameSize: 16 << 10,
		},
	}
}

// put hands a batch to the Sink.
func (s *Server) put(ctx context.Context, b Batch) error {
	rows := uint64(len(b.Requests) + len(b.Labels))
	s.counts.rows.Add(rows)
	s.counts.worked.add(b.Requests, s.config.Now())
	err := s.config.Sink.Add(ctx, b)
	switch {
	case err == nil:
		s.counts.kept.Add(rows)
		s.counts.phases.Add(uint64(len(b.Phases)))
		return nil
	case errors.Is(err, ErrBusy):
		s.counts.failed.Add(1)
		return busy(time.Second, "there is no room at the moment: send this again")
	}
	s.counts.failed.Add(1)
	s.complain("rows cannot be kept", err.Error())
	return busy(5*time.Second, "the rows cannot be kept at the moment: send them again")
}

// complain logs what keeps happening, once in a while.
func (s *Server) complain(what, detail string) {
	s.mu.Lock()
	now := time.Now()
	last, before := s.complaints[what]
	quiet := before && now.Sub(last) < complainEvery
	if !quiet {
		s.complaints[what] = now
	}
	s.mu.Unlock()
	if !quiet {
		s.log.Warn(what, zap.String("detail", detail))
	}
}
