package kubetest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// maxRecorded bounds the requests that are remembered, the latest ones.
const maxRecorded = 1000

// Rule lets the account do something. "*" stands for every verb, resource or name; Name empty for every name.
type Rule struct{ Verb, Group, Resource, Name string }

// Options say what the server plays.
type Options struct {
	// Dir is the folder for the service account's files.
	Dir string
	// Namespace of all objects and of the account; "prod" where empty.
	Namespace string
	// IPv6 listens on [::1].
	IPv6 bool
	// PodName and PodUID are whom the token was issued to; PodName empty leaves them out of it.
	PodName, PodUID string
	// Admit, where set, may refuse a change of a scale: what it returns is the message of a ValidatingAdmissionPolicy.
	Admit func(from, to int) string
	// Mutate, where set, changes the replicas that are asked for, as a webhook may.
	Mutate func(to int) int
	// OnScale, where set, is told of each change of a scale by the client. It must return soon, and not call the server.
	OnScale func(kind, name string, to int)
}

// Request is one that came.
type Request struct {
	Method, Path, Query, Accept, UserAgent string
	Body                                   []byte
	// Status that it was answered with, 0 for none.
	Status int
}

// Server is an API server with one namespace.
type Server struct {
	opts   Options
	dir    string
	http   *http.Server
	addr   *net.TCPAddr
	served chan struct{}
	// closing is closed by Close and frees what hangs.
	closing chan struct{}
	once    sync.Once

	mu       sync.Mutex
	ca       *authority
	cert     *tls.Certificate
	token    string
	serial   int
	kinds    []Kind
	objects  []*Object
	rules    []Rule
	denied   []Rule
	faults   []Fault
	hooks    []hook
	recorded []Request
	events   []map[string]any
	version  int
}

// New starts a server and writes the account's files. The account may do everything until Allow or Deny say otherwise.
func New(opts Options) (*Server, error) {
	if opts.Namespace == "" {
		opts.Namespace = "prod"
	}
	host := "127.0.0.1"
	if opts.IPv6 {
		host = "::1"
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the simulated API server: %w", err)
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		listener.Close()
		return nil, errors.New("listen for the simulated API server: no TCP address")
	}
	s := &Server{
		opts: opts, dir: opts.Dir, addr: addr, served: make(chan struct{}), closing: make(chan struct{}), version: 1000,
		kinds: []Kind{Pod, Node, ReplicaSet, Deployment, StatefulSet, DaemonSet, Job, LeaderWorkerSet},
		rules: []Rule{{"*", "*", "*", ""}},
	}
	if err := errors.Join(s.RotateCA(true), s.RotateToken(), s.write("namespace", []byte(opts.Namespace))); err != nil {
		listener.Close()
		return nil, err
	}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ErrorLog: quiet()}
	secure := tls.NewListener(listener, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.cert, nil
	}})
	go func() {
		defer close(s.served)
		_ = s.http.Serve(secure)
	}()
	return s, nil
}

// Close ends the server and waits for it.
func (s *Server) Close() {
	s.once.Do(func() {
		close(s.closing)
		_ = s.http.Close()
		<-s.served
	})
}

// Host and Port are what Kubernetes sets as KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT.
func (s *Server) Host() string { return s.addr.IP.String() }

// Port is the port that it listens on.
func (s *Server) Port() string { return strconv.Itoa(s.addr.Port) }

// Token is the one that is valid now.
func (s *Server) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// RotateToken makes a new token, the only valid one from now on, and writes it.
func (s *Server) RotateToken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	s.token = Token(s.opts.Namespace, s.opts.PodName, s.opts.PodUID, s.serial)
	return s.write("token", []byte(s.token))
}

// RotateCA makes a new authority and a new certificate of the server by it; tell says that ca.crt is replaced, too.
func (s *Server) RotateCA(tell bool) error {
	ca, err := newAuthority("kubernetes")
	if err != nil {
		return err
	}
	cert, err := ca.serving(s.addr.IP)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.ca, s.cert = ca, cert
	s.mu.Unlock()
	if !tell {
		return nil
	}
	return s.TellCA()
}

// TellCA writes the present authority into ca.crt.
func (s *Server) TellCA() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write("ca.crt", s.ca.pem)
}

// AddKind makes the server know one more kind.
func (s *Server) AddKind(k Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds = append(s.kinds, k)
}

// RemoveKind takes a kind away, as one deletes its definition.
func (s *Server) RemoveKind(k Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds = slices.DeleteFunc(s.kinds, func(known Kind) bool { return known == k })
}

// Add makes an object known, and returns it for others to be owned by.
func (s *Server) Add(o Object) *Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	o.version = s.version
	if o.UID == "" {
		o.UID = fmt.Sprintf("uid-%s-%d", o.Name, s.version)
	}
	s.objects = append(s.objects, &o)
	return &o
}

// Change lets f change an object as somebody else in the cluster would, which gives it a new resourceVersion.
func (s *Server) Change(o *Object, f func(o *Object)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(o)
	o.version++
}

// ScaleBy sets an object's replicas as another client would through the scale subresource.
func (s *Server) ScaleBy(o *Object, manager string, replicas int, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.scaledBy(manager, replicas, at)
}

// Replicas is an object's spec.replicas.
func (s *Server) Replicas(o *Object) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return o.Replicas
}

// Allow lets the account do only this.
func (s *Server) Allow(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = rules
}

// Deny takes rights away from what is allowed.
func (s *Server) Deny(rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied = append(s.denied, rules...)
}

// Requests are those that came, the latest last.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.recorded)
}

// Events are those that were written.
func (s *Server) Events() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

func (s *Server) record(r Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recorded = append(s.recorded, r)
	if len(s.recorded) > maxRecorded {
		s.recorded = slices.Delete(s.recorded, 0, len(s.recorded)-maxRecorded)
	}
}
