package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/internal/web"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// telemetryFile is the database beside the memory.
const telemetryFile = "telemetry.db"

// servingEvery is how often a page is also read for its histograms.
const servingEvery = 15 * time.Second

// telemetry is what is kept and told of requests: rows that come in, the file that keeps them, and figures of both rows and pages.
type telemetry struct {
	store *store.Store
	rows  *ingest.Server
	live  *serving.Live
}

// keepTelemetry opens the file in the memory's folder; without a folder everything stays in memory.
func keepTelemetry(cfg config.Config, folder, startID string, log *zap.Logger) *telemetry {
	path := ""
	if folder != "" {
		path = filepath.Join(folder, telemetryFile)
	}
	t := &telemetry{
		store: store.Open(store.Config{Path: path, Log: log, Run: store.Run{
			Version: version, Name: cfg.Name, StartID: startID, Config: cfg.Hash(), Settings: settingsOf(cfg)}}),
		live: serving.NewLive(slaOf(cfg), time.Now()),
	}
	t.rows = ingest.New(ingest.Config{Listen: string(cfg.IngestListen), Sink: t, Log: log})
	return t
}

func slaOf(cfg config.Config) serving.SLA {
	return serving.SLA{TTFT: cfg.SLATTFT, TokensPerSecond: float64(cfg.SLATPS)}
}

// settingsOf is a JSON object of the settings in force, with secrets masked.
func settingsOf(cfg config.Config) string {
	all := map[string]string{}
	for _, row := range cfg.Table() {
		all[row.Variable] = row.Value
	}
	b, _ := json.Marshal(all) // a map of strings is always JSON
	return string(b)
}

// Add keeps a batch; only what is safe on disk is counted.
func (t *telemetry) Add(ctx context.Context, b ingest.Batch) error {
	if err := t.store.Add(ctx, b); err != nil {
		return err
	}
	t.live.Rows(b.Requests)
	return nil
}

// run takes rows in until ctx ends.
func (t *telemetry) run(ctx context.Context, log *zap.Logger) {
	if err := t.rows.Run(ctx); err != nil {
		log.Warn("rows are not taken in any more", zap.Error(err))
	}
}

func (t *telemetry) warnings() []string {
	out := t.rows.Warnings()
	if w := t.store.Warning(); w != "" {
		out = append(out, w)
	}
	return out
}

// served is how requests were served until now, and what a million tokens cost over the last day at this price.
func (t *telemetry) served(now time.Time, usdPerHour watchdog.Maybe[float64]) web.Served {
	out := web.Served{Summary: t.live.Summary(now)}
	day := t.live.Window(serving.Day, now)
	if rate := day.OutputTokensPerSecond(); rate.Known && rate.Value > 0 && usdPerHour.Known {
		out.USDPerMillionTokens = watchdog.Known(usdPerHour.Value / time.Hour.Seconds() / rate.Value * 1e6)
	}
	return out
}

// servedSource reads the histograms of a server's page with it, now and then. A page whose counters and gauges have not moved
// since is not read for them again: it says what it said, and an idle server should cost nothing.
type servedSource struct {
	*vllm.Client
	url  string
	live *serving.Live
	now  func() time.Time

	page    vllm.Serving
	last    time.Time
	unmoved bool // since page was read
	started float64
	engines []watchdog.Engine
}

// Read reads the server, as its client does. There is one look at a time.
func (s *servedSource) Read(ctx context.Context) watchdog.Server {
	now := s.now()
	due := s.last.IsZero() || now.Sub(s.last) >= servingEvery
	if due && !s.unmoved {
		server := s.ReadServing(ctx, &s.page)
		s.live.Read(s.url, now, &s.page)
		s.last, s.unmoved = now, server.Outcome == watchdog.OutcomeAnswered
		s.started, s.engines = server.StartedAt, server.Engines
		return server
	}
	server := s.Client.Read(ctx)
	s.unmoved = s.unmoved && server.Outcome == watchdog.OutcomeAnswered && server.StartedAt == s.started && slices.Equal(server.Engines, s.engines)
	if due && s.unmoved {
		s.live.Read(s.url, now, &s.page)
		s.last = now
	}
	return server
}
