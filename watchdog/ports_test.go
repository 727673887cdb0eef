package watchdog

import (
	"testing"
	"time"
)

// PORTS: servers that are not vLLM, of which only the socket is seen. Their port is 8188 here.

func withPorts(more ...func(*Rules)) func(*Rules) {
	return func(r *Rules) {
		r.Ports = []uint16{8188}
		for _, f := range more {
			f(r)
		}
	}
}

func TestPorts(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "bytes on a port of PORTS are work, also beside a vLLM that is quiet", rules: withPorts(),
			steps: `let listening=8188; idle x3; c1[300/500,9ms/5ms,:8188] -> busy connection_active peer=10.0.0.1:4000; c1[300/500,5s/5s,:8188] -> quiet idle=5s; c1[300/500,9ms/5ms] -> quiet`},
		{name: "a client that is owed an answer there is work, however long nothing is sent: the generation takes its time", rules: withPorts(),
			steps: `let listening=8188; idle; c1[300/0,1s/1s,:8188] cpu=2 -> busy; c1[300/0,600s/600s,:8188] cpu=2 x200 -> busy connection_active`},
		{name: "bytes whose answer is still owed are work at once", rules: withPorts(), steps: `let listening=8188; idle; c1[300/0,9ms/9ms,:8188] -> busy connection_active`},
		{name: "a port that is also a vLLM's stays that vLLM's: scrapes are no work", rules: func(r *Rules) { r.Ports = []uint16{8000, 8000} },
			steps: `idle; c1[500/9000,5ms/1ms] -> quiet idle=10s; dead -> broken server_dead`},
		{name: "bytes on PORTS never stand still", rules: withPorts(func(r *Rules) { r.BrokenLimit = 20 * time.Second }), steps: `let listening=8188; idle; c1[5/9,5ms/1ms,:8188]; c2[5/9,5ms/1ms,:8188]; c3[5/9,5ms/1ms,:8188]; c4[5/9,5ms/1ms,:8188]; c5[5/9,5ms/1ms,:8188];
			c6[5/9,5ms/1ms,:8188]; c7[5/9,5ms/1ms,:8188]; c8[5/9,5ms/1ms,:8188]; c9[5/9,5ms/1ms,:8188]; c10[5/9,5ms/1ms,:8188]; c11[5/9,5ms/1ms,:8188]; c12[5/9,5ms/1ms,:8188]; c13[5/9,5ms/1ms,:8188] -> busy noalarm:requests_stuck`},
		{name: "a page that was left open and had the last word stops counting after BROKEN_LIMIT", rules: withPorts(),
			steps: `let listening=8188; idle; c1[320/900,1s/9s,:8188] -> busy; c1[320/900,9s/20s,:8188] x10 -> busy; c1[320/900,60s/70s,:8188] x2 -> quiet +server_stalled; c1[320/900,60s/70s,:8188] x11 -> stop; final c1[320/900,99s/99s,:8188] -> stop act`},
		{name: "and holds in the final look only while it is fresh", rules: withPorts(),
			steps: `let listening=8188; idle x12 -> stop; final c1[320/900,1ms/9s,:8188] -> busy; idle x12 -> stop; final c1[320/900,1ms/1ms,:8188] -> hold noact connection_active`},
		{name: "another request beside it counts at once", rules: withPorts(),
			steps: `let listening=8188; idle; c1[320/900,1s/9s,:8188] x13; c1[320/900,60s/70s,:8188] -> quiet; c1[320/900,60s/70s,:8188] c2[300/0,1s/1s,:8188] -> busy; c1[320/900,60s/70s,:8188] c2[300/0,9s/9s,:8188] -> busy`},
		{name: "without a witness it holds, and is named", rules: withPorts(),
			steps: `let listening=8188 gpu_absent nohost; idle; c1[320/900,1s/9s,:8188] x40 -> busy connection_active alarm:requests_stuck`},
		{name: "sockets of PORTS do not speak for a vLLM that may be serving elsewhere", rules: withPorts(),
			steps: `let gpu_absent; idle; let sockets_absent; let listening=8188; timeout x20 -> unknown no_evidence vllm:dropped`},
		{name: "they do for one that is gone", rules: withPorts(), steps: `idle; let sockets_absent; let listening=8188; refused x3 -> quiet idle=20s alarm:server_dead`},
		{name: "a vLLM that never came is no wreck where another server listens", rules: withPorts(),
			steps: `raw; let sockets_absent; let listening=8188; refused x24 -> busy server_loading; refused x3 -> quiet alarm:server_not_ready; refused x12 -> stop`},
		{name: "neither is the job that left it behind: it is idle for the whole threshold", rules: withPorts(),
			steps: `let sockets_absent; let listening=8188; idle; let done; refused x11 -> quiet -job_done; refused -> stop act threshold_reached`},
		{name: "nor a vLLM beside it that dies again and again, and does not load for ever either", rules: withPorts(),
			steps: `let listening=8188 ran=1s; let failures=0; idle; let failures=9; refused -> quiet -crash_loop; refused x2 -> quiet; refused x12 -> stop threshold_reached`},
		{name: "its CPU is work there", rules: withPorts(cpuBusy(1)), steps: `let listening=8188 ran=1s; let failures=0; idle; let failures=9; refused cpu=3 -> busy host_active`},
		{name: "where nobody listens there, both are wrecks", rules: withPorts(),
			steps: `let sockets_absent; idle; done refused -> broken job_done; failures=9 ran=31m refused -> broken crash_loop`},
	})
}

