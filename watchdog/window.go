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

	running, waiting, tokens Maybe[float64]
	traffic                  traffic
	gpus                     gpus
	evidence                 Evidence
	// stalled: signs of work were there and did not count, because they have stood still for too long.
	stalled bool
	// owed: somebody waits for an answer right now, however briefly.
	owed string
	// loading: a server is coming up.
	loading bool
}

// observe closes the window that ends with this snapshot: it updates what is remembered of every source and says which
// activity the window was. Busy comes before broken, broken before unknown, unknown before quiet.
func (r *Rules) observe(p State, s Snapshot) (State, window) {
	n, w := p, window{}
	n.GPU = p.GPU.follow(s.GPU.State, s.Elapsed)
	n.Sockets = p.Sockets.follow(s.Sockets.State, s.Elapsed)

	var srv servers
	n.Servers, srv = r.servers(p.Servers, s.Servers, s.Elapsed, p.Based)
	w.running, w.waiting, w.tokens = srv.running, srv.waiting, srv.tokens
	if p.EverReady || len(s.Servers) == 0 {
		n.ReadyFor += s.Elapsed
	}
	for _, server := range n.Servers {
		// A server that is not vLLM is never seen ready: it counts as ready once it is no longer waited for.
		n.EverReady = n.EverReady || server.Ready || server.foreign(r)
	}

	n.Connections, w.traffic = r.connections(p.Connections, s.Sockets, srv.ports, s.Elapsed, p.Based)
	w.owed = w.traffic.owed
	calm := calmness{
		undisturbed: srv.alive+srv.skipped > 0 && srv.unread == 0 && len(srv.hard)+len(srv.soft) == 0 && srv.loading == "" && w.owed == "" && len(w.traffic.soft) == 0,
		asked:       srv.skipped == 0,
	}
	n.Devices, n.Recent, w.gpus = r.devices(p.Devices, p.Recent, s.GPU, calm, s.Elapsed)

	hard := slices.Concat(srv.hard, w.gpus.hard)
	soft := slices.Concat(srv.soft, w.traffic.soft)
	n.NoProgressFor = r.noProgress(p, n, s, srv, len(hard) > 0, len(soft) > 0, w.gpus)
	w.notes = slices.Concat(srv.notes, w.gpus.notes)
	if len(soft) > 0 && n.NoProgressFor >= r.BrokenLimit {
		w.notes = append(w.notes, Because{Code: ServerStalled, Detail: fmt.Sprintf("%s, but nothing has moved for %s, neither counters nor GPU nor CPU",
			soft[0].Detail, n.NoProgressFor.Round(time.Second))})
		soft, w.owed, w.stalled = nil, w.traffic.brief, true
	}
	w.loading = srv.loading != ""
	w.evidence = r.evidence(n, s, srv)

	switch missing := r.missing(p, n, s, srv, w); {
	case len(hard)+len(soft) > 0:
		w.activity, w.because = Busy, slices.Concat(srv.order(soft), hard)
	case w.loading:
		w.activity, w.because = Busy, []Because{{Code: ServerLoading, Detail: srv.loading}}
	case srv.alive == 0 && srv.down != "":
		w.activity, w.because = Broken, []Because{{Code: ServerDead, Detail: srv.down}}
	case missing.Code != "":
		w.activity, w.because = Unknown, []Because{missing}
	default:
		w.activity = Quiet
	}
	n.GPUAloneFor = gpuAlone(p, s.Elapsed, calm.undisturbed && len(w.gpus.hard) > 0)
	n.OneSourceFor = oneSource(p, n, s, srv, w)
	w.alarms = r.alarms(n, s, srv, w)
	return n, w
}

// missing says why a window without a sign of work cannot be called quiet; its code is empty where it can.
func (r *Rules) missing(p, n State, s Snapshot, srv servers, w window) Because {
	requestLevel := srv.alive > 0 || w.traffic.quiet && s.Sockets.State == SourceOK
	switch {
	case !p.Based:
		return Because{Code: NoBaseline, Detail: "first look"}
	case s.Elapsed > r.late():
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
	case w.gpus.missing != "" && s.GPU.State != SourceAbsent && n.GPU.required(r):
		return Because{Code: SourceFail, Detail: w.gpus.missing}
	case s.Sockets.State == SourceFailed && n.Sockets.required(r):
		return Because{Code: SourceFail, Detail: "sockets: " + s.Sockets.Reason}
	case w.stalled && cpuFailed(s):
		return Because{Code: SourceFail, Detail: "whether what stands still is work cannot be said without the CPU: " + s.Host.Reason}
	case len(s.Servers) > 0 && !requestLevel:
		return Because{Code: NoEvidence, Detail: "no source says anything about requests"}
	case len(s.Servers) == 0 && !w.gpus.quiet && !requestLevel:
		return Because{Code: NoEvidence, Detail: "neither servers nor a GPU to look at"}
	}
	return Because{}
}

// late is how long after the one before it a look may come: two intervals more than planned, and at least a second,
// since short intervals are missed by a busy machine without anything being wrong.
func (r *Rules) late() time.Duration {
	return r.CheckInterval + max(2*r.CheckInterval, time.Second)
}

