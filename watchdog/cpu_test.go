package watchdog

import (
	"testing"
	"time"
)

// CPU_BUSY: what the pod computes beside what it is asked for. The fixture takes 0.05 cores.

func cpuBusy(cores float64) func(*Rules) { return func(r *Rules) { r.CPUBusy = cores } }

func TestCPUBusy(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "CPU_BUSY cores are work", rules: cpuBusy(2), steps: `idle x3; cpu=2.5 -> busy hold host_active idle=0s; idle -> quiet idle=5s`},
		{name: "less is not, beside a server that is known to be idle", rules: cpuBusy(2), steps: `idle x3; cpu=1.5 -> quiet idle=20s -host_active`},
		{name: "where CPU_BUSY is off no load is work by itself", steps: `idle x3; cpu=30 -> quiet idle=20s`},
		{name: "a thread that computes never reads a whole core, and is CPU_BUSY=1 all the same", rules: cpuBusy(1), steps: `idle; cpu=0.93 -> busy host_active`},
		{name: "what the watchdog itself computes is no work", rules: cpuBusy(1), steps: `idle x3; cpu=1.5 own=1.4 -> quiet; cpu=2.5 own=1.4 -> busy host_active`},
		{name: "what it takes to idle is learned, and does not count", rules: cpuBusy(1),
			steps: `let cpu=0.4; idle x60 -> stop; cpu=1.2 -> stop; cpu=1.4 -> busy host_active`},
		{name: "before it is learned all counts", rules: cpuBusy(1), steps: `let cpu=0.4; idle x50; cpu=1.2 -> busy host_active`},
		{name: "it is not learned while requests are served", rules: cpuBusy(1), steps: `let cpu=0.4; running=1 tokens x90 -> busy; cpu=1.2 -> busy host_active`},
		{name: "it is not learned while a request stands still", rules: cpuBusy(1), steps: `let cpu=0.4; idle; running=1 x90 -> quiet +server_stalled; cpu=1.2 -> busy host_active`},
		{name: "it is not learned while the GPU works", rules: cpuBusy(1), steps: `let cpu=0.4; gpu=50 x90 -> busy; cpu=1.2 -> busy host_active`},
		{name: "it is not learned while a source is away", rules: cpuBusy(1), steps: `let cpu=0.4; idle; timeout sockets_failed x11; idle; timeout sockets_failed x11; idle; timeout sockets_failed x11; idle; timeout sockets_failed x11;
			idle; timeout sockets_failed x11; idle; timeout sockets_failed x11 -> unknown; cpu=1.2 -> busy host_active`},
		{name: "what looks like a server's spinning is not learned while another server is away", servers: 2, rules: func(r *Rules) { r.CPUBusy, r.BrokenLimit = 1, 2*time.Hour },
			steps: `let cpu=1.02; b:timeout x730 -> busy host_active; idle -> busy host_active; idle x725 -> quiet`},
		{name: "another server idles in another way: it is learned anew", rules: cpuBusy(1),
			steps: `let cpu=0.4; idle x70; cpu=1.2 -> stop; refused x2 -> broken; idle -> busy server_loading; cpu=1.2 -> busy host_active`},
		{name: "the watchdog's restart does not forget it", rules: cpuBusy(1), steps: `let cpu=0.4; idle x60; killed; idle x2; cpu=1.2 -> quiet`},
		{name: "the pod's does", rules: cpuBusy(1), steps: `let cpu=0.4; idle x60; resumed; idle x2; cpu=1.2 -> busy host_active`},
		{name: "a CPU that worked and does not answer makes the window unknown, and is dropped in time", rules: cpuBusy(1),
			steps: `idle x2; host_failed -> unknown source_failed idle=10s; host_failed x11 -> quiet alarm:source_dropped`},
		{name: "where CPU_BUSY is off it is not required", steps: `idle x2; host_failed -> quiet`},
		{name: "a CPU that cannot be read here is not required", rules: cpuBusy(1), steps: `let nohost; idle x2 -> quiet idle=10s`},
		{name: "in a look of an instant a process that wakes up reads a whole core, and is no work", rules: cpuBusy(1),
			steps: `idle x3; elapsed=20ms cpu=3 -> quiet; elapsed=900ms cpu=3 -> busy host_active`},
		{name: "a GPU beside a busy CPU is not alone", rules: cpuBusy(1), steps: `idle; gpu=40 cpu=3 x30 -> busy noalarm:gpu_active_alone`},
		{name: "a job beside a dead server is work, and not beside one that dies again and again: its starts take the CPU, too", rules: cpuBusy(1),
			steps: `ran=1h; failures=1 ran=1s refused cpu=3 -> busy; ran=31m refused cpu=3 -> busy host_active; failures=9 ran=31m refused cpu=3 -> broken crash_loop hold; failures=9 ran=31m refused x13 -> stop`},
		{name: "connections that stand still do so beside what it takes to idle", rules: func(r *Rules) { r.BrokenLimit = 5 * time.Minute },
			steps: `let cpu=0.45; idle x61; c1[348/0,2s/2s] cpu=0.8 x59 -> busy; c1[348/0,99s/99s] cpu=0.8 -> quiet +server_stalled; c1[348/0,99s/99s] cpu=1 -> busy`},
	})
}

