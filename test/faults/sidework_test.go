package faults

import (
	"net/http"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
)

var (
	// far lets idleness stop nothing.
	far = []string{"WATCHDOG_IDLE_LIMIT=1h"}
	// small counts the monitor's requests for nothing, also several that came between two looks: of those the sum is judged.
	small = "WATCHDOG_PROBE_MAX_TOKENS=16"
)

// mute lets these paths hang while the page comes.
func mute(paths ...string) act {
	return func(p *pod) {
		s := p.servers[0]
		s.turn(nonsense.Hangs(s.source()), paths...)
		p.heal = func() { s.turn(nil, paths...) }
	}
}

// sidework are the faults of pods that do other things than to serve a vLLM, and of what else holds or stops a pod.
var sidework = []row{
	// A server that falls silent after its page.
	{group: "vllm", name: "health hangs", play: served, fault: mute("/health"), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "its page came, and then no more")}},
	{group: "vllm", name: "load hangs", play: served, fault: mute("/load"), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "its page came, and then no more")}},
	{group: "vllm", name: "health hangs for good", play: served, env: brokenSoon, alone: true, fault: mute("/health"), with: pays, without: pays,
		says: []said{says("decision", "$URL", "its page came, and then no more")}},

	// Jobs.
	{group: "cpu", name: "a job computes", play: bare, fault: computes, with: kept("busy host_active"), without: pays,
		says: []said{says("decision", "the pod computes on")}},
	{group: "cpu", name: "no control group any more", play: bare, fault: hidesGroups, with: blindly, without: pays,
		says: []said{says("decision", "CPU: ")}},
	{group: "cpu", name: "no control group for good", play: bare, env: brokenSoon, fault: hidesGroups, with: kept("unknown no_evidence"), without: pays,
		says: []said{says("decision", "CPU: "), says("alarm", "no longer counts")}},
	{group: "cpu", name: "never a control group", play: bare, early: true, fault: noGroups, with: kept("unknown no_evidence"), without: pays,
		says: []said{says("decision", "nor the CPU")}},
	{group: "cpu", name: "spins when it idles", play: spinning, fault: learned(1.2), with: pays, without: kept("busy host_active"),
		says: []said{says("decision", "threshold_reached")}},

	// Servers that are not vLLM.
	{group: "ports", name: "a client's bytes", play: another, fault: uploads, with: owed, without: pays,
		says: []said{says("decision", "connection_active")}},
	{group: "ports", name: "a request is owed an answer", play: another, fault: prompts, with: owed, without: pays,
		says: []said{says("decision", "has waited", "for an answer")}},
	{group: "ports", name: "an open connection", short: true, play: another, fault: opens, with: pays, without: pays,
		says: []said{says("decision", "connection_active")}},
	{group: "ports", name: "nobody listens yet", short: true, play: another, early: true, fault: nobodyListens, with: loading, without: pays,
		says: []said{says("decision", "nobody listens yet on port")}},
	{group: "ports", name: "nobody listens for good", short: true, play: another, early: true, env: []string{"WATCHDOG_STARTUP_TIMEOUT=1s"}, fault: nobodyListens, with: pays, without: pays,
		says: []said{says("alarm", "WATCHDOG_PORTS")}},

	// Monitors.
	{group: "probes", name: "a monitor", play: idle, fault: monitor, with: kept("busy tokens_moved"), without: pays,
		says: []said{says("alarm", "this pod is kept awake", "127.0.0.1", "WATCHDOG_PROBE_MAX_TOKENS=")}},
	{group: "probes", name: "a monitor that may", play: monitored, early: true, fault: setting(small), with: pays, without: kept("busy tokens_moved"),
		says: []said{says("decision", "probes_only")}},
	{group: "probes", name: "a request among them", play: monitored, env: []string{small}, fault: uses, with: kept("busy requests_in_flight"), without: pays,
		says: []said{says("decision", "requests_in_flight")}},

	// Caps.
	{group: "caps", name: "max runtime", short: true, play: idle, env: far, early: true, fault: setting("WATCHDOG_MAX_RUNTIME=2s"), with: stopped("max_runtime"), without: kept("quiet below_threshold"),
		says: []said{says("decision", "max_runtime")}},
	{group: "caps", name: "max runtime over a hold", short: true, play: heldIdle, early: true, fault: setting("WATCHDOG_MAX_RUNTIME=4s"), with: stopped("max_runtime"), without: kept("quiet hold_lease"),
		says: []said{says("decision", "max_runtime")}},

	// People, and other ways to stop.
	{group: "people", name: "min runtime", short: true, play: idle, early: true, fault: setting("WATCHDOG_MIN_RUNTIME=10m"), with: kept("quiet min_runtime"), without: pays,
		says: []said{says("decision", "min_runtime")}},
	{group: "people", name: "a terminal in use", short: true, play: idle, early: true, fault: func(p *pod) {
		p.set("WATCHDOG_TERMINAL_GUARD=10m")
		p.later = func(p *pod) {
			p.Says("decision")
			types(p)
		}
	}, with: kept("quiet terminal_active"), without: pays,
		says: []said{says("decision", "terminal_active")}},
	{group: "people", name: "webhook fails", short: true, play: idle, early: true, fault: hooked(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }), with: pays, without: pays,
		says: []said{says("stop attempt answer", "Internal Server Error")}},
	{group: "people", name: "webhook redirects", short: true, play: idle, early: true, fault: func(p *pod) {
		elsewhere, asked := hook(p, func(http.ResponseWriter, *http.Request) {})
		hooked(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
		})(p)
		p.t.Cleanup(func() {
			if n := asked.Load(); n > 0 {
				p.t.Errorf("%s: the redirect was followed %d times", p, n)
			}
		})
	}, with: pays, without: pays, says: []said{says("stop attempt answer", "redirect")}},
	{group: "people", name: "webhook hangs", play: idle, early: true, fault: hooked(nil), with: pays, without: pays, most: time.Minute,
		says: []said{says("stop attempt answer", "no answer in time")}},
	{group: "people", name: "messages hang", short: true, play: idle, early: true, env: []string{"WATCHDOG_WARN_BEFORE=400ms"}, fault: func(p *pod) {
		url, asked := hook(p, nil)
		p.set("WATCHDOG_NOTIFY_URL=" + url + "/hook")
		p.asked = asked
	}, with: pays, without: pays, check: func(p *pod) {
		if p.asked.Load() == 0 {
			p.t.Errorf("%s: nobody was told", p)
		}
	}},
}

