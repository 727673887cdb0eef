package watchdog

import (
	"testing"
	"time"
)

// The lies of section 4, and what real servers were seen to do. Each row is named after the lie.

func TestLiesOfVLLM(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "/load is 0 without its flag: it proves nothing against a running gauge",
			steps: `idle; load=0 running=1 x10 -> busy requests_in_flight -server_stalled`},
		{name: "/load above 0 is work, though gauges and counters stand still: a first request that compiles for 17 s",
			steps: `idle x3; load=1 -> busy requests_in_flight idle=0s; load=1 x3 -> busy`},
		{name: "a first request that compiles for 17 s shows in its socket", steps: `idle x3; c1[348/0,3s/3s]; c1[348/0,8s/8s]; c1[348/0,13s/13s] -> busy connection_active idle=0s`},
		{name: "running above 0 beside a tracked /load of 0 is a hung engine, not work",
			steps: `idle; load=1 running=1 tokens; load=0 running=1 x2 -> busy; load=0 running=1 -> quiet +server_stalled`},
		{name: "a gauge that is late by a step beside a tracked /load of 0 is not hung yet", steps: `idle; load=1 running=1 tokens; load=0 running=1 -> busy; idle -> quiet -server_stalled`},
		{name: "a new epoch forgets that /load was seen above 0",
			steps: `idle; load=1 running=1 tokens; zeroed; load=0 running=1 x6 -> busy -server_stalled`},
		{name: "with several API servers /load speaks for one of them only", steps: `let unstamped; idle; load=1 running=1 tokens; load=0 running=1 x6 -> busy`},
		{name: "a request that waits beside a tracked /load of 0 is not called hung so soon", steps: `idle; load=1 running=1 tokens; load=0 running=1 waiting=1 x6 -> busy`},
		{name: "/load that sticks above 0 stops counting after BROKEN_LIMIT without progress",
			steps: `idle; load=3 x11 -> busy; load=3 -> quiet +server_stalled; load=3 x13 -> stop act +server_stalled`},
		{name: "gauges frozen after mass aborts stop counting after BROKEN_LIMIT", steps: `idle; running=106 waiting=15 x11 -> busy requests_in_flight; running=106 waiting=15 -> quiet +server_stalled; running=106 waiting=15 x13 -> stop act`},
		{name: "frozen gauges are work while a counter moves", steps: `idle; running=2 x11; running=2 tokens -> busy; running=2 x11 -> busy; running=2 -> quiet +server_stalled`},
		{name: "frozen gauges are work while the CPU computes", steps: `idle; running=2 cpu=0.6 x40 -> busy requests_in_flight`},
		{name: "frozen gauges are work while the GPU computes", steps: `idle; running=2 gpu=60 x40 -> busy requests_in_flight`},
		{name: "frozen gauges without GPU and CPU are work while they are below a moving counter", steps: `let gpu_absent nohost; idle; running=2 tokens x40 -> busy`},
		{name: "frozen gauges stop counting also where GPU and CPU cannot be read", steps: `let gpu_absent nohost; idle; running=2 x12 -> quiet +server_stalled`},
		{name: "gauges that froze count again once something moves", steps: `idle; running=2 x13 -> quiet; running=2 tokens -> busy; running=2 x5 -> busy`},
		{name: "/health 503 overrules the frozen gauges beside it", steps: `idle x2; dead running=2 waiting=1 -> broken server_dead idle=10s`},
		{name: "a server found dead at the first look was ready once: it does not load", steps: `raw; dead running=2; dead running=2 x2 -> broken server_dead`},
		{name: "a port that refuses after it was ready is broken, not unknown", steps: `idle x2; refused x5 -> broken server_dead hold idle=10s alarm:server_dead`},
		{name: "one-token requests never show in the gauges: their counters do", steps: `idle x3; running=0 tokens finished -> busy tokens_moved idle=0s`},
		{name: "gauges that are absent while all counters stand at 0 mean no request yet", steps: `raw; let nogauges zeroed; idle; idle x2 -> quiet idle=10s; running=1 -> busy requests_in_flight`},
		{name: "gauges that are absent beside counters above 0 are unknown", steps: `idle; nogauges -> unknown source_failed idle=5s`},
		{name: "the HTTP counters do not make up for gauges that should be there", steps: `let nogauges; idle x5 -> unknown source_failed idle=0s`},
		{name: "an engine without a single counter does not prove that it had no request", steps: `let nocounters nogauges; idle x3 -> unknown`},
		{name: "series that are there and constantly 0 may be unmeasured: they prove no reset and no work",
			steps: `let zeroed; idle; idle -> quiet; c1[348/0,2s/2s] -> busy`},
		{name: "the V0 engine shows no engine before its first request, which is then work",
			steps: `raw; noengines nohttp x2 -> quiet idle=5s; noengines nohttp; nohttp -> busy tokens_moved`},
		{name: "a page under --disable-log-stats speaks of requests by its HTTP counter", steps: `raw; let nostats sockets_absent gpu_absent; idle; idle x2 -> quiet idle=10s; http -> busy tokens_moved`},
		{name: "a page without any series of requests is not quiet, and its bytes are work",
			steps: `raw; let nostats nohttp; idle x2 -> quiet alarm:server_unreadable vllm:absent; c1[500/900,5ms/1ms] -> busy connection_active; sockets_absent -> unknown no_evidence`},
		{name: "sleep mode is quiet and says so", steps: `idle; asleep x2 -> quiet below_threshold +server_sleeping idle=15s; asleep x10 -> stop act +server_sleeping`},
		{name: "a request that hangs on a sleeping server is still owed", steps: `idle; asleep c1[348/0,3s/3s] -> busy connection_active`},
	})
}

