package runpodtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxRecorded bounds the requests that are remembered, the latest ones.
const maxRecorded = 1000

// Server is a RunPod with one pod.
type Server struct {
	opts   Options
	http   *http.Server
	addr   string
	served chan struct{}
	// closing is closed by Close and frees what hangs.
	closing chan struct{}
	once    sync.Once

	mu        sync.Mutex
	pod       pod
	faults    map[Call][]Fault
	recorded  []Request
	stops     int
	deletions int
	pending   int
}

// New starts a server on a free port of loopback. Like httptest.NewServer it panics where there is none.
func New(opts Options) *Server {
	s, err := Listen("127.0.0.1:0", opts)
	if err != nil {
		panic(err)
	}
	return s
}

// Listen starts a server on addr, "host:port". The caller closes it.
func Listen(addr string, opts Options) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for the simulated RunPod: %w", err)
	}
	s := &Server{
		opts:    opts,
		addr:    listener.Addr().String(),
		served:  make(chan struct{}),
		closing: make(chan struct{}),
		pod:     newPod(opts),
		faults:  make(map[Call][]Fault),
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener)
	}()
	return s, nil
}

// ListenAndServe runs a server on addr until ctx ends.
func ListenAndServe(ctx context.Context, addr string, opts Options) error {
	s, err := Listen(addr, opts)
	if err != nil {
		return err
	}
	defer s.Close()
	select {
	case <-ctx.Done():
		return nil
	case <-s.served:
		return errors.New("serve the simulated RunPod: its listener failed")
	}
}

// Close cuts all connections and waits for the handlers. It may be called twice.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		// Handlers that hang end by the above; whatever else is slow is cut off.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			_ = s.http.Close()
		}
		<-s.served
	})
}

// URL is the root of REST v2.
func (s *Server) URL() string { return "http://" + s.addr + "/v2" }

// GraphQLURL is the address of GraphQL.
func (s *Server) GraphQLURL() string { return "http://" + s.addr + "/graphql" }

// PodID is the id of the only pod.
func (s *Server) PodID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pod.id
}

// Status is the pod's state.
func (s *Server) Status() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pod.status
}

// SetStatus puts the pod into a state, as somebody from outside would: OnStop is not called.
func (s *Server) SetStatus(status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pod.status = status
}

// SetLocked locks or unlocks the pod.
func (s *Server) SetLocked(locked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pod.locked = locked
}

// Refuse replaces the calls that the key may not make.
func (s *Server) Refuse(calls ...Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Refused = calls
}

// Inject queues faults for a call; each serves one call, a Forever one all that are left.
func (s *Server) Inject(call Call, faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[call] = append(s.faults[call], faults...)
}

// Heal drops all faults.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.faults)
}

// Stops counts the stops that were accepted, those that came to nothing (NeverStops) too.
func (s *Server) Stops() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stops
}

// Terminations counts the terminations that were accepted, those that came to nothing (NeverStops) too.
func (s *Server) Terminations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deletions
}

// Pending counts the requests that have come and are not answered yet, such as those that a fault delays or hangs.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

func (s *Server) countPending(change int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending += change
}

// Requests are the requests so far, the latest thousand, oldest first.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.recorded)
}

func (s *Server) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = append(s.recorded, r)
	if extra := len(s.recorded) - maxRecorded; extra > 0 {
		s.recorded = slices.Delete(s.recorded, 0, extra)
	}
}

func (s *Server) nextFault(call Call) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.faults[call]
	if len(queue) == 0 {
		return Fault{}, false
	}
	if !queue[0].Forever {
		s.faults[call] = queue[1:]
	}
	return queue[0], true
}

func (s *Server) refused(call Call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.opts.Refused, call)
}
