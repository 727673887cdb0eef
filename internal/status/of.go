package status

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

const undecided = "nothing has been decided yet: the first look at this pod is not over"

// Of makes the document from the last published view, which may be nil before the first tick, as it is read at now.
// version is the program's own, for the time before any view says it.
func Of(v *loop.View, now time.Time, version string) Status {
	s := Status{
		Schema:   Schema,
		Version:  version,
		Now:      second(now),
		Warnings: []string{},
		Reasons:  []Reason{},
		Holds:    []Hold{}, ServerLog: []string{},
		Sources: Sources{VLLM: []Server{}, GPU: []GPU{}, Sockets: Sockets{Ports: []uint16{}}},
	}
	if v == nil {
		s.Warnings = append(s.Warnings, undecided)
		return s
	}
	id := v.Identity
	if id.Version != "" {
		s.Version = id.Version
	}
	s.Name, s.StartID, s.Config = text(id.Name), text(id.StartID), text(id.Config)
	s.Persistent, s.Armed, s.DryRun = watchdog.Known(v.Persistent), watchdog.Known(id.Armed), watchdog.Known(id.DryRun)
	s.Policy, s.Wake = text(id.Policy), text(id.Wake)
	if id.Policy == "" {
		s.Policy = text(v.Snapshot.Quote.Policy)
	}
	s.Warnings = warnings(v, now)
	s.Target = target(v)
	s.Sources.Sockets.Ports = append(s.Sources.Sockets.Ports, id.Ports...)
	s.LastStop = lastStop(v.LastStop)
	s.Money = money(v)
	s.Caps = caps(v)
	s.Draining = watchdog.Known(v.Draining)
	for _, h := range v.Leases.Holds {
		s.Holds = append(s.Holds, Hold{Until: instant(h.Until), By: text(h.By), Why: text(h.Why)})
	}
	s.PostponedUntil = instant(v.Leases.PostponedUntil)
	if Decided(v) {
		s.decided(v, now)
	}
	return s
}

// Decided says whether a view holds a decision; before the first one there is none.
func Decided(v *loop.View) bool { return v != nil && !v.Decision.At.IsZero() }

// Fresh returns nil while the last decision is recent enough to be relied on, and else says what is wrong. A decision
// from the future is not fresh: the clock was set back, and nobody knows how old it is.
func Fresh(v *loop.View, now time.Time) error {
	if !Decided(v) {
		return errors.New(undecided)
	}
	age := now.Sub(v.Decision.At)
	switch {
	case age > v.Stale:
		return fmt.Errorf("the last decision is %s old, and should be at most %s: the watchdog is stuck", age.Round(time.Second), v.Stale)
	case -age > v.Stale:
		return fmt.Errorf("the last decision lies %s in the future: the clock was set back", (-age).Round(time.Second))
	}
	return nil
}

// decided fills in what only a decision can say.
func (s *Status) decided(v *loop.View, now time.Time) {
	d := v.Decision
	s.Activity = watchdog.Known(d.Activity.String())
	s.Since = instant(d.ActivitySince)
	s.Verdict = watchdog.Known(d.Verdict.String())
	if v.Verdict != "" {
		s.Verdict = watchdog.Known(v.Verdict)
	}
	s.Reason = watchdog.Known(string(d.Reason()))
	for _, b := range d.Reasons {
		s.Reasons = append(s.Reasons, Reason{Code: string(b.Code), Detail: b.Detail, Since: instant(b.Since)})
	}
	s.Idle = seconds(d.Idle)
	if d.Threshold.Known {
		s.Threshold = seconds(d.Threshold.Value)
	}
	s.BreakEven = BreakEven(d.Quote)
	s.StopAt = instant(d.StopAt.Value)
	if v.Snapshot.RevertedUntil.After(d.At) {
		s.RevertedUntil = instant(v.Snapshot.RevertedUntil)
	}
	s.ServerLog = append(s.ServerLog, d.Tail...)
	s.Sources = sources(v, now)
}

// BreakEven is B in seconds; unknown where stopping never pays, and before there is a quote.
func BreakEven(q watchdog.Quote) watchdog.Maybe[float64] {
	if q.NoSaving || q.BreakEven <= 0 {
		return watchdog.Maybe[float64]{}
	}
	return seconds(q.BreakEven)
}

// warnings are the view's own and its decision's alarms, each once.
func warnings(v *loop.View, now time.Time) []string {
	out := slices.Clone(v.Warnings)
	for _, a := range v.Decision.Alarms {
		if !slices.ContainsFunc(out, func(w string) bool { return strings.Contains(w, a.Text) }) {
			out = append(out, a.Text)
		}
	}
	if err := Fresh(v, now); err != nil {
		out = append(out, err.Error())
	}
	if out == nil {
		return []string{}
	}
	return out
}

func target(v *loop.View) Target {
	t := v.Identity.Target
	out := Target{Kind: text(t.Kind), ID: text(t.ID), Action: text(t.Action), Permission: text(string(v.Permission)), Detail: text(v.PermissionDetail)}
	if t.Kind == "" {
		out.Permission = watchdog.Maybe[string]{}
	}
	if !v.Identity.Armed && v.Identity.Unarmed != "" {
		out.Detail = text(v.Identity.Unarmed)
	}
	return out
}

func money(v *loop.View) Money {
	q := v.Decision.Quote
	m := Money{
		PriceUSDPerHour:  finite(q.PriceUSDPerHour),
		PriceSource:      text(v.Money.PriceSource),
		SpentToday:       finite(v.Money.SpentToday),
		IdleToday:        finite(v.Money.IdleToday),
		ColdStartSamples: watchdog.Known(v.Money.ColdStartSamples),
	}
	if q.ColdStart > 0 {
		m.ColdStart = seconds(q.ColdStart)
	}
	return m
}

func caps(v *loop.View) Caps {
	out := Caps{MaxSpendPerDay: finite(v.Caps.MaxSpendPerDay)}
	if most := v.Caps.MaxRuntime; most.Known {
		out.MaxRuntime = seconds(most.Value)
	}
	if ran := v.Snapshot.RunFor; ran.Known {
		out.RunFor = seconds(ran.Value)
	}
	return out
}

func lastStop(l *loop.LastStop) *LastStop {
	if l == nil {
		return nil
	}
	return &LastStop{RequestedAt: instant(l.RequestedAt), Target: text(l.Target), Result: text(l.Result), Detail: text(l.Detail), Proof: text(l.Proof)}
}

// text is unknown where it is empty.
func text(s string) watchdog.Maybe[string] { return watchdog.Maybe[string]{Value: s, Known: s != ""} }

// instant is unknown where it is zero.
func instant(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return watchdog.Known(second(t))
}

// second cuts a time to what the document promises.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// seconds is d in seconds, to the millisecond.
func seconds(d time.Duration) watchdog.Maybe[float64] {
	return watchdog.Known(math.Round(d.Seconds()*1000) / 1000)
}

// finite keeps what JSON cannot say out of the document.
func finite(m watchdog.Maybe[float64]) watchdog.Maybe[float64] {
	if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
		return watchdog.Maybe[float64]{}
	}
	return m
}
