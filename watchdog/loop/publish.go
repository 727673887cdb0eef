package loop

import (
	"maps"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// verdict is the decision's verdict as it is shown: a stop that DRY_RUN turns into words is would_stop.
func (l *Loop) verdict(d watchdog.Decision) string {
	if d.Verdict == watchdog.Stop && l.Identity.DryRun {
		return "would_stop"
	}
	return d.Verdict.String()
}

// publish makes this tick the one that the page, the metrics and the status show.
func (l *Loop) publish(s watchdog.Snapshot, d watchdog.Decision) {
	v := &View{
		Identity: l.Identity, Snapshot: s, Decision: d, Verdict: l.verdict(d),
		Attempt: l.state.Attempt, LastStop: l.lastStop(), Money: l.money(),
		Permission: PermissionUnproven, Persistent: l.Persistent,
		Sources: maps.Clone(l.health), Servers: maps.Clone(l.seen),
		Counters: l.totals, Floors: map[string]watchdog.Maybe[float64]{},
		StartedAt: l.began, Stale: 3*l.Rules.CheckInterval + 2*lookMost,
		Warnings: l.warnings(d), Leases: l.kept.Leases, Draining: l.draining.Load(), Caps: l.caps(),
	}
	v.Counters.Decisions = maps.Clone(l.totals.Decisions)
	v.Counters.Devices = maps.Clone(l.totals.Devices)
	if l.Answers != nil {
		v.Counters.Attempts = l.Answers()
	}
	if known := l.pod.Load(); known != nil {
		v.Permission, v.PermissionDetail = known.permission, known.detail
	}
	if stop := l.kept.Stop; stop != nil && (stop.ProvenAt.Known || stop.Result == "accepted") {
		v.Permission = PermissionProven // a stop was accepted, which is more than any question could tell
	}
	for _, device := range l.state.Devices {
		if floor, ok := device.NoiseFloor(); ok {
			v.Floors[device.UUID] = watchdog.Known(floor)
		}
	}
	l.view.Store(v)
	if l.Published != nil {
		l.Published(v)
	}
}

func (l *Loop) caps() (out Caps) {
	if most := l.Rules.MaxRuntime; most > 0 {
		out.MaxRuntime = watchdog.Known(most)
	}
	if most := l.Rules.MaxSpendPerDay; most > 0 {
		out.MaxSpendPerDay = watchdog.Known(most)
	}
	return out
}

// warnings are all that a person should know, alarms first.
func (l *Loop) warnings(d watchdog.Decision) []string {
	out := make([]string, 0, len(d.Alarms)+len(l.Warnings)+2)
	for _, a := range d.Alarms {
		out = append(out, a.Text)
	}
	out = append(out, l.Warnings...)
	if w := l.Memory.Warning(); w != "" {
		out = append(out, w)
	}
	if l.Report != nil {
		out = append(out, l.Report()...)
	}
	return slices.Compact(out)
}

// countSources keeps the record of each kind of source.
func (l *Loop) countSources(s watchdog.Snapshot) {
	l.countSource("gpu", s.GPU.State, s.At)
	l.countSource("sockets", s.Sockets.State, s.At)
	l.countSource("host", s.Host.State, s.At)
	state := watchdog.SourceAbsent
	for _, server := range s.Servers {
		switch {
		case server.Outcome == watchdog.OutcomeSkipped:
			state = watchdog.SourceSkipped
			continue
		case server.Outcome == watchdog.OutcomeAnswered:
			l.seen[server.URL] = s.At
			if state == watchdog.SourceAbsent {
				state = watchdog.SourceOK
			}
			continue
		}
		state = watchdog.SourceFailed
	}
	l.countSource("vllm", state, s.At)
}

func (l *Loop) countSource(name string, state watchdog.SourceState, at time.Time) {
	h := l.health[name]
	switch state {
	case watchdog.SourceOK:
		h.Up, h.LastSuccess = true, at
	case watchdog.SourceFailed:
		h.Up = false
		h.Errors++
	case watchdog.SourceAbsent:
		h.Up = false
	case watchdog.SourceSkipped:
	}
	l.health[name] = h
}

// countDevices adds up the seconds in which each GPU was at work, by its samples.
func (l *Loop) countDevices(s watchdog.Snapshot, d watchdog.Decision) {
	for _, device := range s.GPU.Devices {
		t := l.totals.Devices[device.UUID]
		busy := 0
		for _, percent := range device.Samples {
			if float64(percent) >= d.GPUThresholdPercent {
				busy++
			}
		}
		switch {
		case len(device.Samples) > 0:
			// Samples share the window evenly; their own period is only known once two of them were seen.
			t.BusySeconds += s.Elapsed.Seconds() * float64(busy) / float64(len(device.Samples))
		case device.Rate.Or(0) >= d.GPUThresholdPercent:
			t.BusySeconds += s.Elapsed.Seconds()
		}
		if device.Gap {
			t.SampleGaps++
		}
		l.totals.Devices[device.UUID] = t
	}
}
