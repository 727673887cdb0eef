package listen

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

// opened runs a door on loopback until the test ends or end is called, and gives its log.
func opened(t *testing.T, c Config) (d *Door, logs *observer.ObservedLogs, end func()) {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	c.Words, c.Log = words, zap.New(core)
	if c.Server == nil {
		c.Server = func() *http.Server { return greeting(func() {}) }
	}
	d = New(c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Run(ctx)
	}()
	end = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Error("Run does not end with its context")
		}
	}
	t.Cleanup(end)
	return d, logs, end
}

// greeting is a server that says hello once before has returned.
func greeting(before func()) *http.Server {
	return &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		before()
		_, _ = io.WriteString(w, "hello")
	})}
}

func reached(t *testing.T, d *Door) string {
	t.Helper()
	eventually.Holds(t, "an address", func() bool { return d.Address() != "" })
	return d.Address()
}

// greeted is what a client hears, on a connection of its own.
func greeted(ctx context.Context, address string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// An address that is taken is warned of once, and had as soon as it is free.
func TestTakenThenFreed(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := other.Addr().String()
	d, logs, end := opened(t, Config{Address: address, Retry: 5 * time.Millisecond})
	eventually.Holds(t, "three more tries", func() bool { return logs.FilterMessage("still not letting people in").Len() >= 3 })
	if got, want := d.Warnings(), words.Problem(address, taken(t, address)); len(got) != 1 || got[0] != want || d.Address() != "" {
		t.Errorf("at %q it warns %q, want %q", d.Address(), got, want)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if got := reached(t, d); got != address || d.Warnings() != nil {
		t.Errorf("listens on %s, want %s; warns %q", got, address, d.Warnings())
	}
	if text, err := greeted(t.Context(), address); text != "hello" {
		t.Errorf("heard %q, %v", text, err)
	}
	warned := logs.FilterLevelExact(zapcore.WarnLevel).All()
	if len(warned) != 1 || warned[0].Message != "not letting people in" || warned[0].ContextMap()["address"] != address || warned[0].ContextMap()["retry_seconds"] != 0.005 {
		t.Errorf("warned %v", warned)
	}
	if logs.FilterMessage("letting people in").Len() != 1 {
		t.Error("the log does not say once that it listens")
	}
	end()
	if d.Address() != "" || d.Warnings() != nil {
		t.Errorf("ended, it still claims %q, and warns %q", d.Address(), d.Warnings())
	}
}

// taken is the error of listening where somebody does.
func taken(t *testing.T, address string) error {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close()
		t.Fatal("the address is free")
	}
	return err
}

// failing is a listener that accepts nobody.
type failing struct {
	net.Listener
	err error
}

func (f failing) Accept() (net.Conn, error) { return nil, f.err }

// A listener that fails is begun anew, with another server.
func TestListenerFails(t *testing.T) {
	broken := errors.New("broken")
	var fails atomic.Int64
	d, logs, _ := opened(t, Config{
		Address: "127.0.0.1:0", Retry: time.Millisecond,
		Wrap: func(l net.Listener) net.Listener {
			if fails.Add(1) > 3 {
				return l
			}
			return failing{l, broken}
		},
	})
	eventually.Holds(t, "the fourth listener", func() bool { return fails.Load() == 4 })
	if text, err := greeted(t.Context(), reached(t, d)); text != "hello" {
		t.Errorf("heard %q, %v", text, err)
	}
	// It listened in between, so each failure is news.
	if n := logs.FilterMessage("not letting people in").Len(); n != 3 {
		t.Errorf("warned %d times of three failures", n)
	}
}

func TestNowhere(t *testing.T) {
	d, logs, end := opened(t, Config{})
	end()
	if d.Address() != "" || d.Warnings() != nil || logs.Len() != 0 {
		t.Errorf("listens on %q, warns %q, logs %v", d.Address(), d.Warnings(), logs.All())
	}
}

// At the end a request in flight gets its answer.
func TestEndWaits(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	d, _, end := opened(t, Config{Address: "127.0.0.1:0", Server: func() *http.Server {
		return greeting(func() { close(inside); <-release })
	}})
	address := reached(t, d)
	heard := make(chan string, 1)
	go func() {
		text, _ := greeted(context.WithoutCancel(t.Context()), address)
		heard <- text
	}()
	<-inside
	go func() {
		for d.Address() != "" && dials(address) {
			<-time.After(time.Millisecond)
		}
		close(release)
	}()
	end()
	if text := <-heard; text != "hello" {
		t.Errorf("heard %q", text)
	}
}

func dials(address string) bool {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// A request that takes longer is cut off, and the end does not wait for it.
func TestEndCutsOff(t *testing.T) {
	inside, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	d, logs, end := opened(t, Config{Address: "127.0.0.1:0", Server: func() *http.Server {
		return greeting(func() { close(inside); <-release })
	}})
	address := reached(t, d)
	heard := make(chan error, 1)
	go func() {
		_, err := greeted(context.WithoutCancel(t.Context()), address)
		heard <- err
	}()
	<-inside
	begun := time.Now()
	end()
	if took := time.Since(begun); took < Grace || took > Grace+5*time.Second {
		t.Errorf("ended after %s", took)
	}
	if err := <-heard; err == nil {
		t.Error("the client got its answer, which nobody gave")
	}
	if logs.FilterMessage("requests cut off at the end").Len() != 1 {
		t.Error("the log does not say that a request was cut off")
	}
}

// Whoever comes when all places are taken waits for one.
func TestConnectionsAreBounded(t *testing.T) {
	d, _, _ := opened(t, Config{Address: "127.0.0.1:0", Connections: 1})
	address := reached(t, d)
	first, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	ask := func(c net.Conn, within time.Duration) error {
		_ = c.SetDeadline(time.Now().Add(within))
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			return err
		}
		_, err := bufio.NewReader(c).ReadString('\n')
		return err
	}
	if err := ask(first, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	second, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if err := ask(second, 50*time.Millisecond); err == nil {
		t.Error("a second client was answered beside the first")
	}
	_ = first.Close()
	third, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = third.Close() }()
	_ = second.Close()
	if err := ask(third, 10*time.Second); err != nil {
		t.Errorf("after the others left: %v", err)
	}
}

func TestErrorLog(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	ErrorLog(zap.New(core)).Print("http: TLS handshake error\n")
	all := logs.All()
	if len(all) != 1 || all[0].Message != "a request went wrong" || all[0].Level != zapcore.DebugLevel || all[0].ContextMap()["detail"] != "http: TLS handshake error" {
		t.Errorf("logged %v", all)
	}
}
