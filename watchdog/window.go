package watchdog

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// window is the judgement of the time between two looks, before the clock takes it.
type window struct {
	activity Activity
	// because has the leading reason of the activity first; notes explain a quiet window.
	because []Because
	notes   []Because
	alarms  []Alarm

	weighed
	running, waiting, tokens Maybe[float64]
	traffic                  traffic
	gpus                     gpus
	cpu                      processors
	probes                   ProbeFinding
	evidence                 Evidence
	// loading: a server is coming up.
	loading bool
	// still: nothing is being done about what is broken. tail is what the server wrote last, where the window is about its end.
	still bool
	tail  []string
}

// observe closes the window that ends with this snapshot: it updates what is remembered of every source and says which
// activity the window was. Busy comes before broken, broken before unknown, unknown before quiet.
func (r *Rules) observe(p State, s Snapshot) (State, window) {
	n, w := p, window{}
	n.SparedLead = ""
	n.GPU = p.GPU.follow(s.GPU.State, s.Elapsed)
	n.Sockets = p.Sockets.follow(s.Sockets.State, s.Elapsed)

	var srv servers
	n.Servers, srv = r.servers(p.Servers, s.Servers, s.Elapsed, p.Based)
	w.running, w.waiting, w.tokens = srv.running, srv.waiting, srv.tokens
	n.Ports = r.ports(p.Ports, s)
	srv.loading = first(srv.loading, r.awaited(n, srv))
	if p.EverReady || len(s.Servers)+len(n.Ports) == 0 {
		n.ReadyFor += s.Elapsed
	}
	for _, server := range n.Servers {
		// A server that is not vLLM is never seen ready: it counts as ready once it is no longer waited for.
		n.EverReady = n.EverReady || server.Ready || server.foreign(r)
	}
	if len(n.Ports) > 0 && srv.loading == "" {
		n.EverReady = n.EverReady || n.listens() || len(s.Servers) == 0
	}

	n.Connections, w.traffic = r.connections(p.Connections, s.Sockets, srv.ports, s.Elapsed, p.Based)
	calm := calmness{
		undisturbed: srv.alive+srv.skipped > 0 && srv.unread == 0 && len(srv.hard)+len(srv.soft) == 0 && srv.loading == "" && len(w.traffic.owing)+len(w.traffic.soft) == 0,
		asked:       srv.skipped == 0,
	}
	n.Devices, n.Recent, w.gpus = r.devices(p.Devices, p.Recent, s.GPU, calm, s.Elapsed)
	n, w.cpu = r.processors(p, n, s)

	requests := probeWindow(p, s, w.traffic, w.gpus.threshold)
	n.Probes, w.probes = p.Probes.Observe(requests, r.ProbeMaxTokens)
	srv, w.traffic, w.gpus = w.probes.excuse(requests, srv, w.traffic, w.gpus)

	n = n.crashes(p, s)
	wreck := r.wreck(n, s, srv)
	if wreck.Code == CrashLoop {
		w.cpu.work = nil // a server that comes up only to die again takes the CPU, too
	}
	hard := slices.Concat(srv.hard, w.gpus.hard, w.cpu.work)
	if s.Rows > 0 && w.probes.Rows == ProbesNone {
		hard = append(hard, Because{Code: RowsReceived, Detail: fmt.Sprintf("%d rows of requests came in", s.Rows)})
	}
	n, w.weighed = r.weigh(n, s, srv, w.traffic, len(hard) > 0, w.gpus, w.cpu)
	w.notes = slices.Concat(srv.notes, w.gpus.notes, w.weighed.notes)
	w.loading = srv.loading != ""
	w.evidence = r.evidence(n, s, srv)

	w.still = r.standsStill(n, s, w.gpus, w.cpu)
	missing := r.missing(p, n, s, srv, w)
	switch {
	case len(hard)+len(w.soft) > 0:
		w.activity, w.because = Busy, slices.Concat(requestsFirst(w.soft), hard)
		n.SparedLead = lead(p.SparedLead, w.because, srv.skipped > 0)
	case w.loading && !n.hopeless(s, srv):
		w.activity, w.because = Busy, []Because{{Code: ServerLoading, Detail: srv.loading}}
	case srv.alive == 0 && srv.down != "" && r.comesAgain(s.Child, srv) && wreck.Code == "" && !n.hopeless(s, srv):
		w.activity, w.because = Busy, []Because{{Code: ServerLoading, Detail: fmt.Sprintf("%s was started again %s ago", srv.down, s.Child.RunningFor.Round(time.Second))}}
	case wreck.Code != "":
		w.activity, w.because, w.tail = Broken, []Because{wreck}, s.Child.Tail
	case missing.Code != "":
		w.activity, w.because = Unknown, []Because{missing}
	default:
		w.activity = Quiet
		if w.probes.Detail != "" {
			w.notes = append(w.notes, Because{Code: ProbesOnly, Detail: w.probes.worded()})
		}
	}
	if missing.Code == "" && r.idlesOtherwise(n, s, srv, w) {
		n = n.learnIdling(r, s)
	}
	n.GPUAloneFor = gpuAlone(p, s.Elapsed, calm.undisturbed && len(w.gpus.hard) > 0 && len(w.cpu.work) == 0)
	n.StuckFor = stuck(p, s.Elapsed, srv, w.waits && s.Rows == 0)
	n.OneSourceFor = r.oneSource(p, n, s, srv, w)
	w.alarms = r.alarms(n, s, srv, w)
	return n, w
}