// noProgress follows how long soft signs of work have stood still: no counter moved, and GPU and CPU, where they can be
// read, were quiet. Without any such witness only an unmoving page counts, never flowing bytes.
//
// While a witness that works does not answer, nothing is said about progress; and while a server or the socket table does
// not answer, a window without any such sign says nothing either way: a hung server that is scraped now and then must not
// begin anew with each scrape.
func (r *Rules) noProgress(p, n State, s Snapshot, srv servers, hard, soft bool, g gpus) time.Duration {
	cpu := s.Host.CPUCores
	switch {
	case hard, srv.moved, cpu.Known && cpu.Value >= quietCPU:
		return 0
	case soft && (cpuFailed(s) || s.GPU.State == SourceFailed && n.GPU.required(r)):
		return p.NoProgressFor
	case !g.quiet && !cpu.Known && len(srv.soft) == 0 && soft:
		return 0
	case soft:
		return p.NoProgressFor + s.Elapsed
	case len(srv.failing) > 0, srv.skipped > 0, s.Sockets.State == SourceFailed:
		return p.NoProgressFor
	}
	return 0
}

// cpuFailed: the CPU should have been read in this window, and was not.
func cpuFailed(s Snapshot) bool { return !s.Host.CPUCores.Known && s.Host.State != SourceAbsent }

// gpuAlone follows how long the GPU has been the only sign of work while the server was known to be quiet.
func gpuAlone(p State, elapsed time.Duration, alone bool) time.Duration {
	if !alone {
		return 0
	}
	return p.GPUAloneFor + elapsed
}

// servers is what all the servers say together.
type servers struct {
	hard, soft, notes []Because
	moved             bool
	loading, missing  string
	baseline, down    string
	// alive servers answered quiet; skipped ones were not asked; unread ones may hide requests.
	alive, skipped, unread    int
	running, waiting, tokens  Maybe[float64]
	ports                     map[uint16]portKind
	overdue, failing, foreign []string
}

// order puts the signs that name requests first.
func (srv servers) order(soft []Because) []Because {
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

// servers reads every server. One that lives makes the others' silence bearable: a server that refuses has no request in
// flight, so it is named in an alarm and does not keep the pod.
func (r *Rules) servers(p []ServerState, readings []Server, elapsed time.Duration, based bool) ([]ServerState, servers) {
	var out servers
	out.ports = make(map[uint16]portKind, len(readings))
	next := make([]ServerState, 0, len(readings))
	for _, s := range readings {
		was := serverState(p, s.URL)
		n, f := r.server(was, s, elapsed, based)
		next = append(next, n)
		out.hard = append(out.hard, f.hard...)
		out.soft = append(out.soft, f.soft...)
		out.notes = append(out.notes, f.notes...)
		out.moved = out.moved || f.moved
		out.loading = first(out.loading, f.loading)
		out.missing = first(out.missing, f.missing)
		out.baseline = first(out.baseline, f.baseline)
		switch {
		case s.Outcome == OutcomeSkipped:
			out.skipped++
		case f.quiet:
			out.alive++
		case !n.Down && s.Outcome != OutcomeRefused:
			out.unread++
		}
		if n.Down {
			out.down = first(out.down, s.URL+": "+s.Detail)
		}
		switch {
		case n.Ready && n.Track.FailedFor > 0:
			out.failing = append(out.failing, s.URL)
		case n.foreign(r), s.Ready() && !s.EngineSeries && !s.HTTPSeries:
			out.foreign = append(out.foreign, s.URL)
		case !n.Ready && n.Waited >= r.StartupTimeout:
			out.overdue = append(out.overdue, s.URL)
		}
		switch {
		case s.Port == 0:
		case n.Down:
			out.ports[s.Port] = portDead
		case f.quiet, s.Outcome == OutcomeSkipped:
			out.ports[s.Port] = portReadable
		default:
			out.ports[s.Port] = portUnreadable
		}
		if s.Ready() {
			running, waiting, known := gauges(s)
			if known && s.EngineSeries {
				out.running = Known(out.running.Or(0) + running)
				out.waiting = Known(out.waiting.Or(0) + waiting)
			}
			if f.tokens.Known {
				out.tokens = Known(out.tokens.Or(0) + f.tokens.Value)
			}
		}
	}
	return next, out
}

func serverState(p []ServerState, url string) ServerState {
	for _, s := range p {
		if s.URL == url {
			return s
		}
	}
	return ServerState{URL: url}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// evidence words each kind of source for the decision line.
func (r *Rules) evidence(n State, s Snapshot, srv servers) Evidence {
	e := Evidence{
		VLLM:    "absent",
		GPU:     n.GPU.word(s.GPU.State, r),
		Sockets: n.Sockets.word(s.Sockets.State, r),
		Host:    Track{}.word(s.Host.State, r),
	}
	for i, state := range n.Servers {
		word := "failed"
		switch reading := s.Servers[i]; {
		case reading.Ready() && !reading.EngineSeries && !reading.HTTPSeries:
			word = "absent"
		case state.Track.dropped(r.BrokenLimit):
			word = "dropped"
		case state.Ready && state.Track.FailedFor == 0:
			word = "ok"
		case state.foreign(r):
			word = "absent"
		}
		e.VLLM = worse(e.VLLM, word)
	}
	return e
}

// worse orders the words of several servers: a failure shows before a drop, a drop before good news.
func worse(a, b string) string {
	const order = "absent ok dropped failed"
	if strings.Index(order, b) > strings.Index(order, a) {
		return b
	}
	return a
}

// oneSource follows how long a single source has carried the evidence alone.
func oneSource(p, n State, s Snapshot, srv servers, w window) time.Duration {
	count := 0
	for _, ok := range []bool{srv.alive+srv.skipped > 0, n.GPU.Worked, n.Sockets.Worked} {
		if ok {
			count++
		}
	}
	if count != 1 || w.loading {
		return 0
	}
	return p.OneSourceFor + s.Elapsed
}