func TestLiesOfSockets(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "owed connections that stand still stop counting after BROKEN_LIMIT",
			steps: `idle; c1[348/0,5s/5s] x11 -> busy connection_active; c1[348/0,60s/60s] -> quiet +server_stalled; c1[348/0,60s/60s] x12 -> stop act`},
		{name: "owed connections that stand still are work while the CPU computes", steps: `idle; c1[348/0,5s/5s] cpu=1.5 x40 -> busy connection_active`},
		{name: "owed connections stop counting also where only the page can be read", steps: `let gpu_absent nohost; idle; c1[348/0,5s/5s] x11 -> busy; c1[348/0,60s/60s] -> quiet +server_stalled`},
		{name: "owed connections do not begin anew when the only witness is away once", steps: `let gpu_absent nohost; idle; c1[348/0,5s/5s] x6; c1[348/0,60s/60s] timeout x3 -> busy; c1[348/0,99s/99s] x5 -> busy; c1[348/0,99s/99s] -> quiet`},
		{name: "owed connections without any witness are never called still", steps: `raw; let gpu_absent nohost unreadable; idle x26; c1[348/0,5s/5s] x40 -> busy`},
		{name: "what stands still goes on standing when the GPU is given up", steps: `let nohost; idle; c1[348/0,60s/60s] x13 -> quiet; c1[348/0,99s/99s] gpu_failed x11 -> unknown; c1[348/0,99s/99s] gpu_failed x2 -> quiet gpu:dropped`},
		{name: "owed connections do not age while the CPU cannot be read", steps: `idle; c1[348/0,5s/5s] x6; c1[348/0,60s/60s] host_failed x10 -> busy connection_active; c1[348/0,99s/99s] x5 -> busy; c1[348/0,99s/99s] -> quiet`},
		{name: "owed connections do not age while a GPU that works cannot be read", steps: `idle; c1[348/0,5s/5s] x6; c1[348/0,60s/60s] gpu_failed x10 -> busy connection_active; c1[348/0,99s/99s] x5 -> busy; c1[348/0,99s/99s] -> quiet`},
		{name: "samples that were lost once do not begin the wait anew", steps: `let nohost; idle; c1[348/0,5s/5s] x6; c1[348/0,60s/60s] gap -> busy; c1[348/0,99s/99s] x5 -> busy; c1[348/0,99s/99s] -> quiet`},
		{name: "owed connections go on ageing after the socket table failed", steps: `idle; c1[348/0,5s/5s] x6; sockets_failed -> unknown; c1[348/0,99s/99s] x5 -> busy; c1[348/0,99s/99s] -> quiet`},
		{name: "what stands still cannot be called so in a window without the CPU", steps: `idle; c1[348/0,5s/5s] x13 -> quiet; c1[348/0,99s/99s] host_failed -> unknown source_failed +server_stalled; c1[348/0,99s/99s] -> quiet`},
		{name: "bytes on an unreadable server stop counting after BROKEN_LIMIT in which GPU and CPU were quiet",
			steps: `raw; unreadable x26 -> quiet; c1[500/900,5ms/1ms] unreadable -> busy; c2[5/9,5ms/1ms] unreadable; c3[5/9,5ms/1ms] unreadable; c4[5/9,5ms/1ms] unreadable;
				c5[5/9,5ms/1ms] unreadable; c6[5/9,5ms/1ms] unreadable; c7[5/9,5ms/1ms] unreadable; c8[5/9,5ms/1ms] unreadable; c9[5/9,5ms/1ms] unreadable;
				c10[5/9,5ms/1ms] unreadable; c11[5/9,5ms/1ms] unreadable -> busy; c12[5/9,5ms/1ms] unreadable -> quiet +server_stalled`},
		{name: "a hung server that is scraped now and then is not begun anew with each scrape",
			steps: `idle; timeout c1[200/0,2s/2s] x8 -> busy; timeout x8; timeout c1[200/0,60s/60s] x3 -> busy; timeout c1[200/0,60s/60s] -> quiet +server_stalled vllm:dropped`},
		{name: "one server that stands still does not make another's first request look so", servers: 2,
			steps: `let nohost; idle; b:timeout c1[200/0,2s/2s,:8001] x11 -> busy; b:timeout c1[200/0,60s/60s,:8001] -> quiet +server_stalled;
				b:timeout c1[200/0,60s/60s,:8001] c2[348/0,2s/2s] -> busy connection_active +server_stalled`},
		{name: "our own CLOSE_WAIT leftovers of scrapes that timed out do not count on a hung server", steps: `idle; timeout c1[200/0,2s/2s,left] x11 -> unknown; timeout c1[200/0,2s/2s,left] -> quiet`},
		{name: "equal stamps prove nothing: an idle connection after a fast answer", steps: `raw; c1[348/500,9s/9s]; c1[348/500,14s/14s] x3 -> quiet idle=15s`},
		{name: "equal stamps prove nothing: a second request within 2 ms of an answer", steps: `raw; c1[348/500,9s/9s]; c1[700/500,3s/3s] -> busy connection_active`},
		{name: "a scrape that a look catches in flight does not reset the clock", steps: `idle x5; c1[200/0,8ms/8ms] -> quiet idle=30s; c1[200/50000,5s/5s] -> quiet idle=35s`},
		{name: "a keep-alive scrape caught in flight does not reset the clock either", steps: `idle; c1[200/50000,9s/9s] x4; c1[400/50000,8ms/14s] -> quiet idle=30s; c1[400/99000,5s/5s] -> quiet`},
	})
}

