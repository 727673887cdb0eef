package watchdog

import (
	"fmt"
	"slices"
	"time"
)

const (
	// cpuWhole: a thread that computes waits now and then, and never reads a whole core. So from this share of CPU_BUSY on it is work.
	cpuWhole = 0.9
	// cpuUneasy: where nothing else tells of requests or jobs, from this share of CPU_BUSY on, and from quietCPU, it is not idling either.
	cpuUneasy = 0.5
	// cpuSpan: a mean over less says little, as a process that wakes up for a moment reads a whole core in a look that is as short.
	cpuSpan = time.Second
)

// processors is what the CPU and the network's intake say about one window.
type processors struct {
	// work are hard signs of it.
	work []Because
	// load is what the pod used without the watchdog's own share, in cores; above is what of it lies above idling. Both are of the last
	// second where the window is shorter; unknown where the CPU was not read.
	load, above Maybe[float64]
	// intake is what came in over the network, in bytes a second, in the same way.
	intake Maybe[float64]
	// uneasy: CPU_BUSY is on, and it was read from cpuUneasy of that on. quiet: below, and without a sign of work.
	quiet, uneasy bool
	// missing says why it was not read although it should have been; empty where it was, or need not be.
	missing string
}

// processors reads the host. The baseline begins anew where a server has come or gone, since then: it was of others.
func (r *Rules) processors(p, n State, s Snapshot) (State, processors) {
	n.Host = p.Host.follow(cpuState(s), s.Elapsed)
	if r.othersIdle(p, n) {
		n.CPU = CPUBaseline{}
	}
	load := CPULoad(s.Host.CPUCores, s.Host.OwnCores)
	c := processors{load: lastSecond(p.Load, load, s.Elapsed), intake: lastSecond(p.Intake, s.Host.ReceivedBytesPerSecond, s.Elapsed)}
	n.Load, n.Intake = c.load, c.intake
	if c.load.Known {
		c.above = Known(n.CPU.Above(c.load.Value))
	}
	if r.CPUBusy <= 0 {
		return n, c
	}
	switch {
	case c.above.Known && c.above.Value >= float64(cpuWhole*r.CPUBusy):
		c.work = append(c.work, Because{Code: HostActive, Detail: fmt.Sprintf("the pod computes on %.2f cores, %s; CPU_BUSY is %g", c.load.Value, n.CPU.worded(c.above.Value), r.CPUBusy)})
	case cpuFailed(s) && n.Host.required(r):
		c.missing = "CPU: " + first(s.Host.Reason, "nothing to compare with yet")
	}
	if len(s.Servers) == 0 && c.intake.Or(0) > quietIntake {
		c.work = append(c.work, Because{Code: HostActive, Detail: fmt.Sprintf("%.1f MB/s come in over the network", c.intake.Value/1e6)})
	}
	c.uneasy = c.above.Known && c.above.Value >= max(quietCPU, float64(cpuUneasy*r.CPUBusy))
	c.quiet = c.above.Known && len(c.work) == 0 && !c.uneasy
	return n, c
}

// computes says that more is being computed than idling takes.
func (c processors) computes() bool { return c.above.Or(0) >= quietCPU }

// lastSecond is the mean over the last second of a load that was read over a shorter window, and the load itself over a longer one.
func lastSecond(before, now Maybe[float64], elapsed time.Duration) Maybe[float64] {
	if !now.Known || !before.Known || elapsed >= cpuSpan {
		return now
	}
	share := float64(max(0, elapsed)) / float64(cpuSpan)
	return Known(float64(now.Value*share) + float64(before.Value*(1-share)))
}

// worded says where a load stands against the baseline.
func (b CPUBaseline) worded(above float64) string {
	if !b.Idle.Known {
		return "and what it takes to idle is not known yet"
	}
	return fmt.Sprintf("%.2f more than the %.2f that it takes to idle", above, b.Idle.Value)
}

// cpuState is the state of the CPU as a source of its own: the host may tell of the network alone.
func cpuState(s Snapshot) SourceState {
	switch {
	case s.Host.CPUCores.Known:
		return SourceOK
	case s.Host.State == SourceAbsent:
		return SourceAbsent
	}
	return SourceFailed
}

// cpuFailed: the CPU should have been read in this window, and was not.
func cpuFailed(s Snapshot) bool { return cpuState(s) == SourceFailed }

// idles: a server is there that takes what it takes to idle.
func (s ServerState) idles(r *Rules) bool { return s.Ready && !s.Down || s.foreign(r) }

// serves: a server is there, vLLM or another. Whether it is idle is for the window to say.
func (n State) serves(r *Rules) bool {
	return n.listens() || slices.ContainsFunc(n.Servers, func(s ServerState) bool { return s.idles(r) })
}

// othersIdle: another set of servers is there than at the look before, so what idling took says nothing any more.
func (r *Rules) othersIdle(p, n State) bool {
	for _, now := range n.Servers {
		was := serverState(p.Servers, now.URL)
		again := was.Mark.Set && now.Mark.Set && was.Mark.StartedAt != now.Mark.StartedAt
		if again || was.idles(r) != now.idles(r) {
			return true
		}
	}
	return slices.ContainsFunc(n.Ports, func(now PortState) bool { return now.Listening != portState(p.Ports, now.Port).Listening })
}

// idlesOtherwise: in this window, of which nothing is missing, no other sign of work was seen than the CPU's, and none that had to be
// explained away. That must be said by something else than the CPU itself.
func (r *Rules) idlesOtherwise(n State, s Snapshot, srv servers, w window) bool {
	alone := w.activity == Quiet || w.activity == Busy && len(w.because) == len(w.cpu.work)
	told := srv.alive > 0 || table(n, s, w.traffic) || w.gpus.quiet
	return alone && told && !w.loading && !w.stalled && w.probes.Detail == "" && w.cpu.intake.Or(0) <= quietIntake
}

// learnIdling lets the baseline learn from a window that is quiet by all else, and in which nothing had to be explained away.
func (n State) learnIdling(r *Rules, s Snapshot) State {
	if load := CPULoad(s.Host.CPUCores, s.Host.OwnCores); load.Known {
		n.CPU = n.CPU.Learn(load.Value, s.Elapsed, n.serves(r))
	}
	return n
}
