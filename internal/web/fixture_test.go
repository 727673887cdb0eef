package web

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

var update = flag.Bool("update", false, "write the golden files and the generated documents anew")

// noon is the instant of the fixture's decision; the fixture is read three seconds later.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 250_000_000, time.UTC)

// planted is a secret that must not come out anywhere.
const planted = "hunter2-rpa_SECRET"

// fullView is a pod with everything known, idle for 12 of 33 minutes.
func fullView() *loop.View {
	quote := watchdog.Quote{
		PriceUSDPerHour: watchdog.Known(1.5), SavingUSDPerHour: watchdog.Known(1.49),
		ColdStart: 3 * time.Minute, ColdStartUSD: watchdog.Known(0.825), BreakEven: 33 * time.Minute, Policy: "breakeven",
	}
	gpu := watchdog.Device{
		UUID: "GPU-5f0c8b1e-aaaa", Name: "NVIDIA H100 80GB HBM3", State: watchdog.SourceOK,
		Samples: []uint8{0, 2, 1}, Rate: watchdog.Known(1.0), MemoryUsedBytes: watchdog.Known(70e9), PowerWatts: watchdog.Known(71.5),
	}
	return &loop.View{
		Identity: loop.Identity{
			Version: "1.2.3", Name: "pod-abc123", StartID: "start-1", Config: "0a1b2c3d", Policy: "breakeven", Wake: "manual",
			Target: loop.Target{Kind: "runpod", ID: "abc123", Action: "stop"}, Armed: true, Ports: []uint16{8000},
		},
		Snapshot: watchdog.Snapshot{
			Tick: 700, At: noon, Quote: quote, StartID: "start-1",
			Servers: []watchdog.Server{
				{URL: "http://me:" + planted + "@127.0.0.1:8000/?key=" + planted, Outcome: watchdog.OutcomeAnswered, Health: watchdog.HealthOK, Version: "0.32.0"},
				{URL: "http://127.0.0.1:8001", Outcome: watchdog.OutcomeTimeout, Detail: "no answer within 2s"},
			},
			GPU: watchdog.GPU{State: watchdog.SourceOK, Devices: []watchdog.Device{gpu}},
			Sockets: watchdog.Sockets{State: watchdog.SourceOK, Listening: []uint16{8000}, Connections: []watchdog.Connection{
				{Cookie: 1, Port: 8000, Peer: "10.0.0.5:40212", Received: 900, Sent: 400, SinceReceived: 90 * time.Second, SinceSent: 80 * time.Second},
				{Cookie: 2, Port: 8000, Peer: "10.0.0.9:55555", SinceReceived: 0, SinceSent: time.Second},
			}},
			Host: watchdog.Host{State: watchdog.SourceOK, CPUCores: watchdog.Known(0.12)},
		},
		Decision: watchdog.Decision{
			Tick: 700, At: noon, Verdict: watchdog.Hold, Activity: watchdog.Quiet, ActivitySince: noon.Add(-12*time.Minute - 30*time.Second),
			Reasons: []watchdog.Because{
				{Code: watchdog.BelowThreshold, Detail: "idle for 12m30s, and 33m0s pays", Since: noon.Add(-12 * time.Minute)},
				{Code: watchdog.ServerSleeping, Detail: "http://127.0.0.1:8000 is in sleep mode", Since: noon.Add(-11 * time.Minute)},
			},
			Idle: 12*time.Minute + 30*time.Second, Threshold: watchdog.Known(33 * time.Minute), Quote: quote,
			StopAt:              watchdog.Known(noon.Add(20*time.Minute + 30*time.Second)),
			GPUPercentMax:       watchdog.Known(2.0),
			GPUThresholdPercent: 5, CPUCores: watchdog.Known(0.12),
			Evidence: watchdog.Evidence{VLLM: "failed", GPU: "ok", Sockets: "ok", Host: "ok"},
			Alarms:   []watchdog.Alarm{{Code: watchdog.AlarmSourceFailing, Text: "http://127.0.0.1:8001 has not answered for 2m0s (no answer within 2s)"}},
		},
		Verdict:          "hold",
		Floors:           map[string]watchdog.Maybe[float64]{"GPU-5f0c8b1e-aaaa": watchdog.Known(2.0)},
		Permission:       loop.PermissionProven,
		PermissionDetail: "the key may read this pod",
		LastStop: &loop.LastStop{
			RequestedAt: noon.Add(-20 * time.Hour), Target: "runpod", Result: "accepted", Proof: "proven",
		},
		Money: loop.Money{
			PriceSource: "provider", SpentToday: watchdog.Known(3.25), IdleToday: watchdog.Known(0.3125), SpentTotal: 4.5, IdleTotal: 0.5, ColdStartSamples: 4,
		},
		Sources: map[string]loop.SourceHealth{
			"vllm": {Up: false, LastSuccess: noon, Errors: 24}, "gpu": {Up: true, LastSuccess: noon}, "host": {Errors: 700},
		},
		Servers: map[string]time.Time{"http://127.0.0.1:8001": noon.Add(-2 * time.Minute)},
		Counters: loop.Counters{
			Ticks: 700, LateTicks: 2, TickSeconds: 0.004,
			Decisions: map[loop.DecisionKey]uint64{{Verdict: "hold", Reason: "below_threshold"}: 150, {Verdict: "hold", Reason: "tokens_moved"}: 550},
			Attempts:  map[loop.AttemptKey]uint64{{Target: "runpod", Result: "accepted"}: 1},
			Devices:   map[string]loop.DeviceTotals{"GPU-5f0c8b1e-aaaa": {BusySeconds: 1234.5, SampleGaps: 1}},
		},
		Persistent: true,
		Warnings:   []string{"WATCHDOG_LISTEN=0.0.0.0:9877 is open to whoever reaches that address"},
		StartedAt:  noon.Add(-time.Hour),
		Stale:      15 * time.Second,
	}
}

