package watchdog

import (
	"slices"
	"testing"
	"time"
)

// Section 7 of the design: the rules, their order, the warning and the final look; section 9: what becomes of a stop.

func TestRules(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "an unknown identity never stops", steps: `let noid; idle x40 -> quiet hold noact not_armed alarm:identity_unknown`},
		{name: "a locked pod is not stopped", steps: `let locked; idle x40 -> hold target_refused noact`},
		{name: "a pod whose stop would be refused is not announced either", steps: `let refuses; idle x40 -> hold target_refused noact`},
		{name: "a serverless worker is not stopped", rules: func(r *Rules) { r.Refused = "a serverless worker" }, steps: `idle x40 -> hold target_refused noact`},
		{name: "nothing is armed", rules: func(r *Rules) { r.Armed, r.Unarmed = false, "WATCHDOG_STOP is not set" }, steps: `idle x40 -> hold not_armed noact idle=200s`},
		{name: "no stop before the server has been ready for MIN_RUNTIME", rules: func(r *Rules) { r.MinRuntime = 5 * time.Minute },
			steps: `idle x59 -> quiet hold min_runtime idle=295s; idle -> warn warning; idle x4 -> stop idle=320s`},
		{name: "stops that were undone twice are held back, and taken up again with a warning of their own", steps: `idle x3; let undone=1h; idle x40 -> hold stop_reverted noact alarm:stop_reverted until=3400s; let undone=0s; idle -> warn stopin=20s; idle x4 -> stop act`},
		{name: "MIN_RUNTIME begins when the server is first seen ready", rules: func(r *Rules) { r.MinRuntime = time.Minute },
			steps: `raw; refused x5; idle -> busy ready=0s; idle x11 -> hold min_runtime ready=55s; idle -> warn ready=60s`},
		{name: "MIN_RUNTIME begins for a server that is no vLLM when it is no longer waited for", rules: func(r *Rules) { r.MinRuntime = time.Minute },
			steps: `raw; unreadable x25 -> quiet ready=0s; unreadable x11 -> hold min_runtime; unreadable -> warn ready=60s; unreadable x4 -> stop act`},
		{name: "MIN_RUNTIME begins at once where no server is configured", rules: func(r *Rules) { r.MinRuntime = time.Minute }, servers: -1,
			steps: `let sockets_absent; idle x11 -> hold min_runtime; idle -> warn`},
		{name: "MIN_RUNTIME says when a stop can come at the earliest, its warning included", rules: func(r *Rules) { r.MinRuntime = 5 * time.Minute },
			steps: `idle x12 -> hold min_runtime until=240s stopin=260s; idle x30 -> stopin=110s; idle x22 -> stop`},
		{name: "MIN_RUNTIME that ends long before T does not delay the stop", rules: func(r *Rules) { r.MinRuntime = 30 * time.Second },
			steps: `idle -> hold min_runtime stopin=55s; idle x11 -> stop`},
		{name: "an unknown window holds", steps: `idle x12 -> stop; timeout -> unknown hold source_failed noact`},
		{name: "a stopped hour that saves nothing holds, however long the idleness", steps: `let nosaving; idle x60 -> quiet hold no_saving idle=300s stopin=?`},
		{name: "idle below T less the warning holds and says until when", steps: `idle x4 -> hold below_threshold until=20s stopin=40s; idle x3 -> hold below_threshold`},
		{name: "the warning comes WARN_BEFORE ahead of T, with the instant of the stop", steps: `idle x7 -> hold; idle -> warn warning idle=40s until=20s stopin=20s; idle x3 -> warn stopin=5s`},
		{name: "idle for T, and the warning has stood for its time: stop", steps: `idle x11 -> warn noact; idle -> stop act threshold_reached idle=60s stopin=0s`},
		{name: "a warning is at most half of T long", rules: func(r *Rules) { r.WarnBefore = time.Hour }, steps: `idle x5 -> hold; idle -> warn idle=30s stopin=30s; idle x6 -> stop`},
		{name: "WARN_BEFORE=0 gives none", rules: func(r *Rules) { r.WarnBefore = 0 }, steps: `idle x11 -> hold below_threshold; idle -> stop act`},
		{name: "T is at least three looks long", rules: func(r *Rules) { r.WarnBefore = 0 }, steps: `let B=1s; idle x2 -> hold T=15s; idle -> stop act idle=15s`},
		{name: "work during the warning takes it back", steps: `idle x9 -> warn; running=1 -> busy hold idle=0s; idle x7 -> hold; idle -> warn idle=40s`},
	})
}

