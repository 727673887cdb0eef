package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// noon is when the tests' clocks stand.
var noon = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

func standing() time.Time { return noon }

// swift is a pace that tests can wait for; what would make a slow machine look like a broken disk stays as it is.
var swift = pace{retryFirst: 5 * time.Millisecond, retryMost: 20 * time.Millisecond, tidy: time.Hour}

func inFolder(t testing.TB) Config {
	t.Helper()
	return Config{Path: filepath.Join(t.TempDir(), "pod", "telemetry.db"), Run: Run{Version: "1.2.3", Name: "pod", StartID: "s", Config: "0123abcd"}, Now: standing, pace: swift}
}

// begin opens a store that is closed at the test's end.
func begin(t testing.TB, c Config) *Store {
	t.Helper()
	s := Open(c)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

// gated opens a store whose commits, after the first one, each say that they have begun and then wait for the gate: a hung
// disk.
func gated(t testing.TB, c Config) (s *Store, entered chan struct{}, gate chan struct{}) {
	t.Helper()
	entered, gate = make(chan struct{}, 1000), make(chan struct{})
	first := true
	c.slow = func() {
		if first {
			first = false
			return
		}
		entered <- struct{}{}
		<-gate
	}
	s = begin(t, c)
	t.Cleanup(func() { // before the store is closed, so that it can be
		select {
		case <-gate:
		default:
			close(gate)
		}
	})
	return s, entered, gate
}

func end(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, s *Store, requests ...ingest.Request) {
	t.Helper()
	if err := s.Add(t.Context(), ingest.Batch{Requests: requests}); err != nil {
		t.Fatal(err)
	}
}

// span is a whole request out of a span: 10 tokens, 0.2 s to the first.
func span(n int) ingest.Request {
	return ingest.Request{
		Source: ingest.FromSpan, Key: fmt.Sprintf("%032x%016x", n, n), ID: fmt.Sprintf("cmpl-%d-0", n), FinishedAt: noon.Add(time.Duration(n) * time.Millisecond),
		Queue: watchdog.Known(0.01), Prefill: watchdog.Known(0.15), Decode: watchdog.Known(0.9), Total: watchdog.Known(1.1), TTFT: watchdog.Known(0.2),
		TPOT: watchdog.Known(0.1), TPS: watchdog.Known(9.25), PromptTokens: watchdog.Known(int64(7)), OutputTokens: watchdog.Known(int64(10)),
	}
}

func spans(from, to int) []ingest.Request {
	out := make([]ingest.Request, 0, to-from)
	for n := from; n < to; n++ {
		out = append(out, span(n))
	}
	return out
}

// look opens the file beside the store, as people do.
func look(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", dsn(path, "_busy_timeout=5000"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// ask returns one value.
func ask[T any](t testing.TB, path, statement string, args ...any) T {
	t.Helper()
	var out T
	db := look(t, path)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), statement, args...).Scan(&out); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return out
}
