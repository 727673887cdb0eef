package watchdog

import (
	"testing"
	"time"
)

// Section 5 of the design: the idle clock, row by row of its table.

func TestIdleClock(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "quiet windows add up", steps: `idle x5 -> quiet idle=25s`},
		{name: "busy sets the clock to 0, forgets T and takes the warning back",
			steps: `idle x9 -> warn idle=45s T=60s; tokens -> busy hold idle=0s T=? warned=0s stopin=?; idle -> hold idle=5s T=60s`},
		{name: "the first quiet window of a gap chooses T", steps: `let B=90s; idle -> T=90s; tokens; let B=30s; idle -> T=30s`},
		{name: "T is kept while B moves by less than 5 %", steps: `idle x2 -> T=60s; let B=62.9s; idle -> T=60s; let B=57.1s; idle -> T=60s`},
		{name: "T is chosen again once B has moved by 5 %, up", steps: `idle x2 -> T=60s; let B=63s; idle -> T=63s; let B=66s; idle -> T=63s; let B=66.15s; idle -> T=66.15s`},
		{name: "T is chosen again once B has moved by 5 %, down", steps: `idle x9 -> warn; let B=40s; idle -> T=40s`},
		{name: "T is chosen again when a price arrives", steps: `let unpriced; idle x2 -> T=60s; let B=61s; idle -> T=60s; let priced; idle -> T=61s`},
		{name: "unknown freezes the clock and keeps T", steps: `idle x4; gpu_failed x5 -> unknown idle=20s T=60s unknown=25s; idle -> quiet idle=25s unknown=0s`},
		{name: "broken freezes the clock and takes the warning back", steps: `idle x9 -> warn; refused x3 -> broken idle=45s T=60s warned=0s`},
		{name: "the last two known windows must be quiet", rules: func(r *Rules) { r.WarnBefore = 0 },
			steps: `idle x11 -> hold; killed; idle -> unknown; idle -> quiet hold noact below_threshold idle=60s; idle -> stop act`},
		{name: "broken breaks the row of quiet windows", rules: func(r *Rules) { r.WarnBefore = 0 }, servers: 2,
			steps: `idle x11 -> hold; refused b:timeout -> broken idle=55s; refused -> quiet hold below_threshold idle=60s; refused -> stop act`},
		{name: "unknown does not break the row of quiet windows", rules: func(r *Rules) { r.WarnBefore = 0 },
			steps: `idle x11 -> hold; gpu_failed -> unknown; idle -> stop act idle=60s`},
		{name: "a moved counter after unknown is work now", steps: `idle x4; timeout x3 -> unknown idle=20s; tokens -> busy tokens_moved idle=0s`},
		{name: "equal counters after unknown credit this window only", steps: `idle x4; timeout x3; idle -> quiet idle=25s`},
		{name: "after a reset, counters above 0 are work", steps: `idle x4; zeroed tokens -> busy tokens_moved idle=0s`},
		{name: "after a reset, counters at 0 are unknown", steps: `idle x4; zeroed -> unknown no_baseline idle=20s; idle -> quiet idle=25s`},
		{name: "a single counter that fell is a reset, though the process is the same", steps: `idle x3; ebbed -> busy tokens_moved idle=0s`},
		{name: "a server that is up at the second look was loading at the first", steps: `raw; refused -> busy; idle -> busy server_loading; idle -> quiet idle=5s`},
		{name: "another start stamp is another start, though no counter fell: it was loading, so 0", steps: `idle x4; restamped -> busy server_loading idle=0s; idle -> quiet idle=5s`},
		{name: "another start stamp without counters is another start too", steps: `idle x4; restamped zeroed -> busy server_loading idle=0s`},
		{name: "a server that was restarted by hand was loading when it comes back", steps: `idle x4; refused x2 -> broken idle=20s; zeroed restamped -> busy server_loading idle=0s`},
		{name: "also where it timed out before it came back, and has no start stamp", steps: `raw; let unstamped; idle x5; refused -> broken idle=20s; timeout -> unknown; zeroed -> busy server_loading idle=0s`},
		{name: "a late look does not count: what happened in it is not known", steps: `idle x4; elapsed=15s -> quiet idle=35s; elapsed=15.1s -> unknown clock_step idle=35s; idle -> quiet idle=40s`},
		{name: "the wall clock stepping forward makes the window unknown", steps: `idle x4; wall=5s -> quiet idle=25s; wall=5.1s -> unknown clock_step idle=25s`},
		{name: "the wall clock stepping back makes the window unknown", steps: `idle x4; wall=-5s -> quiet idle=25s; wall=-3h -> unknown clock_step idle=25s`},
		{name: "at short intervals a look may be a second late", rules: func(r *Rules) { r.CheckInterval = 100 * time.Millisecond },
			steps: `elapsed=100ms x4; elapsed=1.1s -> quiet idle=1.5s; elapsed=1.2s -> unknown clock_step idle=1.5s`},
		{name: "time never runs backward", steps: `idle x4; elapsed=-30s -> idle=20s`},
		{name: "durations come from the elapsed time, never from the wall clock", steps: `idle; wall=4s x4 -> quiet idle=25s`},
	})
}

