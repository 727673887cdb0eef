package watchdog

import (
	"testing"
	"time"
)

// Section 6 of the design: what serves nobody, and will not by itself.

func TestBroken(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "a dead server is waited for, announced and stopped after BROKEN_LIMIT",
			steps: `refused x7 -> broken hold server_dead until=5s stopin=25s; refused -> warn server_dead stopin=20s; refused x3 -> warn noact; refused -> stop act server_dead`},
		{name: "so is one whose engine is dead", steps: `dead x11 -> broken warn server_dead; dead -> stop act server_dead`},
		{name: "the final look stops it while it is dead, and not when it is back", steps: `refused x12 -> stop act; final refused -> stop act; final -> busy hold server_loading`},
		{name: "a server that comes back in time is loading, then idle", steps: `refused x11 -> warn; idle -> busy server_loading; idle -> quiet hold`},
		{name: "somebody who mends it uses the CPU: that time does not count", steps: `refused cpu=0.8 x30 -> broken hold server_dead; refused x11 -> warn; refused -> stop act`},
		{name: "a download is no standing still", steps: `let intake=2e6; refused x30 -> broken hold server_dead; let intake=1e3; refused x12 -> stop act`},
		{name: "nor is a GPU that does not answer", steps: `refused gpu_failed x11 -> broken hold server_dead`},
		{name: "work elsewhere is work", steps: `refused x11 -> warn; refused gpu=80 -> busy gpu_active; refused x7 -> broken hold`},
		{name: "a server of several that lives speaks for the pod", servers: 2, steps: `refused x40 -> stop threshold_reached`},
		{name: "a stop that is refused is tried again", steps: `refused x12 -> stop act; asked refused; refused_stop refused -> hold stop_backoff alarm:stop_refused; refused -> stop act server_dead`},
	})
}

func TestNeverReady(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "a server that is not there within STARTUP_TIMEOUT is broken", steps: `raw; refused x24 -> busy server_loading; refused -> broken hold never_ready alarm:server_not_ready; refused x10 -> warn never_ready; refused -> stop act never_ready`},
		{name: "one that may be answering others is not", steps: `raw; timeout x40 -> unknown hold no_evidence noact`},
		{name: "neither is one of two", servers: 2, steps: `raw; refused b:timeout x40 -> unknown hold noact`},
	})
}

func TestCrashLoop(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "five starts that died early are a loop, while the sixth still loads",
			steps: `raw; let ran=1s; let failures=1; refused; let failures=2; refused; let failures=3; refused; let failures=4; refused; let failures=5; refused -> busy server_loading; let failures=6; refused -> broken hold crash_loop; refused x10 -> warn crash_loop; refused -> stop act crash_loop`},
		{name: "several that died between two looks count each", steps: `let ran=1s; let failures=0; idle; let failures=5; refused -> broken crash_loop`},
		{name: "the death of a server that had served for long is none of them", steps: `let ran=1h; let failures=0; idle x61; let ran=1s; let failures=5; refused -> busy server_loading; let failures=6; refused -> broken crash_loop`},
		{name: "an hour later it is forgotten", steps: `let ran=1s; let failures=0; idle; let failures=5; refused -> broken crash_loop; elapsed=1h refused -> busy server_loading`},
		{name: "without a supervisor the server's own deaths count", rules: func(r *Rules) { r.BrokenLimit = time.Hour },
			steps: `idle; refused; idle; refused; idle; refused; idle; refused; idle -> -crash_loop; refused -> broken crash_loop`},
		{name: "one that lives in the end speaks against it", steps: `let ran=1s; let failures=0; idle; let failures=5; refused -> broken crash_loop; idle -> busy server_loading; idle -> quiet`},
	})
}

func TestJobDone(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "a job that is done needs the pod no more: only the warning stands for its time", steps: `let done; refused x3 -> broken hold job_done stopin=25s; refused -> warn stopin=20s; refused x4 -> stop act job_done`},
		{name: "at its first start, too, and where no server was configured", servers: -1, steps: `let done; idle x8 -> broken stop act job_done`},
		{name: "a server that it left behind goes on", steps: `let done; idle x3 -> quiet hold below_threshold`},
		{name: "a supervisor that starts the server again: it loads", steps: `let ran=5s; refused -> busy server_loading; let ran=10s; refused -> busy server_loading; let ran=3m; refused -> broken server_dead`},
		{name: "one that a restart of the container took away loads again, as far as the watchdog can know", rules: func(r *Rules) { r.StartupTimeout = 30 * time.Minute },
			steps: `let ran=1h; idle x3; killed; let ran=40s; refused x2 -> busy server_loading; refused x19 -> busy server_loading; let ran=31m; refused -> broken server_dead`},
		{name: "one whose process lives on after its engine has died does not load", rules: func(r *Rules) { r.StartupTimeout = 2 * time.Hour }, steps: `let ran=1h; idle x3; dead -> broken server_dead; dead x11 -> stop act server_dead`},
	})
}
