package watchdog

import "testing"

// Section 4 of the design: what each source says, and what a window is called. The lies are in lies_test.go.

func TestWork(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "requests running are work", steps: `idle x3; running=2 -> busy hold requests_in_flight idle=0s running=2`},
		{name: "requests waiting are work", steps: `idle x3; waiting=1 -> busy requests_in_flight idle=0s`},
		{name: "a token counter that moved is work, and says how much", steps: `idle x3; tokens -> busy tokens_moved idle=0s tokens=27`},
		{name: "a request counter that moved is work", steps: `idle x3; finished -> busy tokens_moved idle=0s tokens=0`},
		{name: "an engine step is work", steps: `idle; steps -> busy tokens_moved`},
		{name: "a prompt that was looked up in the prefix cache is work", steps: `idle; prefix -> busy tokens_moved`},
		{name: "a first token is work", steps: `idle; first_token -> busy tokens_moved`},
		{name: "an HTTP request that a client cut off is work: only the HTTP counter sees it", steps: `idle x3; http -> busy tokens_moved idle=0s`},
		{name: "a row of a request that has just ended is work, also where no server is watched", servers: -1, steps: `idle x3; rows=2 -> busy rows_received idle=0s; idle -> quiet idle=5s`},
		{name: "a row is work beside a server that is quiet, and beside one that cannot be read", steps: `idle x3; rows=1 -> busy rows_received; timeout -> unknown; timeout rows=1 -> busy rows_received`},
		{name: "requests lead the reasons, also before GPU and counters", steps: `idle; running=1 tokens gpu=90 -> busy requests_in_flight +tokens_moved +gpu_active`},
		{name: "a GPU sample at the threshold is work", steps: `idle x3; burst=5 -> busy gpu_active idle=0s`},
		{name: "a GPU sample below the threshold is not", steps: `idle x3; burst=4 -> quiet idle=20s`},
		{name: "a burst between two looks is seen in the samples though the rate says 0", steps: `idle; burst=80 rate=0 -> busy gpu_active`},
		{name: "an empty ring is quiet if the rate beside it is below the threshold", steps: `idle; ring rate=2 -> quiet idle=10s`},
		{name: "an empty ring with a rate at the threshold is work", steps: `idle; ring rate=60 -> busy gpu_active`},
		{name: "neither samples nor a rate is not a reading", steps: `idle; ring norate -> unknown source_failed idle=5s`},
		{name: "samples that may be lost make no quiet window", steps: `idle; gap -> unknown source_failed idle=5s`},
		{name: "samples that may be lost do not hide those that are there", steps: `idle; gap gpu=40 -> busy gpu_active`},
		{name: "any one of several GPUs is enough", steps: `let second_gpu; idle; gpu2=30 -> busy gpu_active`},
		{name: "an owed connection is work whatever the gauges say", steps: `idle x3; c1[348/0,1.2s/1.2s] -> busy connection_active idle=0s peer=10.0.0.1:4000`},
		{name: "a server that loads is work", steps: `raw; refused x2 -> busy server_loading; idle -> busy server_loading idle=0s; idle -> quiet idle=5s`},
		{name: "a server is loading within STARTUP_TIMEOUT only, and then broken with an alarm",
			steps: `raw; sockets_absent refused; sockets_absent refused x23 -> busy server_loading noalarm:server_not_ready;
				sockets_absent refused -> broken never_ready alarm:server_not_ready; sockets_absent refused x30 -> broken stop alarm:server_not_ready`},
		{name: "a server that is late and then comes is loading in its last window", steps: `raw; sockets_absent refused x30 -> broken; idle -> busy server_loading; idle -> quiet`},
		{name: "a server that is not ready in time and is broken although somebody listens on its port, and never while bytes move there",
			steps: `raw; refused x30 -> broken never_ready alarm:server_not_ready; refused c1[348/0,2s/2s] -> busy connection_active; refused x11 -> broken warn idle=0s; refused c1[348/0,2s/2s] -> busy hold`},
		{name: "a late window with a sign of work is busy", steps: `idle; elapsed=40s tokens -> busy tokens_moved`},
		{name: "a stepped window with a sign of work is busy", steps: `idle; wall=1h tokens -> busy tokens_moved`},
		{name: "a window in which a source failed and another saw work is busy", steps: `idle; timeout gpu=50 -> busy gpu_active`},
		{name: "busy comes before broken", steps: `idle; refused gpu=50 -> busy gpu_active`},
		{name: "broken comes before unknown", steps: `idle; refused gpu_failed -> broken server_dead`},
		{name: "unknown comes before quiet", steps: `idle x2; gpu_failed -> unknown source_failed`},
	})
}

