package faults

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

var (
	// brokenSoon lets what is broken no longer count soon; it needs a pod that is alone.
	brokenSoon = []string{"WATCHDOG_BROKEN_LIMIT=1500ms"}
	// pays is what becomes of an idle pod on which nothing is wrong.
	pays = stopped("threshold_reached")
	// blindly is how a pod is held of which nobody can tell whether it works.
	blindly = kept("unknown source_failed")
	loading = kept("busy server_loading")
	asked   = kept("quiet stop_unproven")
	refused = kept("quiet stop_backoff")
	owed    = kept("busy connection_active")
)

// NVML's codes.
const (
	notSupported, noPermission, notFound, notLoaded, isLost, otherVersion, unknownError = 3, 4, 6, 9, 15, 18, 999
)

const metrics = "/metrics"

// rows are all faults, one a row.
var rows = slices.Concat(common, sidework, supervised)

// common are the faults of a pod that serves one vLLM.
var common = []row{
	// The server's pages: a server of which nothing is known is never called quiet, and when the fault is over the stop comes.
	{group: "vllm", name: "hangs", play: idle, fault: turns(nonsense.Hangs), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "no whole answer within")}},
	{group: "vllm", name: "500", short: true, play: idle, fault: answers(metrics, 500, "text/plain", "Internal Server Error"), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "500")}},
	{group: "vllm", name: "html", play: idle, fault: turns(nonsense.HTML), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "HTML")}},
	{group: "vllm", name: "half a page", play: idle, fault: turns(nonsense.HalfAPage), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "half a page")}},
	{group: "vllm", name: "half a line", short: true, play: idle, fault: turns(nonsense.HalfALine), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "end")}},
	{group: "vllm", name: "gzip noise", short: true, play: idle, fault: turns(gzipNoise), with: blindly, without: pays,
		says: []said{says("decision", "$URL", metrics)}},
	{group: "vllm", name: "huge page", short: true, play: idle, fault: turns(nonsense.Endless), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "larger than")}},
	{group: "vllm", name: "huge page announced", play: idle, fault: turns(nonsense.AnnouncesTooMuch), with: blindly, without: pays,
		says: []said{says("decision", "209715200 bytes are announced")}},
	{group: "vllm", name: "redirects", play: idle, fault: turns(nonsense.Redirects), with: blindly, without: pays,
		says: []said{says("decision", "redirect to /metrics", "not followed")}},
	{group: "vllm", name: "drips", play: idle, fault: turns(drips), with: blindly, without: pays,
		says: []said{says("decision", "$URL", "no whole answer within")}},
	{group: "vllm", name: "wants a login", short: true, play: idle, fault: turns(nonsense.WantsLogin), with: blindly, without: pays,
		says: []said{says("decision", "401", "wants a login")}},
	{group: "vllm", name: "not http", play: idle, fault: turns(nonsense.NotHTTP), with: blindly, without: pays,
		says: []said{says("decision", "does not speak HTTP")}},
	{group: "vllm", name: "noise", play: idle, fault: turns(nonsense.Noise), with: blindly, without: pays,
		says: []said{says("decision", "$URL", metrics)}},
	{group: "vllm", name: "resets connections", short: true, play: idle, fault: turns(resets), with: blindly, without: pays,
		says: []said{says("decision", "$URL", metrics)}},
	{group: "vllm", name: "wrong content type", play: idle, fault: answers(metrics, 200, "application/json", `{"ok":true}`), with: blindly, without: pays,
		says: []said{says("decision", "$URL", metrics)}},
	{group: "vllm", name: "another server on its port", play: idle, fault: func(p *pod) {
		p.servers[0].restart()
		turns(func(nonsense.Source) http.HandlerFunc { return http.NotFound })(p)
	}, with: blindly, without: pays,
		says: []said{says("decision", "$URL", "404")}},
	{group: "vllm", name: "dropped in the end", short: true, play: idle, env: brokenSoon, fault: turns(nonsense.Hangs), with: pays, without: pays,
		says: []said{says("alarm", "$URL has not answered", "no longer counts")}},

	// The same under work: what is left of the evidence holds the pod.
	{group: "vllm", name: "html under work", play: work, fault: answers(metrics, 200, "text/html", "<html>It works!</html>"),
		with: kept("unknown source_failed").working("busy connection_active"), without: pays.working("busy requests_in_flight"),
		says: []said{says("decision", "vllm:failed")}},
	{group: "vllm", name: "page hangs under work", play: work, fault: func(p *pod) {
		s := p.servers[0]
		hang := nonsense.Hangs(s.source())
		s.turn(hang, metrics, "/health", "/load", "/version")
		p.heal = func() { s.turn(nil, metrics, "/health", "/load", "/version") }
	}, with: kept("unknown source_failed").working("busy connection_active"), without: pays.working("busy requests_in_flight"),
		says: []said{says("decision", "vllm:failed")}},
	{group: "vllm", name: "gauges late under work", play: work, early: true, fault: func(p *pod) {
		p.servers[0].rewrite(series("vllm:num_requests_running|vllm:num_requests_waiting", "0.0"))
	}, with: pays.working("busy connection_active"), without: pays.working("busy requests_in_flight"),
		says: []said{says("decision", "has waited", "for an answer")}},
	{group: "vllm", name: "no series of the engine", play: fresh, early: true, fault: pageReads(series("vllm:.*", "")),
		with: pays.working("busy connection_active"), without: pays.working("busy requests_in_flight"),
		says: []said{says("decision", "has waited", "for an answer")}},
	{group: "vllm", name: "no series of the engine under long requests", play: long, fault: pageReads(series("vllm:.*", "")),
		with: pays.working("busy connection_active"), without: pays.working("busy requests_in_flight"),
		says: []said{says("decision", "has waited", "for an answer")}},
	{group: "vllm", name: "one of two turns wrong under work", play: oneOfTwo, fault: func(p *pod) {
		s := p.servers[1]
		s.turn(nonsense.HTML(s.source()), metrics)
		p.heal = func() { s.turn(nil, metrics) }
	}, with: kept("unknown source_failed").working("busy connection_active"), without: pays.working("busy requests_in_flight"),
		says: []said{says("decision", "vllm:failed")}},

	// Values that mean nothing.
	{group: "vllm", name: "gauges of NaN", play: served, fault: pageReads(series("vllm:num_requests_running", "NaN")), with: blindly, without: pays,
		says: []said{says("decision", "$URL")}},
	{group: "vllm", name: "gauges of Inf", play: served, fault: pageReads(series("vllm:num_requests_waiting", "+Inf")), with: blindly, without: pays,
		says: []said{says("decision", "$URL")}},
	{group: "vllm", name: "everything twice", short: true, play: served, fault: pageReads(func(page string) string { return page + page }), with: pays, without: pays,
		says: []said{says("decision", "tokens_moved")}},
	{group: "vllm", name: "gauges absent", play: served, fault: pageReads(series("vllm:num_requests_running|vllm:num_requests_waiting", "")), with: blindly, without: pays,
		says: []said{says("decision", "has no gauges of requests, though it has served some")}},
	{group: "vllm", name: "counters reset", short: true, play: served, fault: pageReads(series("vllm:.*|http_.*", "0.0")), with: pays, without: pays,
		check: func(p *pod) {
			// The line would equal the one before the last, the first look's, so it is held back and counted.
			p.Await("a line that was held back", program.Soon, func(l program.Line) bool { return l.Msg() == "decision" && l.Number("suppressed") == 1 })
		}},
	{group: "vllm", name: "counters jump back", short: true, play: served, fault: pageReads(series("vllm:generation_tokens_total", "1.0")), with: pays, without: pays,
		says: []said{says("decision", "tokens_moved")}},

	// Signs of work that stand still stop counting; without that the pod would be forgotten.
	{group: "vllm", name: "gauges stick after a mass abort", short: true, play: work, env: brokenSoon, alone: true, fault: sticks, with: pays, without: pays,
		says: []said{says("decision", "server_stalled")}},
	{group: "vllm", name: "load sticks", play: idle, env: brokenSoon, alone: true, fault: answers("/load", 200, "application/json", `{"server_load":3}`), with: pays, without: pays,
		says: []said{says("decision", "/load says 3"), says("decision", "server_stalled")}},
	{group: "vllm", name: "engine hangs under a request", play: idle, env: brokenSoon, alone: true, fault: hangsEngine, with: pays, without: pays,
		says: []said{says("decision", "requests_in_flight"), says("decision", "server_stalled")}},
	{group: "vllm", name: "engines wait for each other", play: computing, env: brokenSoon, fault: func(p *pod) {
		p.gpu.level(100, 250)
		p.servers[0].engine.Hang(true)
	}, with: pays.working("busy gpu_active"), without: pays.working("busy gpu_active"),
		says: []said{says("alarm", "requests have waited and nothing that the server counts has moved")}},

	// Servers that end, or never come.
	{group: "vllm", name: "dead engine", short: true, play: served, env: brokenSoon, alone: true, fault: dies, with: stopped("server_dead"), without: pays,
		says: []said{says("alarm", "$URL", "the engine is dead")}},
	{group: "vllm", name: "engine dies under work", play: work, fault: dies,
		with: kept("broken server_dead").working("broken server_dead"), without: pays.working("busy requests_in_flight"),
		says: []said{says("alarm", "$URL", "the engine is dead")}},
	{group: "vllm", name: "process gone", short: true, play: idle, env: brokenSoon, alone: true, fault: gone, with: stopped("server_dead"), without: pays,
		says: []said{says("alarm", "$URL", "nobody listens")}},
	{group: "vllm", name: "process gone for a while", play: idle, fault: gone, with: kept("broken server_dead"), without: pays,
		says: []said{says("decision", "server_dead")}},
	{group: "vllm", name: "restart in idleness", short: true, play: served, fault: func(p *pod) {
		p.servers[0].finish()
		p.Says("decision", "server_dead")
		p.servers[0].begin()
	}, with: pays, without: pays, says: []said{says("decision", "server_loading")}},
	{group: "vllm", name: "restart between two looks", short: true, play: served, fault: func(p *pod) { p.servers[0].restart() }, with: pays, without: pays,
		says: []said{says("decision", "server_loading")}},
	{group: "vllm", name: "never ready", short: true, play: idle, early: true, env: append([]string{"WATCHDOG_STARTUP_TIMEOUT=1s"}, brokenSoon...), alone: true,
		fault: gone, with: stopped("never_ready"), without: pays,
		says: []said{says("alarm", "$URL", "has not been ready within STARTUP_TIMEOUT")}},
	{group: "vllm", name: "crash loop", play: idle, env: []string{"WATCHDOG_BROKEN_LIMIT=5s"}, alone: true, fault: loops, with: stopped("crash_loop"), without: pays,
		says: []said{says("decision", "crash_loop")}},
	{group: "vllm", name: "slow start", short: true, play: idle, early: true, fault: gone, with: loading, without: pays,
		says: []said{says("decision", "server_loading")}},
	{group: "vllm", name: "listens on IPv6 only", play: idle, early: true, fault: func(p *pod) {
		gone(p)
		six := newServer(p.t, "::1")
		six.begin()
		p.servers = append(p.servers, six)
		p.set("WATCHDOG_VLLM_URLS=" + p.servers[0].URL())
	}, with: loading, without: pays, says: []said{says("decision", "server_loading")}},
	{group: "vllm", name: "one of two gone", short: true, play: two, fault: func(p *pod) { p.servers[1].finish() }, with: pays, without: pays,
		says: []said{says("alarm", "it was ready before")}},
	{group: "vllm", name: "one of two hangs", play: two, fault: func(p *pod) {
		s := p.servers[1]
		s.turn(nonsense.Hangs(s.source()), "")
		p.heal = func() { s.turn(nil, "") }
	}, with: blindly, without: pays, says: []said{says("decision", "source_failed")}},

	// The driver. A GPU that could be seen and no longer can is unknown, never idle.
	{group: "gpu", name: "no library", short: true, play: idle, early: true, fault: setting("WATCHDOG_GPUS=all", "WATCHDOG_NVML_LIBRARY=/nowhere/libnvidia-ml.so.1"),
		with: pays, without: pays, says: []said{says("gpu source absent", "give the container the NVIDIA runtime")}},
	{group: "gpu", name: "another library", short: true, play: idle, early: true, fault: setting("WATCHDOG_GPUS=all", "WATCHDOG_NVML_LIBRARY=libc.so.6"),
		with: pays, without: pays, says: []said{says("gpu source absent", "is not a usable NVML library")}},
	{group: "gpu", name: "no symbol of samples", play: gpuWork, early: true, fault: lacks("without:nvmlDeviceGetSamples"),
		with: pays.working("busy gpu_active"), without: pays.working("busy gpu_active"), says: []said{says("nvml call given up", "GetSamples")}},
	{group: "gpu", name: "driver of 2014", play: gpuWork, early: true, fault: lacks("old"),
		with: pays.working("busy gpu_active"), without: pays.working("busy gpu_active"), says: []said{says("nvml call given up", "GetSamples")}},
	{group: "gpu", name: "driver not loaded", short: true, play: idleGPU, early: true, fault: driver(func(s *standin.Script) { s.Init = notLoaded }),
		with: pays, without: pays, says: []said{says("gpu source absent", "the NVIDIA driver is not loaded")}},
	{group: "gpu", name: "driver of another version", short: true, play: idleGPU, early: true, fault: driver(func(s *standin.Script) { s.Init = otherVersion }),
		with: pays, without: pays, says: []said{says("gpu source absent", "the driver was replaced")}},
	{group: "gpu", name: "init fails", play: idleGPU, early: true, env: []string{"WATCHDOG_STARTUP_TIMEOUT=4s"}, fault: driver(func(s *standin.Script) { s.Init = unknownError }),
		with: pays, without: pays, says: []said{says("gpu source failed", "unknown error")}},
	{group: "gpu", name: "lost", play: idleGPU, fault: driver(func(s *standin.Script) { s.GPUs[0].Lost = isLost }), with: blindly, without: pays, most: time.Minute,
		says: []said{says("decision", "it has fallen off the bus")}},
	{group: "gpu", name: "lost for good", short: true, play: idleGPU, env: brokenSoon, fault: driver(func(s *standin.Script) { s.GPUs[0].Lost = isLost }), with: pays, without: pays,
		says: []said{says("alarm", "no longer counts", "it has fallen off the bus")}},
	{group: "gpu", name: "lost under work", play: computing, fault: driver(func(s *standin.Script) { s.GPUs[0].Lost = isLost }),
		with: kept("unknown source_failed").working("busy requests_in_flight"), without: pays.working("busy gpu_active"), most: time.Minute,
		says: []said{says("gpu source failed", "it has fallen off the bus")}},
	{group: "gpu", name: "one of two off the bus", play: play{name: "two GPUs", begin: func(p *pod) { p.newGPUs(2); p.servers[0].begin() }, first: []string{"quiet"}},
		fault: driver(func(s *standin.Script) { s.GPUs[1].Lost = isLost }), with: blindly, without: pays, most: time.Minute,
		says: []said{says("decision", "GPU 1", "it has fallen off the bus")}},
	{group: "gpu", name: "ring empty and no rate", play: idleGPU, fault: driver(func(s *standin.Script) {
		s.Codes = map[string]int{"nvmlDeviceGetSamples": notFound, "nvmlDeviceGetUtilizationRates": unknownError}
	}), with: blindly, without: pays, says: []said{says("decision", "source_failed")}},
	{group: "gpu", name: "ring not supported", play: gpuWork, early: true, fault: driver(code("nvmlDeviceGetSamples", notSupported)),
		with: pays.working("busy gpu_active"), without: pays.working("busy gpu_active"), says: []said{says("nvml call given up", "not supported")}},
	{group: "gpu", name: "MIG", short: true, play: idleGPU, early: true, fault: driver(func(s *standin.Script) { s.GPUs[0].MIG = 1 }), with: pays, without: pays,
		says: []said{says("gpu source absent", "MIG")}},
	{group: "gpu", name: "call hangs", play: idleGPU, fault: driver(hangs("nvmlDeviceGetSamples")), with: blindly, without: pays,
		says: []said{says("nvml does not answer", "GetSamples")}},
	{group: "gpu", name: "init hangs", play: idleGPU, early: true, fault: driver(hangs("nvmlInit_v2")), with: blindly, without: pays,
		says: []said{says("decision", "NVML has not answered")}},
	{group: "gpu", name: "call hangs under work", play: computing, fault: driver(hangs("nvmlDeviceGetSamples")),
		with: kept("unknown source_failed").working("busy requests_in_flight"), without: pays.working("busy gpu_active"),
		says: []said{says("nvml does not answer", "GetSamples")}},
	{group: "gpu", name: "samples lost", play: idleGPU, fault: driver(func(s *standin.Script) { s.GPUs[0].Period = time.Millisecond }), with: blindly, without: pays,
		says: []said{says("decision", "samples were lost between two looks")}},
	{group: "gpu", name: "no permission", short: true, play: idleGPU, early: true, fault: driver(func(s *standin.Script) {
		s.Codes = map[string]int{"nvmlDeviceGetSamples": noPermission, "nvmlDeviceGetUtilizationRates": noPermission}
	}), with: pays, without: pays, says: []said{says("nvml call given up", "no permission")}},
	{group: "gpu", name: "driver unloaded and back", play: idleGPU, fault: driver(func(s *standin.Script) {
		s.Init, s.GPUs[0].Lost = notLoaded, 1
	}), with: blindly, without: pays, most: time.Minute, says: []said{says("decision", "source_failed")}},
	{group: "gpu", name: "somebody else's work", play: idleGPU, env: []string{"WATCHDOG_BROKEN_LIMIT=1s"}, fault: func(p *pod) {
		p.gpu.level(60, 200)
		p.heal = func() { p.gpu.level(0, 78) }
	}, with: kept("busy gpu_active"), without: pays, says: []said{says("alarm", "WATCHDOG_GPUS=none")}},
	{group: "gpu", name: "spins", play: idleGPU, env: []string{"WATCHDOG_IDLE_LIMIT=3s"}, fault: func(p *pod) {
		p.until(program.Soon, "the idle power is known", func() bool { return p.Status().Idle > 1.6 })
		p.gpu.change(func(s *standin.Script) {
			s.GPUs[0].SetLevel(time.Now(), 100)
			s.GPUs[0].SetPower(time.Now(), 80_000)
		})
	}, with: pays, without: pays, most: 2 * time.Minute, check: func(p *pod) { p.Says("decision", "gpu_spinning") }},

	// Connections.
	{group: "sockets", name: "asked in vain", play: idle, fault: asksInVain, with: owed, without: pays,
		says: []said{says("decision", "has waited", "for an answer")}},
	{group: "sockets", name: "asked in vain for good", play: idle, env: brokenSoon, alone: true, fault: asksInVain, with: pays, without: pays,
		says: []said{says("decision", "server_stalled")}},
	{group: "sockets", name: "client closes half", short: true, play: waiting, fault: closesHalf, with: pays, without: owed,
		says: []said{says("decision", "threshold_reached")}},
	{group: "sockets", name: "slow loris", play: idle, env: brokenSoon, alone: true, fault: sends("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Le"), with: pays, without: pays,
		says: []said{says("decision", "has waited"), says("decision", "server_stalled")}},
	{group: "sockets", name: "slow loris without end", play: idle, fault: sends("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Le"), with: owed, without: pays,
		says: []said{says("decision", "has waited")}},
	{group: "sockets", name: "scrapers", short: true, play: idle, fault: scrapers, with: pays, without: pays,
		says: []said{says("decision", "127.0.0.1:")}},
	{group: "sockets", name: "no table", short: true, play: idle, early: true, fault: inSandbox("no netlink"), with: pays, without: pays,
		check: func(p *pod) { p.evidence("sockets", "absent") }},
	{group: "sockets", name: "no table under work", play: work, early: true, fault: inSandbox("no netlink"),
		with: pays.working("busy requests_in_flight"), without: pays.working("busy requests_in_flight"), check: func(p *pod) { p.evidence("sockets", "absent") }},
	{group: "vllm", name: "500 under work", play: work, fault: answers(metrics, 500, "text/plain", ""),
		with: kept("unknown source_failed").working("busy connection_active"), without: pays.working("busy requests_in_flight"),
		says: []said{says("decision", "vllm:failed")}},

	// The disk.
	{group: "disk", name: "full", short: true, play: idle, early: true, fault: fullDisk, with: pays, without: pays,
		says: []said{says("warning", "WATCHDOG_DIR cannot be used", "no space left on device")}},
	{group: "disk", name: "fills", play: idle, early: true, env: []string{"WATCHDOG_IDLE_LIMIT=3s"}, fault: fills, with: pays, without: pays,
		says: []said{says("alarm", "memory cannot be written", "no space left on device")}},
	{group: "disk", name: "read-only", short: true, play: idle, early: true, fault: readOnlyDisk, with: pays, without: pays,
		says: []said{says("warning", "WATCHDOG_DIR cannot be used", "read-only file system")}},
	{group: "disk", name: "not a folder", short: true, play: idle, early: true, fault: notAFolder("WATCHDOG_DIR"), with: pays, without: pays,
		says: []said{says("warning", "WATCHDOG_DIR cannot be used", "not a directory")}},
	{group: "disk", name: "nowhere to write", short: true, play: idle, early: true, fault: func(p *pod) {
		notAFolder("WATCHDOG_DIR")(p)
		notAFolder("TMPDIR")(p)
	}, with: pays, without: pays, says: []said{says("warning", "nothing can be kept")}},
	{group: "disk", name: "memory of noise", short: true, play: idle, early: true, fault: holds("memory.json", "\x00\x01\x02 this is no memory"), with: pays, without: pays,
		says: []said{says("alarm", "could not be read", "set aside as")}},
	{group: "disk", name: "memory cut short", short: true, play: idle, early: true, fault: holds("memory.json", `{"schema":1,"state":{"idle_ns":36000`), with: pays, without: pays,
		says: []said{says("alarm", "could not be read", "set aside as")}},
	{group: "disk", name: "memory of a folder", short: true, play: idle, early: true, fault: func(p *pod) { folder(p.volume("memory.json"))(p) }, with: pays, without: pays,
		says: []said{says("alarm", "memory")}},
	{group: "disk", name: "telemetry of noise", short: true, play: idle, early: true, fault: holds("telemetry.db", strings.Repeat("this is no database ", 500)), with: pays, without: pays,
		says: []said{says("damaged telemetry set aside")}},
	{group: "disk", name: "telemetry locked", play: idle, early: true, env: []string{"WATCHDOG_IDLE_LIMIT=8s"}, fault: lockedDatabase, with: pays, without: pays,
		says: []said{says("telemetry is held in memory", "locked")}},
	{group: "disk", name: "folder vanishes", short: true, play: idle, fault: vanishes, with: pays, without: pays,
		says: []said{says("alarm", "memory cannot be written")}},
	{group: "disk", name: "hangs", play: idle, early: true, fault: pipe(".memory.new"), with: pays, without: pays,
		says: []said{says("stop goes on without its memory")}},
	{group: "disk", name: "no identity", short: true, play: idle, early: true, fault: notAFolder("WATCHDOG_START_ID_FILE"), with: kept("quiet not_armed"), without: pays,
		says: []said{says("alarm", "the identity of this start is unknown")}},
	{group: "disk", name: "files may not grow", short: true, play: idle, early: true, fault: inSandbox("small files"), with: pays, without: pays,
		says: []said{says("telemetry is held in memory", "file too large")}},
	{group: "disk", name: "two of one name", play: idle, env: []string{"WATCHDOG_IDLE_LIMIT=4s"}, fault: double, with: pays, without: pays,
		check: func(p *pod) {
			p.other.Says("alarm", "memory.json was written by another start", "waiting until that one is known to be silent")
		}},

	// The provider.
	{group: "provider", name: "401", play: idle, fault: provider(forever(runpodtest.Problem(401, "invalid bearer token")), stops...), with: refused, without: pays,
		says: []said{says("alarm", "runpod refuses", "401")}},
	{group: "provider", name: "403", short: true, play: idle, fault: provider(forever(runpodtest.Problem(403, "access denied")), runpodtest.V2Action), with: pays, without: pays,
		says: []said{says("stop attempt answer", "denied")}},
	{group: "provider", name: "404", short: true, play: idle, fault: provider(forever(runpodtest.Problem(404, "pod not found")), runpodtest.V2Action), with: pays, without: pays,
		says: []said{says("stop attempt answer", "wrong pod id or address")}},
	{group: "provider", name: "410", short: true, play: idle, fault: provider(forever(runpodtest.Problem(410, "use v3")), runpodtest.V2Action), with: pays, without: pays,
		says: []said{says("stop attempt answer", "this API was retired")}},
	{group: "provider", name: "409", short: true, play: idle, fault: provider(forever(runpodtest.Problem(409, "action stop is not valid for status STARTING")), runpodtest.V2Action), with: pays, without: pays,
		says: []said{says("stop attempt answer", "is not valid for status")}},
	{group: "provider", name: "locked", short: true, play: idle, early: true, fault: func(p *pod) { p.provider.SetLocked(true) }, with: kept("quiet target_refused"), without: pays,
		says: []said{says("decision", "the provider says that this pod is locked")}},
	{group: "provider", name: "429", play: idle, fault: func(p *pod) {
		provider(runpodtest.TooManyRequests("8"), stops...)(p)
		p.heal = nil
	}, with: pays, without: pays, says: []said{says("stop attempt answer", "retry_after"), says("decision", "stop_backoff")}},
	{group: "provider", name: "500", play: idle, fault: provider(forever(runpodtest.Problem(500, "stopped, accepted")), stops...), with: refused, without: pays,
		says: []said{says("alarm", "runpod refuses", "500")}},
	{group: "provider", name: "hangs", play: idle, fault: provider(runpodtest.Fault{Hang: true, Forever: true}, runpodtest.V2Action), with: pays, without: pays,
		says: []said{says("stop attempt answer", "failed")}, most: time.Minute},
	{group: "provider", name: "nobody listens", short: true, play: idle, early: true, fault: func(p *pod) { p.set("WATCHDOG_RUNPOD_API_URL=" + p.nobody() + "/v2") }, with: pays, without: pays,
		says: []said{says("stop attempt answer", "connection refused")}},
	{group: "provider", name: "no such name", short: true, play: idle, early: true, fault: setting("WATCHDOG_RUNPOD_API_URL=https://api.runpod.invalid/v2"), with: pays, without: pays, most: time.Minute,
		says: []said{says("stop attempt answer", "lookup api.runpod.invalid")}},
	{group: "provider", name: "bad certificate", short: true, play: idle, early: true, fault: badCertificate, with: pays, without: pays,
		says: []said{says("stop attempt answer", "certificate")}},
	{group: "provider", name: "cuts the connection", short: true, play: idle, fault: provider(runpodtest.Fault{Drop: true, Forever: true}, runpodtest.V2Action), with: pays, without: pays,
		says: []said{says("stop attempt answer", "EOF")}},
	{group: "provider", name: "slow", short: true, play: idle, fault: provider(runpodtest.Fault{Delay: 2 * time.Second}, runpodtest.V2Action), with: pays, without: pays,
		check: func(p *pod) {
			p.Says("decision", "the stop is being asked for")
			if n := p.stopCalls(); n != 1 {
				p.t.Errorf("%s: it was asked %d times", p, n)
			}
		}},
	{group: "provider", name: "errors under a 200", play: idle, fault: func(p *pod) {
		provider(forever(runpodtest.Problem(403, "access denied")), runpodtest.V2Action)(p)
		p.provider.Refuse(runpodtest.GraphQLStop)
		p.heal = func() { p.provider.Refuse(); p.provider.Heal() }
	}, with: refused, without: pays, says: []said{says("alarm", "runpod refuses", "Unauthorized")}},
	{group: "provider", name: "a proxy's page", play: idle, fault: provider(forever(runpodtest.HTML(200, "Pod stopped")), stops...), with: refused, without: pays,
		says: []said{says("alarm", "not RunPod's API", "an HTML page")}},
	{group: "provider", name: "another pod's answer", short: true, play: idle, fault: provider(forever(runpodtest.Fault{
		Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"id":"otherpod","status":"EXITED"}`,
	}), runpodtest.V2Action), with: pays, without: pays, says: []said{says("stop attempt answer", "the answer is about another pod")}},
	{group: "provider", name: "redirects", short: true, play: idle, fault: redirected, with: pays, without: pays,
		says: []said{says("stop attempt answer", "redirected, not followed")}},
	{group: "provider", name: "a yes of which nothing comes", play: idle, fault: provider(accepted(), runpodtest.V2Action), with: asked, without: pays, most: time.Minute,
		says: []said{says("alarm", "was accepted, and it still runs")}},
	{group: "provider", name: "overtaken by work", play: idle, fault: overtakes, with: pays, without: pays,
		says: []said{says("decision", "overtaken")}},
	{group: "provider", name: "cannot be read", short: true, play: idle, early: true, fault: provider(forever(runpodtest.Problem(403, "access denied")), runpodtest.V2Read, runpodtest.GraphQLRead),
		with: pays, without: pays, says: []said{says("pod not read from provider", "the key may not read this pod")}},

	// The watchdog itself.
	{group: "watchdog", name: "killed in idleness", play: idle, env: []string{"WATCHDOG_IDLE_LIMIT=5s"}, fault: killedAfter(2500 * time.Millisecond), with: pays, without: pays,
		check: func(p *pod) {
			first := p.Find(func(l program.Line) bool { return l.Msg() == "decision" })[0]
			if kept := first.Number("idle_seconds"); kept < 0.5 || kept > 5 {
				p.t.Errorf("%s: its clock went on from %.1f s", p, kept)
			}
		}},
	{group: "watchdog", name: "killed after a yes", play: idle, fault: diesAfterYes, with: pays, without: pays, most: time.Minute,
		check: func(p *pod) {
			// It depends on when the kill comes, whether the memory knows of the question already.
			if len(p.Find(func(l program.Line) bool {
				return strings.Contains(l.Text("detail"), "the last two known windows must be quiet") || strings.Contains(l.Text("detail"), "its proof is our own end")
			})) == 0 {
				p.t.Errorf("%s: it neither looks twice again nor waits for the proof of a stop that it asked for", p)
			}
		}},
	{group: "watchdog", name: "pages' port taken", short: true, play: idle, early: true, fault: portTaken("WATCHDOG_LISTEN"), with: pays, without: pays,
		says: []said{says("not listening", "is taken by another program")}},
	{group: "watchdog", name: "rows' port taken", short: true, play: idle, early: true, fault: portTaken("WATCHDOG_INGEST_LISTEN"), with: pays, without: pays,
		says: []said{says("not taking spans and rows", "is taken by another program")}},
	{group: "watchdog", name: "mistaken settings", short: true, play: idle, early: true, fault: setting("WATCHDOG_CHECK_INTERVAL=5", "WATCHDOG_COLD_STRAT=3m"), with: exits(2), without: pays,
		check: func(p *pod) { p.writes("did you mean 5s?", "did you mean WATCHDOG_COLD_START?") }},
	{group: "watchdog", name: "no log", short: true, play: idle, early: true, fault: func(p *pod) {
		p.deaf = true
		inSandbox("no log")(p)
	}, with: pays, without: pays, check: func(p *pod) {
		if n := len(p.Lines()); n > 0 {
			p.t.Errorf("%s: %d lines came", p, n)
		}
	}},
	// Two faults of which no log can tell: that the stop comes is all that can be asked.
	{group: "watchdog", name: "log stalls", play: idle, early: true, fault: func(p *pod) {
		p.deaf, p.config.LogPipe = true, 4096
		p.later = func(p *pod) { p.StallLog() }
	}, with: pays, without: pays, check: once},
	{group: "watchdog", name: "log ends", play: idle, fault: func(p *pod) {
		p.deaf = true
		p.DropLog()
	}, with: pays, without: pays, check: once},
	{group: "watchdog", name: "suspended", short: true, play: idle, fault: suspended(3 * time.Second), with: pays, without: pays,
		says: []said{says("decision", "this look came")}},
	{group: "watchdog", name: "suspended while work came and went", short: true, play: idle, fault: func(p *pod) {
		p.Signal(syscall.SIGSTOP)
		p.comesAndGoes()
		p.Signal(syscall.SIGCONT)
	}, with: pays, without: pays, says: []said{says("decision", "tokens_moved")}},
	{group: "watchdog", name: "few files", play: idle, fault: fewFiles, with: refused, without: pays, most: time.Minute,
		says: []said{says("alarm", "runpod refuses", "too many open files")}},
	{group: "watchdog", name: "key missing", short: true, play: idle, early: true, fault: setting("RUNPOD_API_KEY="), with: kept("quiet not_armed"), without: pays,
		says: []said{says("watchdog started", "there is no key for RunPod's API")}},
	{group: "watchdog", name: "serverless", short: true, play: idle, early: true, fault: setting("RUNPOD_ENDPOINT_ID=ep1"), with: kept("quiet target_refused"), without: pays,
		says: []said{says("decision", "serverless endpoint")}},

	// What is pushed to it.
	{group: "ingest", name: "noise for spans", short: true, play: idle, fault: posts("/v1/traces", "application/x-protobuf", "\x0a\xff\xff\xff\xff\x01noise", 20), with: pays, without: pays,
		check: nothingTaken},
	{group: "ingest", name: "noise for rows", short: true, play: idle, fault: posts("/v1/requests", "application/json", `{"requests":[{"request_id":`, 20), with: pays, without: pays, check: nothingTaken},
	{group: "ingest", name: "oversized", short: true, play: idle, fault: posts("/v1/requests", "application/json", strings.Repeat("[", 40<<20), 2), with: pays, without: pays, check: nothingTaken},
	{group: "ingest", name: "flood", short: true, play: idle, fault: posts("/v1/traces", "application/json", `{"resourceSpans":[]}`, 3000), with: pays, without: pays, check: nothingTaken},

	// What people order, and other ways to stop.
	{group: "people", name: "hold", short: true, play: idle, fault: ordered([]string{"hold", "10m", "a demo"}, []string{"release"}), with: kept("quiet hold_lease"), without: pays,
		says: []said{says("decision", "a demo")}},
	{group: "people", name: "keep hours", short: true, play: idle, early: true, fault: setting("WATCHDOG_KEEP_HOURS=mon-sun 00:00-24:00 UTC"), with: kept("quiet keep_hours"), without: pays,
		says: []said{says("decision", "keep_hours")}},
	{group: "people", name: "a stopped hour is not cheaper", short: true, play: idle, early: true, fault: setting("WATCHDOG_STORAGE_STOPPED=5"), with: kept("quiet no_saving"), without: pays,
		says: []said{says("decision", "no_saving")}},
	{group: "people", name: "blind limit", short: true, play: idle, env: []string{"WATCHDOG_BLIND_LIMIT=2s"}, alone: true, fault: turns(nonsense.Hangs), with: stopped("blind_limit"), without: pays,
		says: []said{says("decision", "blind_limit")}},
	{group: "people", name: "traffic on another port", play: idle, early: true, fault: talks, with: owed, without: pays,
		says: []said{says("decision", "connection_active")}},
	{group: "people", name: "orders cannot be taken", short: true, play: idle, early: true, fault: notAFolder("WATCHDOG_CONTROL_SOCKET"), with: pays, without: pays,
		says: []said{says("not taking orders", "not a directory")}},
	{group: "people", name: "nobody takes messages", short: true, play: idle, early: true, env: []string{"WATCHDOG_WARN_BEFORE=400ms", "WATCHDOG_LOG_LEVEL=debug"}, fault: func(p *pod) { p.set("WATCHDOG_NOTIFY_URL=" + p.nobody() + "/hook") }, with: pays, without: pays,
		says: []said{says("notification not delivered yet", "connection refused")}},
	{group: "people", name: "webhook refuses", short: true, play: idle, early: true, fault: func(p *pod) {
		p.set("WATCHDOG_STOP=webhook,runpod", "WATCHDOG_STOP_URL="+p.nobody()+"/stop")
	}, with: pays, without: pays, says: []said{says("stop attempt answer", "connection refused")}},
	{group: "people", name: "command fails", short: true, play: idle, early: true, fault: setting("WATCHDOG_STOP=command,runpod", "WATCHDOG_STOP_COMMAND=/bin/false"), with: pays, without: pays,
		says: []said{says("stop attempt answer", "exit status 1")}},
	{group: "people", name: "command hangs", play: idle, early: true, fault: setting("WATCHDOG_STOP=command,runpod", "WATCHDOG_STOP_COMMAND=/bin/sleep 1000"), with: pays, without: pays, most: 100 * time.Second,
		says: []said{says("stop attempt answer", "no end in time, killed")}},
}