// supervised are the faults of a pod whose server runs under exec.
var supervised = []row{
	{group: "exec", name: "server dies under work", play: wrappedWork, fault: diesUnder,
		with: pays.working("busy requests_in_flight"), without: pays.working("busy requests_in_flight"),
		says: []said{says("server ended")}},
	{group: "exec", name: "server dies in idleness", play: wrapped, env: []string{"WATCHDOG_IDLE_LIMIT=3s"}, fault: diesUnder, with: pays, without: pays,
		says: []said{says("server ended")}},
	{group: "exec", name: "crash loop", play: wrapped, early: true, env: brokenSoon, fault: runs("echo no such model >&2; exit 3"), with: stopped("crash_loop"), without: pays, most: time.Minute,
		says: []said{says("decision", "crash_loop"), says("decision", "no such model")}},
	{group: "exec", name: "job ends", short: true, play: wrapped, early: true, fault: runs("echo computed"), with: stopped("job_done"), without: pays,
		says: []said{says("server done")}},
	{group: "exec", name: "watchdog killed", play: wrapped, env: []string{"WATCHDOG_IDLE_LIMIT=3s"}, fault: killsTheWatchdog, with: pays, without: pays,
		says: []said{says("watchdog ended")}},
	{group: "exec", name: "mistaken settings", short: true, play: wrapped, early: true, fault: setting("WATCHDOG_IDLE_LIMIT=-1m"), with: outcome{}, without: pays,
		says: []said{says("nobody watches this pod")}, check: servesUnwatched},
}