func TestSources(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "the first look has nothing to compare with", steps: `raw; idle -> unknown no_baseline idle=0s`},
		{name: "so does one that answers with its page and then no more", steps: `idle x2; mute -> unknown source_failed idle=10s; idle -> quiet idle=15s; mute tokens -> busy tokens_moved`},
		{name: "one that never answers with more is judged by its page in the end", steps: `idle x2; mute x11 -> unknown idle=10s; mute -> quiet idle=15s; mute x11 -> stop`},
		{name: "a required source that failed makes the window unknown: the server", steps: `idle x2; timeout -> unknown source_failed idle=10s vllm:failed`},
		{name: "a required source that failed makes the window unknown: the GPU", steps: `idle x2; gpu_failed -> unknown source_failed idle=10s gpu:failed`},
		{name: "a required source that failed makes the window unknown: the sockets", steps: `idle x2; sockets_failed -> unknown source_failed idle=10s sockets:failed`},
		{name: "an unreadable page makes the window unknown", steps: `idle x2; unreadable -> unknown source_failed idle=10s`},
		{name: "a source that cannot answer in principle is not required: the GPU", steps: `let gpu_absent; idle x2 -> quiet idle=10s gpu:absent`},
		{name: "a source that cannot answer in principle is not required: the sockets", steps: `let sockets_absent; idle x2 -> quiet idle=10s sockets:absent`},
		{name: "a source that never answered is absent after STARTUP_TIMEOUT: the GPU",
			steps: `raw; gpu_failed x24 -> unknown gpu:failed; gpu_failed -> quiet gpu:absent idle=5s`},
		{name: "a source that never answered is absent after STARTUP_TIMEOUT: the sockets",
			steps: `raw; sockets_failed x24 -> unknown sockets:failed; sockets_failed -> quiet sockets:absent idle=5s`},
		{name: "a source that worked is dropped after BROKEN_LIMIT of failure: the GPU",
			steps: `idle; gpu_failed x11 -> unknown gpu:failed idle=5s noalarm:source_dropped; gpu_failed -> quiet gpu:dropped idle=10s alarm:source_dropped`},
		{name: "a source that worked is dropped after BROKEN_LIMIT of failure: the sockets",
			steps: `idle; sockets_failed x11 -> unknown idle=5s; sockets_failed -> quiet sockets:dropped idle=10s alarm:source_dropped`},
		{name: "a source that worked is dropped after BROKEN_LIMIT of failure: the server, where the sockets still speak of requests",
			steps: `idle; timeout x11 -> unknown idle=5s; timeout -> quiet vllm:dropped idle=10s alarm:source_dropped`},
		{name: "its alarm comes with the first minute of failure",
			rules: func(r *Rules) { r.BrokenLimit = 5 * fixtureBroken },
			steps: `idle; gpu_failed x11 -> noalarm:source_failing; gpu_failed -> unknown alarm:source_failing`},
		{name: "a dropped source is required again at its first answer",
			steps: `idle; gpu_failed x13 -> quiet; idle -> quiet gpu:ok; gpu_failed -> unknown source_failed`},
		{name: "a dropped source that answers with work is work", steps: `idle; gpu_failed x13 -> quiet; gpu=50 -> busy gpu_active`},
		{name: "a lost GPU of several is dropped in time, and the others go on counting",
			steps: `let second_gpu; idle; gpu_lost x11 -> unknown source_failed; gpu_lost -> quiet gpu:dropped; gpu_lost gpu2=70 -> busy gpu_active`},
		{name: "what a lost GPU showed before is no reading", steps: `let second_gpu; idle; gpu_stale -> unknown source_failed; gpu_stale gpu=90 -> unknown`},
		{name: "a driver that fails once does not make us forget the GPU's floor", steps: `idle x13 -> work%=3; gpu_failed; idle -> work%=3`},
		{name: "a driver without a device that counts is no evidence", steps: `let gpu_none; idle x2 -> quiet idle=10s; timeout sockets_absent x12 -> unknown no_evidence`},
		{name: "quiet needs a source that speaks of requests", steps: `let sockets_absent; idle; timeout x20 -> unknown no_evidence hold vllm:dropped`},
		{name: "sockets alone are such a source", steps: `let gpu_absent; idle; timeout x13 -> quiet vllm:dropped`},
		{name: "vLLM alone is such a source, and the single evidence is said aloud",
			steps: `let gpu_absent sockets_absent; idle x11 -> quiet noalarm:evidence_single; idle x2 -> quiet alarm:evidence_single`},
		{name: "no servers are configured: the GPU alone is enough", servers: -1, steps: `let sockets_absent; idle x2 -> quiet idle=10s vllm:absent; gpu=30 -> busy gpu_active`},
		{name: "no servers and no GPU is no evidence", servers: -1, steps: `let sockets_absent gpu_absent; idle x2 -> unknown no_evidence`},
		{name: "blindness is loud and never stops", steps: `let sockets_absent; idle x30 -> stop; timeout x11 -> unknown noalarm:blind; timeout x50 -> unknown hold noact alarm:blind`},
		{name: "a server that was not asked is not a quiet one", steps: `idle x2; skipped -> unknown no_evidence idle=10s`},
		{name: "a server that was not asked does not take work away", steps: `idle x2; skipped gpu=60 -> busy gpu_active`},
		{name: "what led a look that spared the server leads on while it holds: steady work has one leading reason",
			steps: `idle x2; running=1 gpu=60 -> busy requests_in_flight +gpu_active; skipped gpu=60 -> busy gpu_active; running=1 gpu=60 tokens -> busy gpu_active +requests_in_flight +tokens_moved; skipped gpu=60 -> busy gpu_active; running=1 tokens -> busy requests_in_flight -gpu_active; running=1 gpu=60 -> busy requests_in_flight; skipped gpu=60; idle -> quiet; running=1 gpu=60 -> busy requests_in_flight`},
		{name: "a server that was dead may live again where it was not asked", steps: `idle; dead -> broken; skipped -> unknown no_evidence; dead; skipped c1[348/0,2s/2s] -> busy connection_active`},
		{name: "one window without the server keeps what was known of it",
			steps: `idle x2; skipped gpu=60; idle -> quiet idle=5s; skipped gpu=60; tokens -> busy tokens_moved`},
	})
}

