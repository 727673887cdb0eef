package watchdog

import (
	"testing"
	"time"
)

// Section 7 of the design: caps, holds, hours and terminals.

func TestCaps(t *testing.T) {
	tenMinutes := func(r *Rules) { r.MaxRuntime = 10 * time.Minute }
	fiveDollars := func(r *Rules) { r.MaxSpendPerDay = 5 }
	runTimelines(t, []timeline{
		{name: "far from MAX_RUNTIME nothing is said of it", rules: tenMinutes, steps: `let runfor=9m; idle -> quiet hold below_threshold`},
		{name: "a pod of which it is not known how long it runs has no such cap", rules: tenMinutes, steps: `idle x12 -> stop threshold_reached`},
		{name: "MAX_RUNTIME is announced WARN_BEFORE ahead", rules: tenMinutes, steps: `let runfor=9m45s; idle -> warn max_runtime noact stopin=20s; idle x2 -> warn stopin=15s`},
		{name: "and stops an idle pod once the warning has stood for its time", rules: tenMinutes, steps: `let runfor=10m; idle -> warn max_runtime stopin=20s; idle x3 -> warn stopin=5s; idle -> stop act max_runtime`},
		{name: "a pod at work gets two minutes to end what is in flight", rules: tenMinutes,
			steps: `let runfor=10m; tokens x5 -> busy warn max_runtime stopin=115s; tokens x22 -> busy warn noact stopin=5s; tokens -> busy stop act max_runtime`},
		{name: "so does one of which nothing can be said: that is no end of what is in flight", rules: tenMinutes,
			steps: `let runfor=10m; tokens x5 -> warn; timeout -> unknown warn noact stopin=110s; timeout x9 -> unknown warn noact; tokens x12 -> busy warn noact; tokens x2 -> stop act max_runtime`},
		{name: "what is in flight ends sooner: so does the pod", rules: tenMinutes, steps: `let runfor=10m; tokens x6 -> busy warn; idle -> quiet stop act max_runtime`},
		{name: "work that comes after it was due changes nothing", rules: tenMinutes, steps: `let runfor=10m; idle x5 -> stop act; tokens -> busy stop act`},
		{name: "an attempt of a cap is not overtaken by work, and is tried again",
			rules: tenMinutes, steps: `let runfor=10m; idle x5 -> stop act; asked; accepted tokens -> busy hold stop_unproven -overtaken; tokens x6 -> hold stop_unproven alarm:stop_unproven; tokens -> busy stop act max_runtime`},
		{name: "a refusal is taken note of though nobody was idle", rules: tenMinutes, steps: `let runfor=10m; tokens x28 -> stop act; refused_stop -> hold stop_backoff alarm:stop_refused`},
		{name: "a hold does not hold a cap", rules: tenMinutes, steps: `let hold=1h; let runfor=10m; idle x5 -> stop act max_runtime`},
		{name: "a lock of the provider does", rules: tenMinutes, steps: `let locked; let runfor=10m; idle x9 -> hold target_refused noact`},
		{name: "DRY_RUN says it once", rules: tenMinutes, steps: `let runfor=10m; idle x5 -> stop act; would -> stop noact max_runtime; idle -> stop noact`},
		{name: "MAX_SPEND_PER_DAY is announced by what is left at this price", rules: fiveDollars, steps: `let spent=4.9; idle -> hold below_threshold; let spent=4.995; idle -> warn max_spend stopin=20s`},
		{name: "and stops", rules: fiveDollars, steps: `let spent=5; tokens x4 -> warn max_spend; idle -> stop act max_spend`},
		{name: "the next day begins anew", rules: fiveDollars, steps: `let spent=5; idle x4 -> warn; let spent=0; idle -> quiet hold below_threshold; let spent=5; idle -> warn max_spend stopin=20s`},
		{name: "without a price nothing is spent", rules: fiveDollars, steps: `let spent=9; let unpriced; idle -> hold below_threshold`},
		{name: "of two caps the nearer one counts", rules: func(r *Rules) { r.MaxRuntime, r.MaxSpendPerDay = 10*time.Minute, 5 }, steps: `let runfor=9m50s; let spent=5; idle -> warn max_spend; let spent=0; idle -> warn max_runtime`},
		{name: "WARN_BEFORE=0 stops at once", rules: func(r *Rules) { r.MaxRuntime, r.WarnBefore = 10*time.Minute, 0 }, steps: `let runfor=10m; idle -> stop act max_runtime`},
	})
}