// missing says why a window without a sign of work cannot be called quiet; its code is empty where it can.
func (r *Rules) missing(p, n State, s Snapshot, srv servers, w window) Because {
	requestLevel := srv.alive > 0 || table(n, s, w.traffic)
	switch {
	case !p.Based:
		return Because{Code: NoBaseline, Detail: "first look"}
	case s.Elapsed > r.late(s.Final):
		return Because{Code: ClockStep, Detail: fmt.Sprintf("this look came %s after the one before it, every %s was planned", s.Elapsed.Round(time.Millisecond), r.CheckInterval)}
	case s.WallStep > clockStepLimit, s.WallStep < -clockStepLimit:
		return Because{Code: ClockStep, Detail: fmt.Sprintf("the wall clock moved by %s against the monotonic one", s.WallStep.Round(time.Millisecond))}
	case !n.EverReady && len(srv.overdue) > 0:
		return Because{Code: NoEvidence, Detail: fmt.Sprintf("%s has not been ready within %s", strings.Join(srv.overdue, ", "), r.StartupTimeout)}
	case srv.skipped > 0:
		return Because{Code: NoEvidence, Detail: "the servers were not asked in this window"}
	case srv.baseline != "":
		return Because{Code: NoBaseline, Detail: srv.baseline}
	case srv.missing != "":
		return Because{Code: SourceFail, Detail: srv.missing}
	case w.probes.Pending != "":
		return Because{Code: NoEvidence, Detail: w.probes.Pending}
	case w.gpus.missing != "" && s.GPU.State != SourceAbsent && n.GPU.required(r):
		return Because{Code: SourceFail, Detail: w.gpus.missing}
	case s.Sockets.State == SourceFailed && n.Sockets.required(r):
		return Because{Code: SourceFail, Detail: "sockets: " + s.Sockets.Reason}
	case w.cpu.missing != "":
		return Because{Code: SourceFail, Detail: w.cpu.missing}
	case w.stalled && cpuFailed(s):
		return Because{Code: SourceFail, Detail: "whether what stands still is work cannot be said without the CPU: " + s.Host.Reason}
	case len(s.Servers) > 0 && !requestLevel:
		return Because{Code: NoEvidence, Detail: "no source says anything about requests"}
	case !requestLevel && w.cpu.uneasy:
		return Because{Code: NoEvidence, Detail: fmt.Sprintf("the pod computes on %.2f cores, which is neither CPU_BUSY (%g) nor little, and nothing else says whether that is a job", w.cpu.load.Value, r.CPUBusy)}
	case !requestLevel && !w.gpus.quiet && !w.cpu.quiet:
		return Because{Code: NoEvidence, Detail: "neither servers nor a GPU to look at, nor ports, nor the CPU"}
	}
	return Because{}
}

// late is how long after the one before it a look may come: two intervals more than planned, and at least a second,
// since short intervals are missed by a busy machine without anything being wrong.
//
// The second of two final looks is planned a second after the first.
func (r *Rules) late(final bool) time.Duration {
	late := r.CheckInterval + max(2*r.CheckInterval, time.Second)
	if final {
		late += finalApart
	}
	return late
}

// gpuAlone follows how long the GPU has been the only sign of work while the server was known to be quiet.
func gpuAlone(p State, elapsed time.Duration, alone bool) time.Duration {
	if !alone {
		return 0
	}
	return p.GPUAloneFor + elapsed
}

// lead keeps the reason that led a window in which the servers were spared in front for as long as it holds: steady work is not to
// change its leading reason, and with it the log, each time that the servers are asked again. It returns the reason so kept.
func lead(kept Reason, because []Because, spared bool) Reason {
	if spared {
		return because[0].Code
	}
	at := slices.IndexFunc(because, func(b Because) bool { return b.Code == kept })
	if at < 0 {
		return ""
	}
	first := because[at]
	copy(because[1:at+1], because[:at])
	because[0] = first
	return kept
}

// stuck follows how long requests have waited while no counter of any server moved, whatever else works: engines that wait for each
// other read 100 %, and a server may spin while it serves nobody. A look that spares the servers sees no counter.
func stuck(p State, elapsed time.Duration, srv servers, waiting bool) time.Duration {
	switch {
	case len(srv.hard) > 0, srv.loading != "":
		return 0
	case waiting:
		return p.StuckFor + elapsed
	case srv.skipped > 0:
		return p.StuckFor
	}
	return 0
}

// requestsFirst puts the signs that name requests first.
func requestsFirst(soft []Because) []Because {
	out := slices.Clone(soft)
	slices.SortStableFunc(out, func(a, b Because) int {
		return workRank(a.Code) - workRank(b.Code)
	})
	return out
}

func workRank(c Reason) int {
	if c == RequestsInFlight {
		return 0
	}
	return 1
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