func TestSeveralServers(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "work on any of them is work", servers: 2, steps: `idle x2; b:running=1 -> busy requests_in_flight; b:tokens -> busy tokens_moved`},
		{name: "a gone one of several does not keep the pod, and is named in an alarm", servers: 2,
			steps: `idle x2; b:refused -> quiet alarm:server_dead idle=15s; b:refused x30 -> stop act alarm:server_dead`},
		{name: "a dead one of several does not keep the pod either", servers: 2, steps: `idle; b:dead b:running=3 x2 -> quiet alarm:server_dead idle=15s`},
		{name: "a hung one of several makes the window unknown", servers: 2, steps: `idle x2; b:timeout -> unknown source_failed idle=10s`},
		{name: "all of them gone is broken", servers: 2, steps: `idle x2; refused b:refused -> broken server_dead idle=10s`},
		{name: "one server's absence is not a reset of another", servers: 2, steps: `idle x2; b:refused; b:refused x2 -> quiet idle=25s`},
		{name: "one that loads keeps the pod busy within STARTUP_TIMEOUT", servers: 2, steps: `raw; b:refused x24 -> busy server_loading; b:refused x2 -> quiet alarm:server_not_ready`},
		{name: "one that never answered and times out is not required once another speaks", servers: 2,
			steps: `raw; b:timeout x24 -> busy server_loading; b:timeout x2 -> quiet alarm:server_not_ready idle=10s`},
		{name: "a reset of one makes the window unknown", servers: 2, steps: `idle x2; b:zeroed -> unknown no_baseline idle=10s`},
		{name: "the readings of all are added", servers: 2, steps: `idle; running=1 b:running=2 tokens b:tokens -> busy running=3 tokens=54`},
	})
}

