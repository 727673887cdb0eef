package ingest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
)

// asked answers one request without a network.
func asked(s *Server, method, path, kind, peer, host string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(`{"requests": []}`))
	r.RemoteAddr, r.Host = peer, host
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestOnlyLoopbackIsAnswered(t *testing.T) {
	s := New(Config{Sink: &kept{}})
	for peer, answered := range map[string]bool{
		"127.0.0.1:4000": true, "127.8.9.10:4000": true, "[::1]:4000": true, "[::ffff:127.0.0.1]:4000": true,
		"10.1.2.3:4000": false, "192.168.1.1:4000": false, "[fe80::1%eth0]:4000": false, "[2001:db8::1]:4000": false, "0.0.0.0:4000": false,
		"[::ffff:10.0.0.1]:4000": false, "": false, "@": false, "localhost:4000": false,
	} {
		w := asked(s, "POST", RowsPath, "application/json", peer, "127.0.0.1:4317")
		if answered != (w.Code == http.StatusOK) || !answered && (w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "only processes of this pod")) {
			t.Errorf("peer %q: answered %d, %q", peer, w.Code, w.Body)
		}
	}
}

func TestHostRule(t *testing.T) {
	s := New(Config{Sink: &kept{}})
	for host, answered := range map[string]bool{
		"127.0.0.1:4317": true, "127.0.0.1": true, "[::1]:4317": true, "localhost": true, "LOCALHOST:4317": true, "10.0.0.1:4317": true,
		"": false, "evil.example": false, "evil.example:4317": false, "localhost.evil.example": false, "127.0.0.1.evil.example": false,
		"2130706433": false, "127.1": false, strings.Repeat("a", 4000): false,
	} {
		w := asked(s, "POST", RowsPath, "application/json", "127.0.0.1:5", host)
		if answered != (w.Code == http.StatusOK) || !answered && (w.Code != http.StatusForbidden || w.Body.Len() > 300 || !strings.Contains(w.Body.String(), "localhost")) {
			t.Errorf("host %q: answered %d, %q", clip(host), w.Code, clip(w.Body.String()))
		}
	}
}

func TestMethodsPathsAndTypes(t *testing.T) {
	s := New(Config{Sink: &kept{}})
	for _, c := range []struct {
		method, path, kind string
		status             int
		why                string
	}{
		{"GET", RowsPath, "application/json", 405, "only POST"},
		{"GET", TracesPath, "", 405, "only POST"},
		{"PUT", TracesPath, "application/x-protobuf", 405, ""},
		{"OPTIONS", RowsPath, "", 405, "only POST"},
		{"POST", "/", "application/json", 404, "/v1/traces and /v1/requests"},
		{"POST", "/v1/metrics", "application/x-protobuf", 404, "no metrics and no logs"},
		{"POST", "/v1/requests/", "application/json", 404, "no such path"},
		{"POST", "/V1/requests", "application/json", 404, "no such path"},
		{"POST", RowsPath, "", 415, "application/json is"},
		{"POST", RowsPath, "text/plain", 415, "application/json is"},
		{"POST", RowsPath, "application/x-www-form-urlencoded", 415, "application/json is"},
		{"POST", RowsPath, "application/x-protobuf", 415, "application/json is"},
		{"POST", RowsPath, "application/json; charset=\"", 415, "application/json is"},
		{"POST", TracesPath, "", 415, "application/x-protobuf or application/json is"},
		{"POST", TracesPath, "text/plain", 415, "application/x-protobuf or application/json is"},
		{"POST", ExportPath, "application/x-protobuf", 415, "application/grpc is"},
		{"POST", ExportPath, "application/grpc", 505, "needs HTTP/2"},
	} {
		w := asked(s, c.method, c.path, c.kind, "127.0.0.1:5", "127.0.0.1")
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.why) || (c.status == 405) != (w.Header().Get("Allow") == "POST") {
			t.Errorf("%s %s %q: answered %d, %q", c.method, c.path, c.kind, w.Code, w.Body)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: another origin may post", c.method, c.path)
		}
	}
	if w := asked(s, "POST", TracesPath, "application/protobuf", "127.0.0.1:5", "127.0.0.1"); w.Code != http.StatusBadRequest || w.Header().Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("protobuf by its other name: answered %d, %q", w.Code, w.Header().Get("Content-Type"))
	}
	for _, packed := range []string{"br", "zstd", "gzip, gzip", "deflate"} {
		_, base := taking(t, &kept{})
		a := post(t, base+RowsPath, "application/json", strings.NewReader(`{"requests": []}`), func(r *http.Request) { r.Header.Set("Content-Encoding", packed) })
		if a.status != http.StatusUnsupportedMediaType || !strings.Contains(a.body, "gzip is") {
			t.Errorf("%s: answered %d, %q", packed, a.status, a.body)
		}
	}
}

