package ingest

import (
	"context"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

const (
	// ExportPath is OTLP's method over gRPC; TracesPath its path over HTTP; RowsPath takes posted rows.
	ExportPath = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	TracesPath = "/v1/traces"
	RowsPath   = "/v1/requests"

	jsonType  = "application/json"
	protoType = "application/x-protobuf"
)

// ServeHTTP answers one request of either protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	in := dialectOf(r)
	if err := s.serve(w, r, in); err != nil {
		refusal := refusalOf(err)
		s.counts.refused.Add(1)
		refuse(w, in, refusal)
	}
}

// serve answers with success, or returns what is to be said instead.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, in dialect) error {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := admit(r, in); err != nil {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
		}
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.config.Timeout)
	defer cancel()
	leave, err := s.slots.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	switch in {
	case grpc:
		return s.exportCall(ctx, w, r)
	case rowsJSON:
		return s.postRows(ctx, w, r)
	default:
		return s.exportPost(ctx, w, r, in)
	}
}

// admit lets through what comes from this machine, under a name that no foreign page can have made up, for a path that is
// there, in a type that is known. A browser must ask first before it posts one of these types to another origin, and is
// not answered.
func admit(r *http.Request, in dialect) error {
	if !fromLoopback(r.RemoteAddr) {
		return refused(http.StatusForbidden, "only processes of this pod are answered, by a loopback address such as 127.0.0.1")
	}
	if !hostAllowed(r.Host) {
		return refused(http.StatusForbidden, "the host %q is not answered: send to this machine's IP address or to localhost", clip(r.Host))
	}
	if isGRPC(r.Header.Get("Content-Type")) && in != grpc {
		return refused(http.StatusHTTPVersionNotSupported, "gRPC needs HTTP/2")
	}
	wants := ""
	switch path := r.URL.Path; {
	case path == ExportPath && in == grpc, path == TracesPath && (in == otlpProto || in == otlpJSON):
	case path == RowsPath && in == rowsJSON:
		if mediaType(r.Header.Get("Content-Type")) != jsonType {
			wants = jsonType
		}
	case path == ExportPath:
		wants = "application/grpc"
	case path == TracesPath:
		wants = protoType + " or " + jsonType
	default:
		return refused(http.StatusNotFound, "there is no such path: there are %s and %s, and gRPC's %s; only traces are taken, no metrics and no logs",
			TracesPath, RowsPath, ExportPath)
	}
	if r.Method != http.MethodPost {
		return refused(http.StatusMethodNotAllowed, "only POST is answered here")
	}
	if wants != "" {
		return refused(http.StatusUnsupportedMediaType, "the content type %q is not taken here: %s is", clip(r.Header.Get("Content-Type")), wants)
	}
	return nil
}

// dialectOf is the language that the client speaks, and hears.
func dialectOf(r *http.Request) dialect {
	kind := r.Header.Get("Content-Type")
	switch {
	case isGRPC(kind):
		if r.ProtoMajor != 2 {
			return plainText // which is all that a client of another kind can read
		}
		return grpc
	case r.URL.Path == RowsPath:
		return rowsJSON
	case r.URL.Path == TracesPath && mediaType(kind) == jsonType:
		return otlpJSON
	case r.URL.Path == TracesPath && (mediaType(kind) == protoType || mediaType(kind) == "application/protobuf"):
		return otlpProto
	}
	return plainText
}

func mediaType(contentType string) string {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return ""
	}
	return kind
}

func fromLoopback(peer string) bool {
	address, err := netip.ParseAddrPort(peer)
	return err == nil && address.Addr().Unmap().IsLoopback()
}

// hostAllowed keeps DNS rebinding out: a browser that was lured by a name sends that name, which is no IP address.
func hostAllowed(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost")
}

// slots bound how many messages are taken in at once; a few more may wait.
type slots struct {
	inside  chan struct{}
	waiting chan struct{}
	// patience is how long each waits.
	patience time.Duration
}

// maxWaiting bounds the requests that wait for a slot.
const maxWaiting = 32

func newSlots(n int, patience time.Duration) slots {
	return slots{inside: make(chan struct{}, n), waiting: make(chan struct{}, maxWaiting), patience: patience}
}

// enter waits for a slot and returns what gives it back.
func (s slots) enter(ctx context.Context) (leave func(), err error) {
	leave = func() { <-s.inside }
	select {
	case s.inside <- struct{}{}:
		return leave, nil
	default:
	}
	full := busy(time.Second, "%s", fmt.Sprintf("%d messages are being taken in: send this one again", cap(s.inside)))
	select {
	case s.waiting <- struct{}{}:
		defer func() { <-s.waiting }()
	default:
		return nil, full
	}
	timer := time.NewTimer(s.patience)
	defer timer.Stop()
	select {
	case s.inside <- struct{}{}:
		return leave, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, full
}

// empty waits until nobody is inside, at most so long, and says whether that is so.
func (s slots) empty(atMost time.Duration) bool {
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	for range cap(s.inside) {
		select {
		case s.inside <- struct{}{}:
			defer func() { <-s.inside }()
		case <-timer.C:
			return false
		}
	}
	return true
}
