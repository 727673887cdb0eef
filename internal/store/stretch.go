package store

import (
	"encoding/json"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// stretchKey is what makes two looks decide alike: the decision itself, and the facts behind it that change seldom. What
// changes from look to look (details, connections, utilisation) is summed up.
type stretchKey struct {
	verdict    string
	reason     watchdog.Reason
	activity   watchdog.Activity
	final, act bool
	threshold  watchdog.Maybe[time.Duration]
	quote      watchdog.Quote
	evidence   watchdog.Evidence
}

func keyOf(v *loop.View) stretchKey {
	d := v.Decision
	return stretchKey{v.Verdict, d.Reason(), d.Activity, d.Final, d.Act, d.Threshold, d.Quote, d.Evidence}
}

// stretch is a run of looks that decided alike.
type stretch struct {
	key         stretchKey
	ticks       int64
	first, last watchdog.Decision

	running, waiting, gpu, cpu watchdog.Maybe[float64] // the highest
	tokens                     watchdog.Maybe[float64] // the sum
	bytes                      watchdog.Maybe[uint64]  // the sum
	peer                       string
}

func newStretch(v *loop.View) stretch { return stretch{key: keyOf(v), first: v.Decision} }

func (s *stretch) add(v *loop.View) {
	d := v.Decision
	s.ticks++
	s.last = d
	s.running, s.waiting = highest(s.running, d.Running), highest(s.waiting, d.Waiting)
	s.gpu, s.cpu = highest(s.gpu, d.GPUPercentMax), highest(s.cpu, d.CPUCores)
	s.tokens = plus(s.tokens, d.TokensDelta)
	s.bytes = plus(s.bytes, d.ConnectionBytes)
	if d.Peer != "" {
		s.peer = d.Peer
	}
}

// highest is the higher of two values, of which one may be unknown.
func highest(a, b watchdog.Maybe[float64]) watchdog.Maybe[float64] {
	if !a.Known || b.Known && b.Value > a.Value {
		return b
	}
	return a
}

// plus is the sum of two values; unknown only where both are.
func plus[T float64 | uint64](a, b watchdog.Maybe[T]) watchdog.Maybe[T] {
	if !b.Known {
		return a
	}
	return watchdog.Known(a.Value + b.Value) // the value of an unknown is 0
}

const upsertStretch = `INSERT INTO decisions (run, first_tick, last_tick, ticks, began_at, ended_at, verdict, reason, activity, final, act,
  activity_since_at, reasons, reasons_last, idle_first_ns, idle_last_ns, unknown_first_ns, unknown_last_ns, threshold_ns, policy, cold_start_ns,
  cold_start_usd, break_even_ns, bill_break_even_ns, no_saving, price_usd_per_hour, saving_usd_per_hour, stop_at, until_at, running_max,
  waiting_max, tokens, connection_bytes, peer, gpu_max, gpu_threshold_first, gpu_threshold_last, cpu_cores_max, evidence)
  VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT DO UPDATE SET last_tick = excluded.last_tick, ticks = excluded.ticks, ended_at = excluded.ended_at,
  reasons_last = excluded.reasons_last, idle_last_ns = excluded.idle_last_ns, unknown_last_ns = excluded.unknown_last_ns,
  stop_at = excluded.stop_at, until_at = excluded.until_at, running_max = excluded.running_max, waiting_max = excluded.waiting_max,
  tokens = excluded.tokens, connection_bytes = excluded.connection_bytes, peer = excluded.peer, gpu_max = excluded.gpu_max,
  gpu_threshold_last = excluded.gpu_threshold_last, cpu_cores_max = excluded.cpu_cores_max`

// event is the stretch as it is now, as a row.
func (s *stretch) event(run int64) event {
	f, l, q := s.first, s.last, s.key.quote
	first := int64(f.Tick)
	var threshold, bytes any
	if s.key.threshold.Known {
		threshold = int64(s.key.threshold.Value)
	}
	if s.bytes.Known {
		bytes = int64(min(s.bytes.Value, 1<<62))
	}
	return event{
		key: eventKey{"decisions", run, first}, statement: upsertStretch,
		args: []any{
			run, first, int64(l.Tick), s.ticks, f.At.UnixMicro(), l.At.UnixMicro(), s.key.verdict, string(s.key.reason), s.key.activity.String(),
			s.key.final, s.key.act, f.ActivitySince.UnixMicro(), asJSON(f.Reasons), asJSON(l.Reasons), int64(f.Idle), int64(l.Idle),
			int64(f.UnknownFor), int64(l.UnknownFor), threshold, q.Policy, int64(q.ColdStart), number(q.ColdStartUSD), int64(q.BreakEven),
			int64(q.BillBreakEven), q.NoSaving, number(q.PriceUSDPerHour), number(q.SavingUSDPerHour), instant(l.StopAt), instant(l.Until),
			number(s.running), number(s.waiting), number(s.tokens), bytes, s.peer, number(s.gpu), f.GPUThresholdPercent,
			l.GPUThresholdPercent, number(s.cpu), asJSON(s.key.evidence),
		},
	}
}

func instant(t watchdog.Maybe[time.Time]) any {
	if !t.Known {
		return nil
	}
	return t.Value.UnixMicro()
}

// asJSON encodes what is made of strings and times.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil { // a year beyond 9999
		return "null"
	}
	return string(b)
}