func TestWithoutVLLMTheCPUIsEvidence(t *testing.T) {
	alone := `let gpu_absent sockets_absent;`
	runTimelines(t, []timeline{
		{name: "a batch job is work for as long as it computes, and its pod is stopped when it has ended", servers: -1, rules: cpuBusy(1),
			steps: alone + `cpu=4 x200 -> busy hold host_active; idle x11 -> quiet warn; idle -> stop act`},
		{name: "a job of one thread is neither killed nor taken for idling, and never learned", servers: -1, rules: cpuBusy(1),
			steps: alone + `cpu=0.7 x200 -> unknown hold no_evidence alarm:blind idle=0s; cpu=0.95 -> busy host_active`},
		{name: "a pod that takes a third of a core to idle is stopped, and a job of one thread on it is not, with half a core for CPU_BUSY", servers: -1, rules: cpuBusy(0.5),
			steps: `let sockets_absent cpu=0.33; idle x12 -> stop; cpu=0.95 -> busy host_active; idle x60 -> stop; cpu=0.95 -> busy host_active`},
		{name: "the larger CPU_BUSY is, the more may be idling", servers: -1, rules: cpuBusy(4), steps: alone + `cpu=1.5 -> quiet; cpu=2.5 -> unknown; cpu=3.7 -> busy`},
		{name: "a job that downloads is work", servers: -1, rules: cpuBusy(1), steps: alone + `intake=5e6 x20 -> busy host_active; intake=5e5 -> quiet`},
		{name: "what comes in within an instant is not", servers: -1, rules: cpuBusy(1), steps: alone + `let intake=1000; idle x3; elapsed=20ms intake=3e6 -> quiet`},
		{name: "the CPU alone is nothing to go by where CPU_BUSY is off", servers: -1, steps: alone + `idle x3 -> unknown no_evidence`},
		{name: "nor where it cannot be read", servers: -1, rules: cpuBusy(1), steps: alone + `let nohost; idle x3 -> unknown no_evidence; host_failed x40 -> unknown no_evidence`},
		{name: "the single evidence is said aloud", servers: -1, rules: cpuBusy(1), steps: alone + `idle x13 -> alarm:evidence_single`},
		{name: "what a job takes while it waits is not learned as idling", servers: -1, rules: cpuBusy(1), steps: alone + `cpu=0.4 x90 -> stop; cpu=1 -> busy host_active`},
		{name: "beside a GPU, too, half of CPU_BUSY is not quiet", servers: -1, rules: cpuBusy(1), steps: `let sockets_absent; cpu=0.7 x30 -> unknown no_evidence; idle x2 -> quiet`},
	})
}
