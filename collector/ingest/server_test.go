package ingest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

// An address that is taken is warned of once, and had as soon as it is free.
func TestTakenAddress(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	core, logs := observer.New(zapcore.DebugLevel)
	s := New(Config{Listen: other.Addr().String(), Sink: &kept{}, Log: zap.New(core), Retry: 5 * time.Millisecond})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	eventually.Holds(t, "it has tried again", func() bool { return logs.FilterMessage("still not taking spans and rows").Len() > 2 })
	warnings := s.Warnings()
	if len(warnings) != 1 || !strings.Contains(warnings[0], "is taken by another program") || !strings.Contains(warnings[0], "WATCHDOG_INGEST_LISTEN") || s.Address() != "" {
		t.Errorf("warnings %q, address %q", warnings, s.Address())
	}
	other.Close()
	eventually.Holds(t, "it listens", func() bool { return s.Address() != "" })
	if len(s.Warnings()) != 0 || logs.FilterMessage("not taking spans and rows").Len() != 1 {
		t.Errorf("warnings %q, %d lines", s.Warnings(), logs.FilterMessage("not taking spans and rows").Len())
	}
	if a := post(t, "http://"+s.Address()+RowsPath, "application/json", strings.NewReader(`{"requests": []}`)); a.status != 200 {
		t.Errorf("answered %d", a.status)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if s.Address() != "" {
		t.Errorf("ended, it still claims %s", s.Address())
	}
}

// What is to be changed along with the address is said with it.
func TestTakenAddressSaysWhatElseToSet(t *testing.T) {
	got := words.Problem("127.0.0.1:4317", syscall.EADDRINUSE)
	for _, part := range []string{"127.0.0.1:4317 is taken by another program (a collector of OpenTelemetry, ", "WATCHDOG_INGEST_LISTEN to a free address", "--otlp-traces-endpoint", "spans and posted rows are not taken"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q lacks %q", got, part)
		}
	}
}

func TestOff(t *testing.T) {
	s := New(Config{Sink: &kept{}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	stop()
	if err := <-ended; err != nil || s.Address() != "" || len(s.Warnings()) != 0 {
		t.Errorf("%v, %q, %q", err, s.Address(), s.Warnings())
	}
}

// At the end, what is being made durable is still acknowledged; who takes too long is cut off.
func TestEnd(t *testing.T) {
	reached, release := make(chan struct{}), make(chan struct{})
	s := New(Config{Listen: "127.0.0.1:0", Sink: &kept{before: func(context.Context, Batch) error {
		close(reached)
		<-release
		return nil
	}}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	eventually.Holds(t, "it listens", func() bool { return s.Address() != "" })
	url := "http://" + s.Address() + RowsPath
	answers := make(chan int)
	go func() {
		r, err := http.Post(url, "application/json", strings.NewReader(`{"requests": [`+goodRow+`]}`))
		if err != nil {
			t.Error(err)
			answers <- 0
			return
		}
		r.Body.Close()
		answers <- r.StatusCode
	}()
	<-reached
	stop()
	eventually.Holds(t, "no more connections are taken", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(strings.TrimSuffix(url, RowsPath), "http://"))
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	close(release)
	if status := <-answers; status != 200 {
		t.Errorf("answered %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// What keeps going wrong is said once in a while, with its reason.
func TestComplaints(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	_, base := taking(t, &kept{before: func(context.Context, Batch) error { return errors.New("disk full") }}, func(c *Config) { c.Log = zap.New(core) })
	for range 3 {
		_, _ = export(t, base, exported(served(0)))
	}
	lines := logs.FilterMessage("rows cannot be kept").All()
	if len(lines) != 1 || lines[0].ContextMap()["detail"] != "disk full" {
		t.Errorf("said %d times: %v", len(lines), lines)
	}
}

// Whoever takes longer is cut off, and out of the sink before Run returns.
func TestEndCutsOff(t *testing.T) {
	reached, left := make(chan struct{}), false
	s := New(Config{Listen: "127.0.0.1:0", Sink: &kept{before: func(ctx context.Context, _ Batch) error {
		close(reached)
		<-ctx.Done()
		<-time.After(50 * time.Millisecond)
		left = true
		return ctx.Err()
	}}})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	eventually.Holds(t, "it listens", func() bool { return s.Address() != "" })
	go func() {
		r, err := http.Post("http://"+s.Address()+RowsPath, "application/json", strings.NewReader(`{"requests": [`+goodRow+`]}`))
		if err == nil {
			r.Body.Close()
		}
	}()
	<-reached
	stop()
	if err := <-ended; err != nil || !left {
		t.Errorf("Run returned %v while rows were in the sink: %t", err, !left)
	}
	if len(s.slots.inside) != 0 {
		t.Errorf("%d slots are taken", len(s.slots.inside))
	}
}
