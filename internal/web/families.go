package web

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// tickDuration is the one family that is not read from the view: a histogram needs every tick, not the last one.
const tickDuration = "tick_duration_seconds"

// tickBounds are the upper bounds of its buckets, in seconds; a tick's deadline is 2 s.
var tickBounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}

// emit gives one series of a family; a value that is not a number is dropped, since it says nothing.
type emit func(value float64, labels ...string)

// family is one metric: what it is called, what it means, and how it is read from a view.
type family struct {
	name   string
	kind   prometheus.ValueType
	labels []string
	help   string
	// absent says when there is no series; empty where there is one as soon as something was decided.
	absent string
	read   func(*loop.View, emit)
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// families are all metrics that are read from the view, in the order in which docs/metrics.md lists them.
var families = []family{
	{name: "config_info", kind: gauge, labels: []string{"policy", "target", "wake"},
		help: "Always 1. The policy that is played, the kind of target that a stop would stop (none where there is none), and who starts the pod again.",
		read: func(v *loop.View, e emit) {
			target := v.Identity.Target.Kind
			if target == "" {
				target = "none"
			}
			e(1, v.Identity.Policy, target, v.Identity.Wake)
		}},
	{name: "armed", kind: gauge, help: "1 if this watchdog is able to stop its pod, else 0.",
		read: func(v *loop.View, e emit) { e(oneIf(v.Identity.Armed)) }},
	{name: "dry_run", kind: gauge, help: "1 if it only says what it would do, else 0.",
		read: func(v *loop.View, e emit) { e(oneIf(v.Identity.DryRun)) }},
	{name: "state_persistent", kind: gauge, help: "1 if what it learns survives a stop of the pod, else 0.",
		read: func(v *loop.View, e emit) { e(oneIf(v.Persistent)) }},

	{name: "activity", kind: gauge, labels: []string{"state"},
		help: "1 for what the last window was, busy, quiet, unknown or broken, and 0 for the other three.",
		read: decided(func(v *loop.View, e emit) {
			for _, a := range []watchdog.Activity{watchdog.Busy, watchdog.Quiet, watchdog.Unknown, watchdog.Broken} {
				e(oneIf(v.Decision.Activity == a), a.String())
			}
		})},
	{name: "idle_seconds", kind: gauge, help: "The idle clock: the sum of the quiet windows since the last sign of work.",
		read: decided(func(v *loop.View, e emit) { e(v.Decision.Idle.Seconds()) })},
	{name: "threshold_seconds", kind: gauge, absent: "the pod is not idle, so no threshold is chosen",
		help: "How long idleness must last for a stop to pay, as chosen for this gap.",
		read: decided(func(v *loop.View, e emit) {
			if v.Decision.Threshold.Known {
				e(v.Decision.Threshold.Value.Seconds())
			}
		})},
	{name: "break_even_seconds", kind: gauge, absent: "a stopped hour is not cheaper than a running one",
		help: "The idle time that costs as much as one cold start.",
		read: decided(func(v *loop.View, e emit) { known(e, status.BreakEven(v.Decision.Quote)) })},
	{name: "stop_timestamp_seconds", kind: gauge, help: "When a stop comes at the earliest if nothing happens, as a Unix time; 0 if none is in sight.",
		read: decided(func(v *loop.View, e emit) {
			if !v.Decision.StopAt.Known {
				e(0)
				return
			}
			e(unix(v.Decision.StopAt.Value))
		})},
	{name: "hold_until_timestamp_seconds", kind: gauge, help: "Until when people hold the pod, as a Unix time; 0 if nobody does.",
		read: func(v *loop.View, e emit) {
			last, ok := v.Leases.Last()
			if !ok {
				e(0)
				return
			}
			e(unix(last.Until))
		}},
	{name: "decisions_total", kind: counter, labels: []string{"verdict", "reason"}, absent: "that verdict was never given for that reason",
		help: "Decisions by verdict and deciding reason.",
		read: func(v *loop.View, e emit) {
			for k, n := range v.Counters.Decisions {
				e(float64(n), k.Verdict, k.Reason)
			}
		}},
	{name: "last_decision_timestamp_seconds", kind: gauge, help: "When the last decision was made, as a Unix time.",
		read: decided(func(v *loop.View, e emit) { e(unix(v.Decision.At)) })},
	{name: "ticks_total", kind: counter, help: "Looks at the pod.",
		read: func(v *loop.View, e emit) { e(float64(v.Counters.Ticks)) }},
	{name: "ticks_late_total", kind: counter, help: "Looks that came too late to say what happened since the one before.",
		read: func(v *loop.View, e emit) { e(float64(v.Counters.LateTicks)) }},

	{name: "source_up", kind: gauge, labels: []string{"source"}, help: "1 if the source (vllm, gpu, sockets, host) answered at the last look, else 0.",
		read: sourceSeries(func(h loop.SourceHealth) (float64, bool) { return oneIf(h.Up), true })},
	{name: "source_last_success_timestamp_seconds", kind: gauge, labels: []string{"source"}, absent: "the source has never answered",
		help: "When the source answered last, as a Unix time.",
		read: sourceSeries(func(h loop.SourceHealth) (float64, bool) { return unix(h.LastSuccess), !h.LastSuccess.IsZero() })},
	{name: "source_errors_total", kind: counter, labels: []string{"source"}, help: "Looks at which the source should have answered and did not.",
		read: sourceSeries(func(h loop.SourceHealth) (float64, bool) { return float64(h.Errors), true })},

	{name: "gpu_busy_seconds_total", kind: counter, labels: []string{"uuid"}, absent: "the GPU was never read",
		help: "Time in which the GPU was at work, by its own samples.",
		read: totals(func(t loop.DeviceTotals) float64 { return t.BusySeconds })},
	{name: "gpu_sample_gaps_total", kind: counter, labels: []string{"uuid"}, absent: "the GPU was never read",
		help: "Looks before which samples of the GPU may have been lost.",
		read: totals(func(t loop.DeviceTotals) float64 { return float64(t.SampleGaps) })},
	{name: "gpu_utilization_ratio", kind: gauge, labels: []string{"uuid"}, absent: unreadGPU,
		help: "Mean utilisation of the GPU over the last window, 0 to 1.",
		read: devices(utilization)},
	{name: "gpu_memory_used_bytes", kind: gauge, labels: []string{"uuid"}, absent: unreadGPU,
		help: "Memory of the GPU that is in use.",
		read: devices(func(d watchdog.Device) watchdog.Maybe[float64] { return d.MemoryUsedBytes })},
	{name: "gpu_power_watts", kind: gauge, labels: []string{"uuid"}, absent: unreadGPU,
		help: "Power that the GPU draws.",
		read: devices(func(d watchdog.Device) watchdog.Maybe[float64] { return d.PowerWatts })},

	{name: "price_usd_per_hour", kind: gauge, absent: "no price is known", help: "What the pod costs in US dollars for each hour that it runs.",
		read: func(v *loop.View, e emit) { known(e, v.Decision.Quote.PriceUSDPerHour) }},
	{name: "spent_usd_total", kind: counter, absent: "no price has been known yet", help: "What the pod has cost in US dollars since the watchdog started.",
		read: spent(func(m loop.Money) float64 { return m.SpentTotal })},
	{name: "idle_usd_total", kind: counter, absent: "no price has been known yet", help: "What of that was paid for idleness, in US dollars.",
		read: spent(func(m loop.Money) float64 { return m.IdleTotal })},
	{name: "cold_start_seconds", kind: gauge, absent: "it is not priced yet", help: "How long it takes from wanting the pod to its first answer, as estimated.",
		read: func(v *loop.View, e emit) {
			if c := v.Decision.Quote.ColdStart; c > 0 {
				e(c.Seconds())
			}
		}},

	{name: "stop_attempts_total", kind: counter, labels: []string{"target", "result"}, absent: "no stop was ever answered so",
		help: "Answers to requests to stop the pod.",
		read: func(v *loop.View, e emit) {
			for k, n := range v.Counters.Attempts {
				e(float64(n), k.Target, k.Result)
			}
		}},
	{name: "stop_unproven_seconds", kind: gauge, help: "For how long the pod has run on after its stop was accepted; 0 if it was not.",
		read: func(v *loop.View, e emit) { e(v.Counters.UnprovenFor.Seconds()) }},
}

const unreadGPU = "the GPU, or that reading of it, is not there or failed"

// decided keeps a family back until something was decided.
func decided(read func(*loop.View, emit)) func(*loop.View, emit) {
	return func(v *loop.View, e emit) {
		if status.Decided(v) {
			read(v, e)
		}
	}
}

func sourceSeries(read func(loop.SourceHealth) (float64, bool)) func(*loop.View, emit) {
	return func(v *loop.View, e emit) {
		for name, h := range v.Sources {
			if value, ok := read(h); ok {
				e(value, name)
			}
		}
	}
}

func totals(read func(loop.DeviceTotals) float64) func(*loop.View, emit) {
	return func(v *loop.View, e emit) {
		for uuid, t := range v.Counters.Devices {
			if uuid != "" {
				e(read(t), uuid)
			}
		}
	}
}

func devices(read func(watchdog.Device) watchdog.Maybe[float64]) func(*loop.View, emit) {
	return func(v *loop.View, e emit) {
		for _, d := range v.Snapshot.GPU.Devices {
			if d.State == watchdog.SourceOK && d.UUID != "" {
				if m := read(d); m.Known {
					e(m.Value, d.UUID)
				}
			}
		}
	}
}

// spent keeps money back until a price has been known: an unknown sum is not 0 dollars.
func spent(read func(loop.Money) float64) func(*loop.View, emit) {
	return func(v *loop.View, e emit) {
		if v.Decision.Quote.PriceUSDPerHour.Known || v.Money.SpentTotal > 0 {
			e(read(v.Money))
		}
	}
}

// utilization is the mean of the window's samples, or of the driver's last sample period where there are none.
func utilization(d watchdog.Device) watchdog.Maybe[float64] {
	if len(d.Samples) == 0 {
		return watchdog.Maybe[float64]{Value: d.Rate.Value / 100, Known: d.Rate.Known}
	}
	sum := 0.0
	for _, s := range d.Samples {
		sum += float64(s)
	}
	return watchdog.Known(sum / float64(len(d.Samples)) / 100)
}

func known(e emit, m watchdog.Maybe[float64]) {
	if m.Known {
		e(m.Value)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// unix is a time in seconds, to the millisecond.
func unix(t time.Time) float64 { return math.Round(float64(t.UnixNano())/1e6) / 1e3 }
