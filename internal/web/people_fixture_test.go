package web

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// views are the states of a pod that people must be able to tell apart at a glance.
func views() map[string]*loop.View {
	return map[string]*loop.View{
		"full": fullView(), "empty": {}, "before": nil,
		"held": heldView(), "announced": announcedView(), "capped": cappedView(), "broken": brokenView(), "reverted": revertedView(),
	}
}

// heldView is a pod that two people hold, and whose stop was put off, with both caps set.
func heldView() *loop.View {
	v := fullView()
	v.Leases = orders.Leases{PostponedUntil: noon.Add(10 * time.Minute), Holds: []orders.Lease{
		{Until: noon.Add(time.Hour), By: "root on pts/0 (bash)"},
		{Until: noon.Add(20 * time.Hour), By: "ann (python3)", Why: "the nightly evaluation <b>& more</b>"},
	}}
	v.Snapshot.People.TerminalsOpen = watchdog.Known(1)
	v.Snapshot.RunFor = watchdog.Known(3*time.Hour + 2*time.Minute)
	v.Caps = loop.Caps{MaxRuntime: watchdog.Known(30 * time.Hour), MaxSpendPerDay: watchdog.Known(20.0)}
	v.Decision.Alarms, v.Warnings = nil, nil
	v.Decision.Reasons = []watchdog.Because{{Code: watchdog.HoldLease, Detail: "held by ann (python3): the nightly evaluation <b>& more</b>", Since: noon.Add(-time.Minute)}}
	v.Decision.Until = watchdog.Known(noon.Add(20 * time.Hour))
	v.Decision.StopAt = watchdog.Known(noon.Add(20*time.Hour + 2*time.Minute))
	return v
}

// announcedView is a pod of a Deployment whose stop comes in 80 seconds.
func announcedView() *loop.View {
	v := fullView()
	v.Identity.Target = loop.Target{Kind: "kubernetes", ID: "models/deployment/llama", Action: "scale to 0"}
	v.Decision.Verdict, v.Verdict = watchdog.Warn, "warn"
	v.Decision.Idle, v.Decision.StopAt = 31*time.Minute+40*time.Second, watchdog.Known(noon.Add(80*time.Second))
	v.Decision.Reasons = []watchdog.Because{{Code: watchdog.Warning, Detail: "idle for 31m40s; the stop comes in 1m20s unless work does", Since: noon.Add(-40 * time.Second)}}
	v.Draining = true
	return v
}

// cappedView is a pod at work that has cost nearly as much today as it may.
func cappedView() *loop.View {
	v := fullView()
	v.Caps = loop.Caps{MaxSpendPerDay: watchdog.Known(3.30)}
	v.Decision.Verdict, v.Verdict, v.Decision.Activity = watchdog.Warn, "warn", watchdog.Busy
	v.Decision.Idle, v.Decision.Threshold, v.Decision.StopAt = 0, watchdog.Maybe[time.Duration]{}, watchdog.Known(noon.Add(2*time.Minute))
	v.Decision.Reasons = []watchdog.Because{
		{Code: watchdog.MaxSpend, Detail: "it has cost 3.25 $ of 3.30 $ today (UTC)", Since: noon},
		{Code: watchdog.RequestsInFlight, Detail: "3 running, 0 waiting", Since: noon.Add(-time.Minute)},
	}
	return v
}

// brokenView is a pod whose server dies again and again, and says why.
func brokenView() *loop.View {
	v := fullView()
	v.Decision.Activity, v.Decision.ActivitySince = watchdog.Broken, noon.Add(-21*time.Minute)
	v.Decision.Idle, v.Decision.Threshold, v.Decision.StopAt = 0, watchdog.Maybe[time.Duration]{}, watchdog.Known(noon.Add(9*time.Minute))
	v.Decision.Reasons = []watchdog.Because{{Code: watchdog.CrashLoop, Detail: "5 starts within an hour died, the last one with exit status 1", Since: noon.Add(-21 * time.Minute)}}
	v.Decision.Tail = []string{
		"INFO 11-24 11:38:57 [core.py:58] Initializing a V1 LLM engine (v0.32.0) with config: model='/workspace/model', dtype=torch.bfloat16, max_seq_len=131072, tensor_parallel_size=1",
		`ValueError: To serve at least one request with the models's max seq len (131072), 16.0 GiB KV cache is needed`,
		"    which is larger than the available KV cache memory (11.2 GiB). Try `--max-model-len`.",
		"</pre><script>alert(1)</script>\x1b[31mred",
	}
	v.Decision.Alarms, v.Warnings = nil, nil
	v.LastStop = &loop.LastStop{RequestedAt: noon.Add(-2 * time.Hour), Target: "command", Result: "refused", Detail: "/opt/stop.sh: exit status 3: no such instance"}
	return v
}

// revertedView is a pod whose last stops were undone.
func revertedView() *loop.View {
	v := announcedView()
	v.Decision.Verdict, v.Verdict, v.Draining, v.Decision.StopAt = watchdog.Hold, "hold", false, watchdog.Maybe[time.Time]{}
	v.Snapshot.RevertedUntil = noon.Add(23 * time.Hour)
	v.Snapshot.Reverted = "2 stops in a row were undone within 5m0s, and no request came; the last time by ann with kubectl-scale"
	v.Decision.Reasons = []watchdog.Because{{Code: watchdog.StopReverted, Detail: v.Snapshot.Reverted, Since: noon.Add(-time.Hour)}}
	v.Decision.Alarms = []watchdog.Alarm{{Code: watchdog.AlarmReverted, Text: v.Snapshot.Reverted + ": who wants this pod to run? gpu-watchdog stops nothing until 2026-11-25T11:00:00Z, or until a request comes"}}
	v.Warnings = nil
	return v
}