// served is how requests were served, as histograms tell it.
var served = Served{
	Summary: serving.Summary{
		WindowSeconds: watchdog.Known(300.0), Requests: watchdog.Known(42.0),
		TTFT:                  serving.SummaryTTFT{P50: watchdog.Known(0.08), P95Low: watchdog.Known(0.25), P95High: watchdog.Known(0.5)},
		OutputTokensPerSecond: watchdog.Known(123.5), GoodputRequestsPerSecondLow: watchdog.Known(0.13), GoodputRequestsPerSecondHigh: watchdog.Known(0.14),
		SLAPercentLow: watchdog.Known(95.0), SLAPercentHigh: watchdog.Known(100.0), Source: watchdog.Known(serving.FromHistograms),
	},
	USDPerMillionTokens: watchdog.Known(3.25),
}

// graded is what was counted in rows.
func graded() serving.Totals {
	return serving.Totals{
		Graded:         [3]uint64{serving.Met: 40, serving.Missed: 2, serving.Undecided: 1},
		TTFT:           serving.Cumulative{Count: 42, Sum: 9.5, Buckets: map[float64]uint64{0.1: 30, 2: 40}},
		PerOutputToken: serving.Cumulative{Count: 41, Sum: 0.41, Buckets: map[float64]uint64{0.01: 20, 0.02: 41}},
	}
}

// showing is a server that shows v, read three seconds after noon, without a network.
func showing(v *loop.View) *Server {
	s := New(Config{
		Latest: func() *loop.View { return v }, Version: "1.2.3", AllowedHosts: []string{"pod.internal"},
		Served: func(time.Time) Served { return served }, Graded: graded, Dropped: func() uint64 { return 3 },
	})
	s.now = func() time.Time { return noon.Add(3 * time.Second) }
	return s
}

// get asks s for path by GET at an allowed host.
func get(t *testing.T, s *Server, path string) *http.Response {
	t.Helper()
	return ask(t, s, http.MethodGet, path, "127.0.0.1:9877")
}

func ask(t *testing.T, s *Server, method, path, host string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// golden holds got against a file, or writes that with -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./internal/web -update", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s differs (-want +got); where that is right: go test ./internal/web -update\n%s", path, diff)
	}
}