func TestWarning(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "unknown pauses it", steps: `idle x9 -> warn warned=5s; gpu_failed x6 -> unknown hold warned=5s; idle -> warn warned=10s stopin=10s; idle x2 -> stop`},
		{name: "broken takes it back: a new one stands for its whole time", servers: 2, steps: `idle x9 -> warn; refused b:timeout -> broken; refused -> quiet warn warned=0s stopin=20s; refused x4 -> stop idle=70s`},
		{name: "a guard that ends in a long idle time leads to a new warning, never to a stop at once: no saving",
			steps: `idle x12 -> stop; let nosaving; idle x30 -> hold no_saving; let B=60s; let saves; idle -> warn stopin=20s; idle x3 -> warn; idle -> stop act`},
		{name: "the same for a lock of the provider", steps: `let locked; idle x30 -> hold; let unlocked; idle -> warn stopin=20s; idle x4 -> stop`},
		{name: "the same for a lock that came between two tries of a stop",
			steps: `idle x12 -> stop; asked; refused_stop -> hold stop_backoff; let locked; idle x10 -> target_refused; let unlocked; idle -> warn stopin=20s`},
		{name: "the same for no saving that came between two tries of a stop",
			steps: `idle x12 -> stop; asked; refused_stop -> hold stop_backoff; let nosaving; idle x10 -> no_saving; let saves; idle -> warn stopin=20s`},
		{name: "the same for a broken server between two tries of a stop", servers: 2,
			steps: `idle x12 -> stop; refused_stop=15s; refused b:timeout -> broken stop_backoff; refused x2 -> quiet warn warned=0s`},
		{name: "T that grew beyond the idle time takes the warning back", steps: `idle x9 -> warn; let B=200s; idle -> hold below_threshold warned=0s`},
		{name: "it is announced once: the second look of it goes on counting", steps: `idle x8 -> warn warned=0s; idle -> warn warned=5s`},
	})
}

func TestFinalLook(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "two quiet looks, a second apart, let the stop through", steps: `idle x12 -> stop act; final -> stop act idle=61s; final -> stop act idle=62s`},
		{name: "anybody who waits for an answer holds it, for 10 ms too", steps: `idle x12 -> stop; final c1[200/0,10ms/10ms] -> quiet hold connection_active noact`},
		{name: "the same look, not final, would not be held", steps: `idle x12 -> stop; c1[200/0,10ms/10ms] -> stop`},
		{name: "a scrape that it caught costs one look, not a new warning", steps: `idle x12; final c1[200/0,10ms/10ms] -> hold; c1[200/9000,5s/5s] -> stop act`},
		{name: "a source that fails in it holds", steps: `idle x12; final gpu_failed -> hold unknown noact; idle x12 -> stop; final timeout -> hold noact; idle -> stop; final sockets_failed -> hold noact`},
		{name: "work in it holds and sets the clock to 0", steps: `idle x12; final -> stop; final tokens -> busy hold idle=0s`},
		{name: "a clock step in it holds", steps: `idle x12; final wall=1h -> hold unknown`},
		{name: "a connection that has stood still for BROKEN_LIMIT holds it no more than it holds the clock", steps: `idle; c1[348/0,60s/60s] x24 -> stop +server_stalled; final c1[348/0,200s/200s] -> stop act`},
		{name: "beside one that stands still, a new one of 10 ms holds", steps: `idle; c1[348/0,60s/60s] x24 -> stop; final c1[348/0,200s/200s] c2[200/0,10ms/10ms] -> hold connection_active`},
		{name: "beside /load that sticks, a request more holds", steps: `idle; load=3 x24 -> stop; final load=4 -> hold connection_active; final load=4 -> stop act; final load=3 -> stop act`},
		{name: "beside gauges that froze, a request more holds", steps: `idle; running=2 x24 -> stop; final running=2 waiting=1 -> hold connection_active`},
		{name: "so does one that may still be compiling where no CPU tells", steps: `let nohost; idle; c1[348/0,60s/60s] x24 -> stop; final c1[348/0,200s/200s] c2[200/0,17s/17s] -> hold connection_active; final c1[348/0,200s/200s] c2[200/0,21s/21s] -> stop act`},
		{name: "on a server that cannot be read, only one that may be a health check does", steps: `idle; timeout c1[348/0,60s/60s] x24 -> stop; timeout final c1[348/0,200s/200s] c2[200/0,2s/2s] -> stop act; timeout final c1[348/0,200s/200s] c3[200/0,10ms/10ms] -> hold connection_active`},
	})
}