func TestHolds(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "a hold holds an idle pod until it ends, and then comes a new warning", steps: `let hold=2m; idle x23 -> quiet hold hold_lease noact idle=115s until=5s stopin=25s; idle -> warn warning stopin=20s; idle x4 -> stop act`},
		{name: "it says whose it is under work, too", steps: `let hold=2m; tokens -> busy hold hold_lease +tokens_moved`},
		{name: "a hold that is released", steps: `let hold=1h; idle x13 -> hold_lease; let released; idle -> warn; idle x4 -> stop`},
		{name: "a hold that comes during the warning takes it back", steps: `idle x9 -> warn; let hold=10s; idle -> hold hold_lease warned=0s; idle -> warn stopin=20s`},
		{name: "a stop that was put off", steps: `idle x9 -> warn; let postponed=1m; idle -> hold hold_lease until=55s; idle x11 -> warn; idle x4 -> stop act`},
		{name: "the longer of two counts", steps: `let hold=1m; let postponed=2m; idle x12 -> hold hold_lease; idle x11 -> hold hold_lease; idle -> warn`},
		{name: "an unknown identity is said before a hold", steps: `let noid; let hold=1h; idle -> hold not_armed`},
	})
}

func TestKeepHours(t *testing.T) {
	until := fixtureEpoch.Add(2 * time.Minute)
	hours := func(r *Rules) { r.Keep = func(at time.Time) (time.Time, bool) { return until, at.Before(until) } }
	runTimelines(t, []timeline{
		{name: "an idle pod is kept within them, and announced after them", rules: hours, steps: `idle x23 -> quiet hold keep_hours until=5s stopin=25s; idle -> warn warning; idle x4 -> stop act`},
		{name: "work is said before them", rules: hours, steps: `tokens -> busy hold tokens_moved`},
		{name: "they hold a broken server, too, and its time goes on", rules: hours, steps: `refused x23 -> broken hold keep_hours; refused -> broken warn server_dead stopin=20s; refused x4 -> stop act server_dead`},
	})
}

func TestTerminalGuard(t *testing.T) {
	minute := func(r *Rules) { r.TerminalGuard = time.Minute }
	runTimelines(t, []timeline{
		{name: "a terminal in use holds", rules: minute, steps: `let terminal=10s; idle x30 -> quiet hold terminal_active until=50s stopin=70s noact`},
		{name: "one that was used long ago does not", rules: minute, steps: `let terminal=60s; idle x12 -> stop act`},
		{name: "when nobody uses it any more there is a new warning", rules: minute, steps: `let terminal=10s; idle x30 -> hold; let terminal=2m; idle -> warn stopin=20s`},
		{name: "TERMINAL_GUARD=0 asks for none", steps: `let terminal=0s; idle x12 -> stop act`},
		{name: "it holds a broken server", rules: minute, steps: `let terminal=10s; refused x30 -> broken hold terminal_active noact`},
	})
}

func TestBlindLimit(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "without it blindness only raises an alarm", rules: func(r *Rules) { r.BrokenLimit = time.Hour }, steps: `gpu_failed x40 -> unknown hold source_failed noact alarm:blind`},
		{name: "with it the stop is announced and comes", rules: func(r *Rules) { r.BlindLimit, r.BrokenLimit = time.Minute, time.Hour },
			steps: `gpu_failed x7 -> unknown hold source_failed stopin=25s; gpu_failed -> warn blind_limit; gpu_failed x3 -> warn; gpu_failed -> unknown stop act blind_limit`},
		{name: "a look that sees again begins it anew", rules: func(r *Rules) { r.BlindLimit, r.BrokenLimit = time.Minute, time.Hour },
			steps: `gpu_failed x11 -> warn; idle -> quiet; gpu_failed x7 -> unknown hold`},
	})
}
