package stopper

import (
	"context"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Dry stands in for a Ladder where DRY_RUN is set: it only says what it would do. It holds nothing that could reach
// the network.
type Dry struct {
	Target Target
}

// Stop reports what would have been asked.
func (d Dry) Stop(context.Context) watchdog.StopReport {
	return watchdog.StopReport{
		Phase:  watchdog.StopWouldHave,
		Target: d.Target.Kind,
		Detail: "dry run: nothing was asked; would " + d.Target.Action + " " + d.Target.Kind + " " + d.Target.ID,
	}
}