func TestStopAttempt(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "while it is asked for nothing else is", steps: `idle x12 -> stop; asked -> hold stop_unproven noact tries=1; idle -> hold noact`},
		{name: "it is counted once, however often it is reported", steps: `idle x12; asked x3 -> tries=1; refused_stop -> tries=1`},
		{name: "an accepted stop awaits its proof for 30 s", steps: `idle x12; asked; accepted -> hold stop_unproven noalarm:stop_unproven until=30s; idle x5 -> hold stop_unproven noalarm:stop_unproven noact`},
		{name: "a pod that is still here after 30 s was not stopped: alarm, and another try",
			steps: `idle x12; asked; accepted; idle x6 -> hold stop_unproven alarm:stop_unproven until=5s; idle -> stop act alarm:stop_unproven`},
		{name: "each retry doubles the wait, up to 5 minutes", rules: func(r *Rules) { r.CheckInterval = time.Minute },
			steps: `let elapsed=5s; let B=3m; idle x40 -> stop; refused_stop -> stop_backoff until=5s; idle -> stop; refused_stop -> until=10s; idle x2 -> stop; refused_stop -> until=20s; idle x4 -> stop;
				refused_stop -> until=40s; idle x8 -> stop; refused_stop -> until=80s; idle x16 -> stop; refused_stop -> until=160s; idle x32 -> stop; refused_stop -> until=300s; idle x60 -> stop; refused_stop -> until=300s`},
		{name: "an unproven stop is retried with the same doubling",
			steps: `idle x12; accepted; idle x6 -> until=5s; idle -> stop act; accepted; idle x6 -> until=10s; idle x2 -> stop act; accepted; idle x6 -> until=20s`},
		{name: "a retry is a new stop verdict with its own final look", steps: `idle x12; refused_stop; idle -> stop act; final -> stop act; final c1[200/0,10ms/10ms] -> hold`},
		{name: "a refused stop raises an alarm", steps: `idle x12; refused_stop -> hold stop_backoff alarm:stop_refused; idle x2 -> alarm:stop_refused`},
		{name: "the alarm stands while the next try is made", steps: `idle x12; refused_stop -> hold stop_backoff; idle -> stop act; asked -> hold stop_unproven alarm:stop_refused; accepted -> hold noalarm:stop_refused`},
		{name: "a provider that asks to wait longer is waited for", steps: `idle x12; refused_stop=60s -> until=60s; idle x11 -> hold stop_backoff; idle -> stop act`},
		{name: "a provider that asks to wait less is not asked sooner", steps: `idle x12; refused_stop; idle; refused_stop; idle x2; refused_stop=1s -> until=20s`},
		{name: "work after acceptance ends the attempt as overtaken, and the alarm stays",
			steps: `idle x12; asked; accepted; tokens -> busy hold overtaken +tokens_moved idle=0s tries=0 alarm:stop_unproven; idle x5 -> hold below_threshold alarm:stop_unproven -overtaken`},
		{name: "work after an unproven stop ends it too", steps: `idle x12; accepted; idle x6; tokens -> busy overtaken alarm:stop_unproven; idle x7 -> hold; idle -> warn`},
		{name: "work in the very window of the acceptance", steps: `idle x12; asked; accepted tokens -> busy overtaken alarm:stop_unproven`},
		{name: "work ends a refused attempt, and with it the alarm", steps: `idle x12; refused_stop -> alarm:stop_refused; tokens -> busy tokens_moved tries=0 noalarm:stop_refused; idle x8 -> warn`},
		{name: "work while it is asked ends it: a late refusal is nobody's",
			steps: `idle x12; asked; tokens -> busy tries=0; refused_stop -> quiet below_threshold noalarm:stop_refused tries=0`},
		{name: "a late acceptance after work is waited for and named when it was none",
			steps: `idle x12; asked; tokens; accepted -> hold stop_unproven; idle x6 -> alarm:stop_unproven idle=35s; idle -> warn; idle x3 -> warn noact; idle -> stop act idle=60s`},
		{name: "a refusal is named also where an older stop is unproven", steps: `idle x12; accepted; tokens; idle x12; refused_stop -> alarm:stop_unproven alarm:stop_refused`},
		{name: "a stop that is retried does not come before T, where T has grown", steps: `idle x12; refused_stop; let B=100s; idle -> hold below_threshold; idle x3 -> warn noact idle=85s; idle x2 -> warn noact; idle -> stop idle=100s`},
		{name: "DRY_RUN says stop, and that it would have, and asks for it once a gap",
			steps: `idle x12 -> stop act; asked; would -> stop noact tries=1; idle x9 -> stop noact; tokens -> busy tries=0; idle x12 -> stop act`},
		{name: "a stop that was asked for when the watchdog was killed is waited for, and then asked again",
			steps: `idle x12; asked; killed; idle -> unknown stop_unproven; idle x6 -> alarm:stop_unproven; idle x2 -> warn; idle x3 -> stop act`},
		{name: "a stop that a dry run would have made is made by one that is not dry", steps: `idle x12; would -> stop noact; killed; idle -> hold; idle -> warn; idle x4 -> stop act`},
		{name: "a refusal outlives a restart of the watchdog", steps: `idle x12; refused_stop=60s; killed; idle x5 -> stop_backoff alarm:stop_refused`},
		{name: "a resumed pod has no stop behind it", steps: `idle x12; accepted; idle x6 -> alarm:stop_unproven; resumed; idle x2 -> noalarm:stop_unproven tries=0`},
	})
}

func TestRuleOrderIsTheDesigns(t *testing.T) {
	want := []string{"cannot act", "caps", "hold", "work", "keep hours", "minimum runtime", "terminal", "broken", "unknown", "no saving", "final look", "idle below the warning", "warning", "threshold reached"}
	if have := RuleOrder(); !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}