func TestWatchdogAway(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "equal counters: the clock stands where it was stored, and time away is not credited",
			steps: `idle x6 -> idle=30s; killed; elapsed=1h -> unknown no_baseline idle=30s; idle -> quiet idle=35s T=60s`},
		{name: "moved counters: somebody worked while it was away", steps: `idle x6; let tokens; killed; idle -> busy tokens_moved idle=0s`},
		{name: "a server that was restarted meanwhile was loading", steps: `idle x6; let restamped zeroed; killed; idle -> busy server_loading idle=0s`},
		{name: "a server without a start stamp whose counters fell was restarted too", steps: `raw; let unstamped; idle x7; let zeroed; killed; idle -> busy server_loading idle=0s`},
		{name: "a server that cannot be read at first is compared when it can", steps: `idle x6; let tokens; killed; timeout x2 -> unknown idle=30s; idle -> busy tokens_moved idle=0s`},
		{name: "what stood still for too long still does", steps: `idle; running=2 x18 -> quiet +server_stalled idle=35s; killed; running=2 host_failed -> unknown idle=35s; running=2 -> quiet idle=40s`},
		{name: "what stood still goes on standing where the first look finds nobody", steps: `idle; running=2 x18 -> quiet +server_stalled; killed; timeout; running=2 -> quiet +server_stalled idle=40s`},
		{name: "what hung still does", steps: `idle; load=1 running=1 tokens; load=0 running=1 x8 -> quiet +server_stalled idle=30s; killed; load=0 running=1 -> unknown idle=30s; load=0 running=1 -> quiet idle=35s`},
		{name: "what span still does", steps: `idle x12; gpu=100 mem=0 watts=62 x15 -> quiet +gpu_spinning idle=20s; killed; gpu=100 mem=0 watts=62 -> unknown idle=20s; gpu=100 mem=0 watts=62 -> quiet idle=25s`},
		{name: "an equal server that cannot be read at first credits nothing", steps: `idle x6; killed; timeout x2 -> unknown idle=30s; idle -> quiet idle=35s`},
		{name: "a server that is gone after it was ready is broken, not loading", steps: `idle x6; killed; refused -> broken idle=30s`},
		{name: "a resumed pod begins at 0", steps: `idle x6; resumed; idle -> unknown no_baseline idle=0s; idle -> quiet idle=5s ready=5s`},
		{name: "an unknown identity keeps nothing", steps: `idle x6; let noid; killed; idle -> unknown not_armed idle=0s`},
		{name: "a warning does not outlive the process: a new one is given", steps: `idle x12 -> stop; killed; idle -> hold; idle -> warn idle=65s stopin=20s; idle x4 -> stop`},
		{name: "time away counts for nothing else either", rules: func(r *Rules) { r.MinRuntime = time.Minute }, steps: `idle x6; killed; elapsed=1h -> min_runtime ready=30s`},
		{name: "STARTUP_TIMEOUT goes on over a restart of the watchdog", steps: `raw; refused x20; killed; refused x6 -> broken never_ready alarm:server_not_ready`},
		{name: "MIN_RUNTIME goes on over a restart of the watchdog", rules: func(r *Rules) { r.MinRuntime = time.Minute }, steps: `idle x6; killed; idle x2 -> min_runtime ready=35s`},
	})
}