func TestEngines(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "any engine's requests are work", steps: `let second_engine; idle; idle -> quiet; tokens -> busy tokens_moved`},
		{name: "an engine that vanished is a reset: requests above 0 are work", steps: `let second_engine; idle x2; one_engine -> busy tokens_moved`},
		{name: "an engine that came under another number is a reset too", steps: `let zeroed second_engine; idle x2; renumbered -> unknown no_baseline`},
		{name: "an engine that came and has served is work", steps: `idle x2; second_engine -> busy tokens_moved`},
	})
}

func TestSocketTable(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "received and nothing sent yet is owed", steps: `idle; c1[348/0,2.6s/2.6s] -> busy connection_active`},
		{name: "what came strictly later than what went is owed", steps: `idle; c1[900/5000,1.5s/20s] -> busy connection_active`},
		{name: "what came earlier than what went is answered", steps: `raw; c1[900/5000,16s/15s]; c1[900/5000,21s/20s] -> quiet idle=5s`},
		{name: "owed for less than a second is not yet work", steps: `idle; c1[348/0,10ms/10ms] -> quiet idle=10s`},
		{name: "a connection without a byte of a request is not owed", steps: `idle; c1[0/0,9s/9s] x20 -> quiet`},
		{name: "received grew and sent did not is owed, under equal stamps too",
			steps: `idle; c1[348/500,4s/4s]; c1[700/500,2s/2s] -> busy connection_active`},
		{name: "it stays owed until something is sent", steps: `idle; c1[348/500,4s/4s]; c1[700/500,2s/2s]; c1[700/500,7s/7s] -> busy connection_active; c1[700/900,8s/1s] -> +connection_active; c1[700/900,13s/6s] -> quiet`},
		{name: "owed a moment ago and still owed is a request of a whole interval", steps: `idle; c1[348/0,10ms/10ms] -> quiet; c1[348/0,5s/5s] -> busy connection_active`},
		{name: "two short requests that two looks happened to catch are not one long one",
			steps: `idle; c1[348/0,10ms/10ms]; c1[700/500,10ms/5s] -> quiet; c1[1000/900,10ms/5s] -> quiet`},
		{name: "our own leftovers in CLOSE_WAIT are nobody's request", steps: `idle; c1[348/0,9s/9s,left] x10 -> quiet idle=55s`},
		{name: "a client that gave up is not waited for", steps: `idle; c1[348/0,3s/3s] -> busy; c1[348/0,8s/8s,left] -> quiet`},
		{name: "no listener in this namespace is absent, not quiet", steps: `let sockets_absent; idle; timeout -> unknown; refused -> broken`},
		{name: "bytes on the port of a readable and quiet server are scrapes: named, not work",
			steps: `idle; c1[500/9000,5ms/1ms]; c1[900/18000,5ms/1ms] -> quiet idle=15s bytes=9400 peer=10.0.0.1:4000`},
		{name: "bytes on an unreadable server's port are work", steps: `raw; unreadable x26; c1[500/900,5ms/1ms] unreadable -> busy connection_active; unreadable -> quiet`},
		{name: "bytes of old connections are not new ones at the first look", steps: `raw; c1[500/90000,9s/8s] timeout -> -connection_active`},
		{name: "bytes of old connections are not new ones after the socket table failed",
			steps: `raw; unreadable x26; c1[500/900,5ms/1ms] unreadable; c1[500/900,6s/6s] unreadable -> quiet; sockets_failed unreadable -> unknown; c1[500/900,16s/16s] unreadable -> quiet`},
		{name: "bytes that flowed while the socket table failed are work now",
			steps: `raw; unreadable x26; c1[500/900,5ms/1ms] unreadable; sockets_failed unreadable; c1[700/999,6s/6s] unreadable -> busy connection_active`},
		{name: "nobody is owed by a dead server", steps: `idle; dead c1[348/0,9s/9s] -> broken server_dead`},
		{name: "a stream is work under --disable-log-stats: the last data went a second after the last came, and more went",
			steps: `let nostats; idle; c1[347/70000,2s/4ms]; c1[347/140000,7s/4ms] -> busy connection_active; c1[347/140000,12s/5s] -> quiet`},
		{name: "a scrape is no stream: it is answered within a second", steps: `let nostats; idle; c1[347/70000,12ms/4ms]; c1[700/140000,12ms/4ms] -> quiet`},
		{name: "several connections: the one that moved last is named", steps: `idle; c1[10/10,9s/8s] c2[10/10,3s/2s] -> peer=10.0.0.2:4000`},
	})
}
