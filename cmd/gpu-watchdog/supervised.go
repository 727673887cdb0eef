package main

import (
	"context"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/child"
	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// supervised is what `exec`, of which this process is the second child, tells of the first: how its starts went, and the lines that
// it wrote meanwhile.
type supervised struct {
	source *child.Source
	lines  *startup.Follower
	log    *zap.Logger

	told time.Time // the start whose phases were logged last
}

// underExec takes the link to the supervisor over, and out of our environment. It returns nil where there is none.
func underExec(log *zap.Logger) *supervised {
	conn, err := child.Open(os.Getenv)
	_ = os.Unsetenv(link.Variable) // for whoever we start: it cannot fail
	if err != nil {
		log.Warn("nothing is known of the server that is supervised", zap.Error(err))
	}
	if conn == nil {
		return nil
	}
	s := &supervised{lines: &startup.Follower{Since: time.Now()}, log: log}
	s.source = child.New(conn, func(l link.Line) { s.lines.Line(s.source.Began(), l.At, l.Text) })
	return s
}

// run listens until ctx ends.
func (s *supervised) run(ctx context.Context) { s.source.Run(ctx) }

// measured logs the phases of a start that was measured, once.
func (s *supervised) measured(start costmodel.Start, bill func(time.Duration) watchdog.Maybe[float64]) {
	if s == nil || start.At.Equal(s.told) {
		return
	}
	s.told = start.At
	phases := s.lines.Phases(s.source.Began(), start.At)
	if phases == nil {
		return
	}
	fields := []zap.Field{zap.String("kind", string(start.Kind))}
	total, longest := 0.0, startup.Phase{}
	for _, p := range phases[:startup.FirstToken] { // which is measured by the server's own histogram, later
		usd := watchdog.Maybe[float64]{}
		if p.Seconds.Known {
			usd = bill(time.Duration(p.Seconds.Value * float64(time.Second)))
		}
		fields = append(fields, zap.Float64p(p.Name+"_seconds", p.Seconds.Ptr()), zap.Float64p(p.Name+"_usd", usd.Ptr()))
		total += p.Seconds.Value
		if p.Seconds.Value > longest.Seconds.Value {
			longest = p
		}
	}
	fields = append(fields, zap.Float64("total_seconds", total))
	if total > 0 {
		fields = append(fields, zap.String("longest_phase", longest.Name), zap.Float64("longest_phase_percent", 100*longest.Seconds.Value/total),
			zap.String("remedy", startup.Remedies[longest.Name]))
	}
	s.log.Info("cold start phases", fields...)
}
