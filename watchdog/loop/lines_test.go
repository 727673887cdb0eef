package loop

import (
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/collector"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// proofTime is how long an accepted stop may take before it counts as failed, as people are told.
const proofTime = 30 * time.Second

type askType = collector.Ask

func alarmField(code string) zap.Field { return zap.String("alarm", code) }

// write feeds decisions, one a second, and returns the reasons that were logged with their count of suppressed ones.
func written(steps ...watchdog.Decision) (reasons []string, suppressed []int64) {
	core, logs := observer.New(zapcore.DebugLevel)
	var ls lines
	for i, d := range steps {
		d.At = time.Unix(int64(i), 0)
		ls.write(zap.New(core), line{d: d, verdict: d.Verdict.String()})
	}
	for _, e := range logs.All() {
		m := e.ContextMap()
		reasons = append(reasons, m["reason"].(string))
		suppressed = append(suppressed, m["suppressed"].(int64))
	}
	return reasons, suppressed
}

func because(v watchdog.Verdict, r watchdog.Reason) watchdog.Decision {
	return watchdog.Decision{Verdict: v, Reasons: []watchdog.Because{{Code: r}}}
}

func repeat(d watchdog.Decision, n int) []watchdog.Decision {
	out := make([]watchdog.Decision, n)
	for i := range out {
		out[i] = d
	}
	return out
}

func TestALineIsWrittenOnChangeAndEveryFiveMinutes(t *testing.T) {
	idle := because(watchdog.Hold, watchdog.BelowThreshold)
	reasons, _ := written(repeat(idle, 601)...)
	if len(reasons) != 3 {
		t.Errorf("%d lines in ten minutes of the same, want the first and two heartbeats", len(reasons))
	}
}

func TestALineThatFlapsIsHeldBackAndCounted(t *testing.T) {
	a, b := because(watchdog.Hold, watchdog.BelowThreshold), because(watchdog.Hold, watchdog.TokensMoved)
	var steps []watchdog.Decision
	for range 4 {
		steps = append(steps, a, b)
	}
	steps = append(steps, repeat(a, 20)...)
	reasons, suppressed := written(steps...)
	// a and b are written; the flapping back to a is held back, until a has stood for ten seconds after its first line.
	if len(reasons) < 3 || reasons[0] != "below_threshold" || reasons[1] != "tokens_moved" || reasons[len(reasons)-1] != "below_threshold" {
		t.Fatalf("lines %v, want a, b and at last what is true", reasons)
	}
	if len(reasons) > 4 {
		t.Errorf("%d lines for %d changes, want the flapping held back: %v", len(reasons), 8, reasons)
	}
	if last := suppressed[len(suppressed)-1]; last == 0 {
		t.Error("the line after the flapping does not count what was held back")
	}
}

func TestAStopIsNeverHeldBack(t *testing.T) {
	warn, stop := because(watchdog.Warn, watchdog.Warning), because(watchdog.Stop, watchdog.ThresholdReached)
	reasons, _ := written(stop, warn, stop, warn, stop)
	stops := 0
	for _, r := range reasons {
		if r == string(watchdog.ThresholdReached) {
			stops++
		}
	}
	if stops != 3 {
		t.Errorf("%d of 3 stops were logged: %v", stops, reasons)
	}
}

func TestTheLineHasEveryField(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	var ls lines
	ls.write(zap.New(core), line{d: watchdog.Decision{At: time.Unix(1, 0)}, verdict: "hold"})
	got := logs.All()[0].ContextMap()
	for _, field := range []string{
		"name", "start_id", "config", "tick", "at", "verdict", "reason", "reasons", "activity", "idle_seconds", "threshold_seconds",
		"break_even_seconds", "cold_start_seconds", "stop_in_seconds", "unknown_seconds", "price_usd_per_hour", "saving_usd_per_hour",
		"idle_cost_usd", "cold_start_cost_usd", "running", "waiting", "tokens_delta", "connection_bytes", "peer", "gpu_percent_max",
		"gpu_threshold_percent", "cpu_cores", "evidence", "until", "policy", "suppressed",
	} {
		if _, ok := got[field]; !ok {
			t.Errorf("the decision line lacks %q", field)
		}
	}
	for _, unknown := range []string{"threshold_seconds", "price_usd_per_hour", "running", "peer", "until", "stop_in_seconds", "connection_bytes"} {
		if got[unknown] != nil {
			t.Errorf("%q is %v, want null: unknown is never 0", unknown, got[unknown])
		}
	}
}
