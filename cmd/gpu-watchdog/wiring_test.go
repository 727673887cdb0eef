package main

import (
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// Whoever is asked to stop this pod is told what led to that, not what the ticks say while it is asked.
func TestAStopIsToldWhatLedToIt(t *testing.T) {
	w := &watch{telemetry: &telemetry{store: store.Open(store.Config{})}}
	view := func(final bool, code watchdog.Reason) *loop.View {
		return &loop.View{Snapshot: watchdog.Snapshot{Final: final}, Decision: watchdog.Decision{Reasons: []watchdog.Because{{Code: code}}}}
	}
	if got := w.decision(); len(got.Reasons) != 0 {
		t.Errorf("before any final look: %v", got.Reasons)
	}
	for _, step := range []struct {
		view *loop.View
		want watchdog.Reason
	}{
		{view(true, watchdog.ThresholdReached), watchdog.ThresholdReached},
		{view(false, watchdog.StopUnproven), watchdog.ThresholdReached},
		{view(true, watchdog.ServerDead), watchdog.ServerDead},
	} {
		w.published(step.view)
		if got := w.decision().Reason(); got != step.want {
			t.Errorf("after a view with %s it is told %s, want %s", step.view.Decision.Reason(), got, step.want)
		}
	}
}
