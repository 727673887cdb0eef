package report_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/internal/report"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sla is the document's: the first token within two seconds.
const sla = 2 * time.Second

// telemetry fills a real file through the store that the watchdog uses.
type telemetry struct {
	t         testing.TB
	path      string
	now       time.Time
	store     *store.Store
	tick      uint64
	rows      []ingest.Request
	keys      int
	spent     float64
	idle      float64
	generated float64
}

func newTelemetry(t testing.TB, now time.Time) *telemetry {
	t.Helper()
	p := &telemetry{t: t, path: filepath.Join(t.TempDir(), "pod-abc123", "telemetry.db"), now: now}
	p.store = store.Open(store.Config{
		Path: p.path, Run: store.Run{Version: "1.2.3", Name: "pod-abc123", StartID: "s", Config: "0123abcd"}, Now: p.clock,
		Limits: store.Limits{MemoryRows: 100_000}, // a week of looks comes within a second
	})
	t.Cleanup(func() { p.close() })
	return p
}

func (p *telemetry) clock() time.Time { return p.now }

func (p *telemetry) close() {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := p.store.Close(ctx); err != nil {
		p.t.Error(err)
	}
}

// look is a window that ends at an instant.
type look struct {
	end      time.Time
	elapsed  time.Duration
	activity watchdog.Activity
	// generated tokens and prompt tokens of the window; less than 0: no server was read.
	generated, prompts float64
	usdPerHour         float64 // 0: no price
	gpu                []uint8
	running            watchdog.Maybe[float64]
}

func (p *telemetry) look(l look) {
	p.tick++
	hours := l.elapsed.Hours()
	p.spent += l.usdPerHour * hours
	if l.activity == watchdog.Quiet {
		p.idle += l.usdPerHour * hours
	}
	v := &loop.View{
		Verdict: "hold",
		Snapshot: watchdog.Snapshot{
			Tick: p.tick, At: l.end, Elapsed: l.elapsed,
			GPU: watchdog.GPU{State: watchdog.SourceOK, Devices: []watchdog.Device{{UUID: "GPU-0", State: watchdog.SourceOK, Samples: l.gpu}}},
		},
		Decision: watchdog.Decision{Tick: p.tick, At: l.end, Activity: l.activity, Reasons: []watchdog.Because{{Code: watchdog.BelowThreshold}}, Running: l.running},
		Money:    loop.Money{SpentTotal: p.spent, IdleTotal: p.idle, SpentToday: watchdog.Maybe[float64]{Known: l.usdPerHour > 0}},
	}
	if l.generated >= 0 {
		p.generated += l.generated
		engine := watchdog.Engine{ID: "0"}
		engine.Counters[watchdog.GenerationTokens] = watchdog.Known(p.generated)
		v.Snapshot.Servers = []watchdog.Server{{URL: "http://127.0.0.1:8000", StartedAt: 1, Engines: []watchdog.Engine{engine}}}
		v.Decision.TokensDelta = watchdog.Known(l.generated + l.prompts)
	}
	p.store.Record(v)
}

// row is a finished request; what a test does not say is as in most requests.
func (p *telemetry) row(r ingest.Request) {
	p.keys++
	if r.Source == "" {
		r.Source = ingest.FromSpan
	}
	r.Key, r.ID = fmt.Sprintf("%032x", p.keys), fmt.Sprintf("cmpl-%d", p.keys)
	p.rows = append(p.rows, r)
	if len(p.rows) >= 512 {
		p.flush()
	}
}

func (p *telemetry) flush() {
	p.t.Helper()
	if err := p.store.Add(p.t.Context(), ingest.Batch{Requests: p.rows}); err != nil {
		p.t.Fatal(err)
	}
	p.rows = nil
}

// report closes the file and reads it as the command does.
func (p *telemetry) report(span report.Span) (report.Report, *store.Reader) {
	p.t.Helper()
	if len(p.rows) > 0 {
		p.flush()
	}
	p.close()
	reader := store.OpenReader(p.path, p.clock)
	r, err := report.Build(p.t.Context(), reader, report.Question{Span: span, SLATTFT: sla, Name: "pod-abc123", File: "/workspace/.gpu-watchdog/pod-abc123/telemetry.db", Now: p.now})
	if err != nil {
		p.t.Fatal(err)
	}
	return r, reader
}