func TestLiesOfGPUs(t *testing.T) {
	spin := `gpu=100 mem=0 watts=62`
	runTimelines(t, []timeline{
		{name: "a spin wait reads 100 %: after a minute of it, without memory traffic and at idle power, it is no work",
			steps: `idle x12; ` + spin + ` x11 -> busy gpu_active idle=0s; ` + spin + ` -> quiet +gpu_spinning; ` + spin + ` x11 -> stop act +gpu_spinning`},
		{name: "a spin is seen also where the ring is empty between two looks",
			steps: `idle x12; ring rate=100 mem=0 watts=62 x11 -> busy; ring rate=100 mem=0 watts=62 -> quiet +gpu_spinning`},
		{name: "a spin is seen although the page is spared while the GPU proves work",
			steps: `idle x12; skipped ` + spin + ` x2; ` + spin + `; skipped ` + spin + ` x2; ` + spin + `; skipped ` + spin + ` x2; ` + spin + `; skipped ` + spin + ` x2 -> busy; ` + spin + ` -> quiet +gpu_spinning`},
		{name: "one look does not make a spin, however long its window: memory and power are of its end", rules: func(r *Rules) { r.CheckInterval = 90 * time.Second },
			steps: `let elapsed=90s; idle x12; ` + spin + ` x3 -> busy gpu_active; ` + spin + ` -> quiet +gpu_spinning`},
		{name: "100 % that moves memory is work", steps: `idle x12; gpu=100 mem=30 watts=62 x30 -> busy gpu_active`},
		{name: "100 % that draws power is work", steps: `idle x12; gpu=100 mem=0 watts=90 x30 -> busy gpu_active`},
		{name: "a spin cannot be told before idle power was measured on this pod", steps: `idle x10; ` + spin + ` x30 -> busy gpu_active`},
		{name: "one sample below 95 % ends a spin", steps: `idle x12; ` + spin + ` x11; burst=40 rate=40 mem=0 watts=62; ` + spin + ` x11 -> busy gpu_active`},
		{name: "a spin beside a request is work", steps: `idle x12; ` + spin + ` x30; ` + spin + ` running=1 -> busy +gpu_active`},
		{name: "a spin beside an owed connection is work", steps: `idle x12; ` + spin + ` x11; ` + spin + ` c1[348/0,2s/2s] -> busy +gpu_active`},
		{name: "a spin beside a server that cannot be read is work", servers: 2, steps: `idle x12; b:timeout ` + spin + ` x30 -> busy gpu_active`},
		{name: "MIG is no evidence, neither of work nor of quiet", steps: `let gpu_mig; idle x2 -> quiet idle=10s; timeout sockets_absent x20 -> unknown no_evidence`},
		{name: "MIG alone is nothing to go by", servers: -1, steps: `let gpu_mig sockets_absent; idle x2 -> unknown no_evidence`},
		{name: "somebody else's work on a shared GPU holds, with a repeated alarm once it has been alone for twice BROKEN_LIMIT",
			steps: `idle; gpu=40 x24 -> busy gpu_active noalarm:gpu_active_alone; gpu=40 -> busy hold alarm:gpu_active_alone; gpu=40 x20 -> busy alarm:gpu_active_alone`},
		{name: "that alarm comes also where the page is spared while the GPU proves work",
			steps: `idle; gpu=40; skipped gpu=40 x23 -> noalarm:gpu_active_alone; skipped gpu=40 -> busy alarm:gpu_active_alone`},
		{name: "a GPU beside a request is not alone", steps: `idle; gpu=40 x20; gpu=40 tokens; gpu=40 x20 -> busy noalarm:gpu_active_alone`},
		{name: "requests that stand still beside a busy GPU hold for ever, with a repeated alarm after twice BROKEN_LIMIT: engines that wait for each other read 100 %",
			steps: `idle; running=2 gpu=100 x24 -> busy requests_in_flight noalarm:requests_stuck; running=2 gpu=100 -> busy hold alarm:requests_stuck; running=2 gpu=100 x20 -> busy alarm:requests_stuck; running=2 gpu=100 tokens -> busy noalarm:requests_stuck; running=2 gpu=100 x24 -> noalarm:requests_stuck`},
		{name: "that alarm comes also for a connection that is owed an answer, and where the page is spared while the GPU proves work",
			steps: `idle; c1[348/0,2s/2s] gpu=40; skipped c1[348/0,7s/7s] gpu=40 x23 -> noalarm:requests_stuck; skipped c1[348/0,120s/120s] gpu=40 -> busy alarm:requests_stuck; skipped gpu=40 -> alarm:requests_stuck; gpu=40 -> noalarm:requests_stuck`},
		{name: "requests that stand still beside a busy CPU", steps: `idle; running=2 cpu=1 x25 -> busy alarm:requests_stuck`},
		{name: "requests that are served do not stand still", steps: `idle; running=2 gpu=100 tokens x60 -> busy noalarm:requests_stuck`},
		{name: "the threshold is 5 % until a floor was measured, then just above the floor, within 3 and 7 %: a silent GPU",
			steps: `idle x11 -> work%=5; idle x2 -> work%=3; burst=3 -> busy gpu_active`},
		{name: "the threshold follows a noisy floor up to 7 %", steps: `burst=4 x13 -> quiet work%=5; burst=5 -> work%=5; burst=4 -> quiet`},
		{name: "a floor is never above 7 %", steps: `idle; burst=40 x14 -> busy work%=7; burst=6 -> quiet; burst=7 -> busy`},
		{name: "a floor is measured only while vLLM is known to be quiet", steps: `idle; running=1 tokens gpu=90 x30 -> work%=5`},
		{name: "a floor is not measured in looks that spare the page", steps: `idle; skipped gpu=90 x30 -> work%=5`},
		{name: "IDLE_THRESHOLD as a number is that number", rules: func(r *Rules) { r.GPUMode, r.GPUPercent = ThresholdFixed, 20 },
			steps: `idle x20; burst=19 -> quiet work%=20; burst=20 -> busy gpu_active`},
		{name: "dynamic is a tenth of the mean of the last ten looks, and at least 3 %", rules: func(r *Rules) { r.GPUMode = ThresholdDynamic },
			steps: `gpu=80 x9 -> work%=5; gpu=80 -> work%=7.2; gpu=80 -> work%=8; idle x10 -> work%=3; idle -> work%=3`},
	})
}
