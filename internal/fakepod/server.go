package fakepod

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Version is the vLLM that Server plays.
const Version = "0.32.0"

// ServerConfig says how a Server works. Zero values mean the defaults that are named with the fields.
type ServerConfig struct {
	// MaxRunning is how many requests run at a time (8); more wait.
	MaxRunning int
	// Prefill is the time to the first token (20 ms), PerToken the time of each later one (8 ms).
	Prefill, PerToken time.Duration
	// TrackLoad is --enable-server-load-tracking: /load counts. Without it /load is 0 whatever happens.
	TrackLoad bool
	// OnLoad is told how many requests run whenever that changes, OnBurst each request of one token, which never shows as
	// running. Neither may call the server.
	OnLoad  func(running int)
	OnBurst func()
}

// Server is a vLLM with one engine. It refuses connections until Ready, as a vLLM that is loading does.
type Server struct {
	cfg    ServerConfig
	engine *engine
	http   *requests

	mu       sync.Mutex
	port     *port
	server   *http.Server
	served   chan struct{}
	started  time.Time
	load     int
	closed   bool
	handlers sync.WaitGroup
}

// NewServer takes a port of its own and does not listen on it yet. Close gives it back.
func NewServer(cfg ServerConfig) (*Server, error) {
	p, err := reservePort()
	if err != nil {
		return nil, fmt.Errorf("simulated vLLM: %w", err)
	}
	orElse := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	orElse(&cfg.Prefill, 20*time.Millisecond)
	orElse(&cfg.PerToken, 8*time.Millisecond)
	if cfg.MaxRunning <= 0 {
		cfg.MaxRunning = 8
	}
	s := &Server{cfg: cfg, port: p, http: newRequests(), started: time.Now()}
	s.engine = newEngine(cfg.MaxRunning, cfg.Prefill, cfg.PerToken)
	if cfg.OnLoad != nil {
		s.engine.onLoad = cfg.OnLoad
	}
	if cfg.OnBurst != nil {
		s.engine.onBurst = cfg.OnBurst
	}
	return s, nil
}

// URL is the server's address, also before it listens.
func (s *Server) URL() string { return "http://127.0.0.1:" + strconv.Itoa(s.port.number) }

// Ready ends the loading: from now on the server listens.
func (s *Server) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil || s.closed {
		return nil
	}
	listener, err := s.port.listen()
	if err != nil {
		return fmt.Errorf("simulated vLLM: %w", err)
	}
	s.server = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.server.Serve(listener) // it ends by Close
	}()
	return nil
}

// Handler serves the pages and requests, for whoever brings a listener of his own; Ready is then not called.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /health", s.health)
	mux.HandleFunc("GET /load", s.serverLoad)
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, map[string]string{"version": Version})
	})
	mux.HandleFunc("GET /v1/models", s.counted("/v1/models", func(w http.ResponseWriter, _ *http.Request) int {
		return reply(w, http.StatusOK, map[string]any{"object": "list", "data": []map[string]string{{"id": modelName, "object": "model"}}})
	}))
	mux.HandleFunc("POST /v1/completions", s.counted("/v1/completions", s.completions))
	mux.HandleFunc("/", s.counted("none", func(w http.ResponseWriter, _ *http.Request) int {
		return reply(w, http.StatusNotFound, map[string]string{"detail": "Not Found"})
	}))
	return mux
}

// StickGauges leaves the gauges as they are, whatever becomes of the requests, until the next one begins.
func (s *Server) StickGauges() { s.engine.stick() }

// Hang stops the engine where it stands, or lets it go on. HTTP still answers, as after SIGSTOP to the real one.
func (s *Server) Hang(on bool) { s.engine.hang(on) }

// Die ends the engine: /health says 503, the page stays with frozen gauges, streams end with an error.
func (s *Server) Die() { s.engine.die() }

// Close cuts all connections and waits for what is under way. The port refuses from then on. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	server, served := s.server, s.served
	s.closed = true
	s.port.close()
	s.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Close()
	<-served
	s.handlers.Wait()
}

func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	p := &page{started: s.started}
	p.process()
	s.engine.mu.Lock()
	p.engine(&s.engine.stats)
	s.engine.mu.Unlock()
	s.http.write(p)
	w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
	_, _ = w.Write(p.Bytes())
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if s.engine.isDead() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (s *Server) serverLoad(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	load := s.load
	s.mu.Unlock()
	if !s.cfg.TrackLoad {
		load = 0
	}
	reply(w, http.StatusOK, map[string]int{"server_load": load})
}

// counted wraps a handler that returns its status, and counts it when its response ends.
func (s *Server) counted(handler string, serve func(http.ResponseWriter, *http.Request) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			return
		}
		defer s.leave()
		began := time.Now()
		status := serve(w, r)
		s.http.end(handled{handler, r.Method, strconv.Itoa(status/100) + "xx"}, time.Since(began))
	}
}

// enter begins a request, unless the server is being closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.load++
	s.handlers.Add(1)
	return true
}

func (s *Server) leave() {
	s.mu.Lock()
	s.load--
	s.mu.Unlock()
	s.handlers.Done()
}

func reply(w http.ResponseWriter, status int, body any) int {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone is no error of ours
	return status
}

// completion is what is read of a request to /v1/completions.
type completion struct {
	Prompt    string `json:"prompt"`
	MaxTokens int    `json:"max_tokens"`
	Stream    bool   `json:"stream"`
}

// maxTokens bounds one request.
const maxTokens = 100_000

func (s *Server) completions(w http.ResponseWriter, r *http.Request) int {
	var asked completion
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&asked); err != nil {
		return reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
	}
	switch {
	case asked.MaxTokens == 0:
		asked.MaxTokens = 16
	case asked.MaxTokens < 0, asked.MaxTokens > maxTokens:
		return reply(w, http.StatusBadRequest, map[string]string{"error": fmt.Sprintf("max_tokens %d is not within 1 and %d", asked.MaxTokens, maxTokens)})
	}
	job := work{promptTokens: 1 + len(asked.Prompt)/4, maxTokens: asked.MaxTokens, emit: func(int) error { return nil }}
	if asked.Stream {
		return s.stream(w, r, job)
	}
	n, err := s.engine.do(r.Context(), job)
	if errors.Is(err, errDied) {
		return reply(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
	}
	return reply(w, http.StatusOK, map[string]any{"object": "text_completion", "model": modelName, "usage": usage(job, n)})
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, job work) int {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	control := http.NewResponseController(w)
	send := func(event any) error {
		b, err := json.Marshal(event)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", b); err != nil {
			return err
		}
		return control.Flush()
	}
	job.emit = func(int) error {
		return send(map[string]any{"object": "text_completion", "model": modelName, "choices": []map[string]any{{"index": 0, "text": " word"}}})
	}
	n, err := s.engine.do(r.Context(), job)
	switch {
	case errors.Is(err, errDied):
		_ = send(map[string]any{"error": map[string]any{"message": err.Error(), "code": http.StatusInternalServerError}})
	case err != nil:
		return http.StatusOK // the client hung up, and vLLM counts it so
	default:
		_ = send(map[string]any{"object": "text_completion", "model": modelName, "choices": []any{}, "usage": usage(job, n)})
	}
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
	return http.StatusOK
}

func usage(job work, tokens int) map[string]int {
	return map[string]int{"prompt_tokens": job.promptTokens, "completion_tokens": tokens, "total_tokens": job.promptTokens + tokens}
}