func TestPodsWithoutVLLMWithPorts(t *testing.T) {
	listens := `let gpu_absent nohost sockets_absent; let listening=8188;`
	runTimelines(t, []timeline{
		{name: "the socket table alone speaks of requests", servers: -1, rules: withPorts(), steps: listens + `idle x12 -> quiet stop act sockets:ok; c1[300/500,9ms/5ms,:8188] -> busy connection_active`},
		{name: "nobody who listens yet is a server that loads, within STARTUP_TIMEOUT", servers: -1, rules: withPorts(),
			steps: `raw; let sockets_absent; idle x24 -> busy server_loading noalarm:ports_unseen; idle x2 -> quiet alarm:ports_unseen; idle x11 -> stop`},
		{name: "a listener that went away is not waited for", servers: -1, rules: withPorts(), steps: listens + `idle x2; let sockets_absent; idle -> unknown no_evidence`},
		{name: "MIN_RUNTIME begins with the listener", servers: -1, rules: withPorts(func(r *Rules) { r.MinRuntime = time.Minute }),
			steps: `raw; let sockets_absent; idle x10 -> busy ready=0s; let listening=8188; idle -> quiet; idle x11 -> min_runtime ready=55s; idle -> -min_runtime ready=60s`},
		{name: "nor does it forget what the server there takes to idle", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188 cpu=0.4; idle x62; sockets_failed; cpu=1.2 -> quiet`},
		{name: "a table that failed tells nothing of the listener", servers: -1, rules: withPorts(), steps: listens + `idle x3; sockets_failed -> unknown source_failed; idle -> quiet idle=20s`},

		{name: "SGLang spins a core while it idles: learned within an hour, and then it neither counts nor hides what stands still", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188 cpu=1.02; idle x700 -> busy host_active; idle x30 -> quiet; idle x12 -> stop act; cpu=2.1 -> busy host_active`},
		{name: "SGLang that dies leaves nothing learned behind: the job after it is work", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188 cpu=1.02; idle x730 -> quiet; let sockets_absent; idle -> busy host_active; idle x3 -> busy host_active`},
		{name: "TGI answers in streams: bytes of any size are work, and so is what it computes before the first one", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188; idle x3; c1[300/0,1s/1s,:8188] gpu=90 -> busy +gpu_active; c1[300/60,6s/2ms,:8188] -> busy connection_active; c1[300/120,11s/2ms,:8188] -> busy connection_active; c1[300/120,16s/5s,:8188] -> quiet`},
		{name: "Ollama keeps a model loaded for minutes after its last answer: that is idling", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188; c1[300/0,1s/1s,:8188] gpu=90 -> busy; c1[300/9000,5s/9ms,:8188] -> busy; c1[300/9000,10s/5s,:8188] watts=90 x11 -> quiet warn; c1[300/9000,70s/70s,:8188] watts=90 -> stop act`},
		{name: "Ollama that loads a model from the disk for a request: it is owed", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188; idle; c1[300/0,1s/1s,:8188]; c1[300/0,5s/5s,:8188] cpu=0.6 x30 -> busy connection_active`},
		{name: "ComfyUI's page stays open and idle: its connection does not hold", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188; c1[600/900,9ms/5ms,:8188] -> busy; c1[600/900,5s/5s,:8188] x12 -> stop act`},
		{name: "ComfyUI works off its queue after the page was closed: the GPU says so", servers: -1, rules: withPorts(cpuBusy(1)),
			steps: `let listening=8188; c1[900/900,9ms/5ms,:8188] -> busy; c1[900/900,5s/5s,left,:8188] gpu=95 x60 -> busy gpu_active`},
	})
}