func between(t testing.TB, first, last string) report.Span {
	t.Helper()
	var at [2]time.Time
	for i, s := range []string{first, last} {
		var err error
		if at[i], err = time.Parse(time.DateOnly, s); err != nil {
			t.Fatal(err)
		}
	}
	s, err := report.Between(at[0], at[1])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs from what was written:\n%s\nwant\n%s", name, got, want)
	}
}

// weekNow is when the week's report is asked for: its last day is not over.
var weekNow = time.Date(2026, 11, 24, 15, 10, 0, 0, time.UTC)

// week is a pod's week: nights in which it is stopped or quiet, a rush in the morning and one in the afternoon in which the
// first token comes too late, a weekend, a Friday afternoon without a watchdog, and today until now.
func week(t testing.TB) (report.Report, *store.Reader) {
	t.Helper()
	p := newTelemetry(t, weekNow)
	r := rand.New(rand.NewPCG(7, 1))
	const window = 5 * time.Minute
	first := time.Date(2026, 11, 18, 0, 0, 0, 0, time.UTC)
	for at := first; at.Before(weekNow); at = at.Add(window) {
		hour := float64(at.Hour()) + float64(at.Minute())/60
		night := hour < 7.5 || hour >= 22
		stopped := night && at.Day()%3 != 0
		blind := at.Day() == 20 && hour >= 12.5 && hour < 17
		if stopped || blind {
			continue
		}
		load := 0.17*bell(hour, 10.5, 1.3) + 0.22*bell(hour, 15.5, 1.6) + 0.03*bell(hour, 19, 3)
		if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
			load *= 0.25
		}
		if night {
			load = 0
		}
		n := 0
		for expected := load * window.Seconds(); expected > 0; expected-- {
			if r.Float64() < expected {
				n++
			}
		}
		l := look{end: at.Add(window - time.Second), elapsed: window, activity: watchdog.Quiet, usdPerHour: 1.99, running: watchdog.Known(0.0)}
		for range n {
			request := served(r, at.Add(time.Duration(r.Float64()*float64(window))), load)
			l.generated += float64(request.OutputTokens.Value)
			l.prompts += float64(request.PromptTokens.Value)
			l.running.Value += request.Total.Value / window.Seconds()
			p.row(request)
		}
		if n > 0 {
			l.activity = watchdog.Busy
		}
		for range 30 {
			l.gpu = append(l.gpu, uint8(min(100, max(0, 18*l.running.Value*(0.7+0.6*r.Float64())+2*r.Float64()))))
		}
		p.look(l)
	}
	span, err := report.Ending(7, weekNow)
	if err != nil {
		t.Fatal(err)
	}
	return p.report(span)
}

// bell is 1 at the middle, and falls off on both sides.
func bell(x, middle, wide float64) float64 {
	return math.Exp(-(x - middle) * (x - middle) / (2 * wide * wide))
}

// served is a request under a load of so many requests a second: from about 0.15 on it waits in the queue.
func served(r *rand.Rand, at time.Time, load float64) ingest.Request {
	tokens, prompt := 40+r.Int64N(300), 200+r.Int64N(1500)
	prefill := 0.12 * math.Exp(0.4*r.NormFloat64())
	queue := 0.01 + math.Pow(load/0.17, 6)*r.ExpFloat64()*0.6
	tpot := 0.018 * math.Exp(0.15*r.NormFloat64()) * (1 + load)
	decode := tpot * float64(tokens-1)
	total := queue + prefill + decode
	return ingest.Request{
		FinishedAt: at, Queue: watchdog.Known(queue), Prefill: watchdog.Known(prefill), Decode: watchdog.Known(decode), Total: watchdog.Known(total),
		TTFT: watchdog.Known(queue + prefill), TPOT: watchdog.Known(tpot), TPS: watchdog.Known(float64(tokens) / total),
		PromptTokens: watchdog.Known(prompt), OutputTokens: watchdog.Known(tokens),
	}
}