// gRPC's clients hear refusals in their own words.
func TestRefusalsOverGRPC(t *testing.T) {
	_, base := taking(t, &kept{}, func(c *Config) { c.MaxBody = 100_000 })
	call := func(path string, change func(*http.Request)) (string, string) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", base+path, strings.NewReader("\x00\x00\x00\x00\x00"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/grpc")
		change(r)
		response, err := client(t, true).Do(r)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: gRPC is answered with the status %d", path, response.StatusCode)
		}
		return response.Trailer.Get("Grpc-Status"), response.Trailer.Get("Grpc-Message")
	}
	with := func(body string, header ...string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), -1
			for i := 0; i+1 < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
		}
	}
	for _, c := range []struct {
		name, path string
		change     func(*http.Request)
		code, why  string
	}{
		{"good", ExportPath, func(*http.Request) {}, "0", ""},
		{"good, with a named codec", ExportPath, with("\x00\x00\x00\x00\x00", "Content-Type", "application/grpc+proto"), "0", ""},
		{"metrics", "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", func(*http.Request) {}, "12", "no metrics and no logs"},
		{"foreign host", ExportPath, func(r *http.Request) { r.Host = "evil.example" }, "7", "is not answered"},
		{"no message", ExportPath, with(""), "3", "ends in the middle"},
		{"half a frame", ExportPath, with("\x00\x00"), "3", "ends in the middle"},
		{"half a message", ExportPath, with("\x00\x00\x00\x00\x09\x0a\x07"), "3", "ends in the middle"},
		{"two messages", ExportPath, with("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "3", "something follows"},
		{"a strange frame", ExportPath, with("\x80\x00\x00\x00\x00"), "3", "begins with 128"},
		{"too long by its own word", ExportPath, with("\x00\x40\x00\x00\x00"), "8", "more than 100000 bytes"},
		{"no protobuf", ExportPath, with("\x00\x00\x00\x00\x04\x00unk"), "3", "no protobuf"},
		{"packed by nothing", ExportPath, with("\x01\x00\x00\x00\x01x"), "12", "gzip is known"},
		{"packed by another", ExportPath, with("\x01\x00\x00\x00\x01x", "Grpc-Encoding", "zstd"), "12", "gzip is known"},
		{"packed badly", ExportPath, with("\x01\x00\x00\x00\x01x", "Grpc-Encoding", "gzip"), "3", "no gzip"},
	} {
		code, why := call(c.path, c.change)
		if code != c.code || !strings.Contains(why, c.why) {
			t.Errorf("%s: status %q, %q; want %s, %q", c.name, code, why, c.code, c.why)
		}
	}
	c := connect.NewClient[collectorpb.ExportTraceServiceRequest, collectorpb.ExportTraceServiceResponse](client(t, true), base+"/some.Service/Call", connect.WithGRPC())
	if _, err := c.CallUnary(t.Context(), connect.NewRequest(exported())); connect.CodeOf(err) != connect.CodeUnimplemented {
		t.Errorf("an unknown method: %v", err)
	}
}

func TestPercentEncoding(t *testing.T) {
	if got := percentEncoded("100 % \"ä\"\n"); got != `100 %25 "%C3%A4"%0A` {
		t.Errorf("written as %s", got)
	}
}

// arriving is a listener whose connections come from given addresses.
type arriving struct {
	peers chan string
	ends  chan net.Conn
}

type from struct {
	net.Conn
	peer net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.peer }

func (a arriving) Accept() (net.Conn, error) {
	peer, ok := <-a.peers
	if !ok {
		return nil, errors.New("closed")
	}
	here, there := net.Pipe()
	a.ends <- there
	return from{here, net.TCPAddrFromAddrPort(mustAddress(peer))}, nil
}

func (a arriving) Close() error   { return nil }
func (a arriving) Addr() net.Addr { return &net.TCPAddr{} }

// Strangers hear that they are not answered, and cannot take all the places.
func TestStrangersTakeFewPlaces(t *testing.T) {
	in := arriving{peers: make(chan string, 64), ends: make(chan net.Conn, 64)}
	door := &doorway{Listener: in}
	for range 3 * maxStrangers {
		in.peers <- "203.0.113.7:5000"
	}
	in.peers <- "127.0.0.1:5000"
	var open []net.Conn
	for {
		c, err := door.Accept()
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		if fromLoopback(c.RemoteAddr().String()) {
			break
		}
	}
	if len(open) != maxStrangers+1 {
		t.Errorf("%d strangers were let in", len(open)-1)
	}
	for range 2 { // closing twice gives one place back
		open[0].Close()
	}
	for range 2 {
		in.peers <- "203.0.113.7:5000"
	}
	close(in.peers)
	again := 0
	for {
		if _, err := door.Accept(); err != nil {
			break
		}
		again++
	}
	if again != 1 {
		t.Errorf("one stranger left, and %d came in", again)
	}
}
