package watchdog

import (
	"slices"
	"time"
)

// check holds one decision to the promises: a working pod is never stopped, an idle one is never forgotten.
func (w *watch) check(before State, s Snapshot, signs []string) {
	d := w.last
	if wrong := implausible(w.rules, before, w.state, s, d); wrong != "" {
		w.fail("%s", wrong)
	}
	// Where something has stood still and is no longer believed, a fresh request is known by what it moves; until then its
	// socket and its gauge look like those that stand still. (The final look holds on it all the same: see finalLook.)
	if !before.Based {
		signs = slices.DeleteFunc(slices.Clone(signs), func(sign string) bool { return sign == "stream" || sign == "bytes" }) // there is nothing to compare its bytes with
	}
	crashes := slices.ContainsFunc(d.Reasons, func(b Because) bool { return b.Code == CrashLoop }) // which takes the CPU, too
	stood := slices.ContainsFunc(w.state.Servers, func(srv ServerState) bool { return srv.StillFor >= simBroken })
	held := slices.ContainsFunc(w.state.Probes.Accounts, func(a ProbeAccount) bool { return a.Pending && a.Held })
	known := slices.ContainsFunc(signs, func(sign string) bool {
		switch {
		case held && d.Activity == Unknown:
			return sign == "rows" // a request that was in flight when its account was opened has shown little in it yet
		}
		switch sign {
		case "counters", "gpu", "rows", "bytes":
			return true
		case "job":
			return !crashes
		case "waits":
			return portState(w.state.Ports, simPort).StillFor < simBroken
		}
		return !stood
	})
	switch {
	case crashes && slices.Contains(signs, "job") && d.Act:
		w.fail("a pod is stopped while a job computes")
	case known && d.Verdict == Stop:
		w.fail("a stop is decided in a window with the signs of work %v", signs)
	case known && d.Activity != Busy:
		w.fail("the window is called %s, and it had the signs of work %v", d.Activity, signs)
	}
	w.measureQuiet(s, known)
	if d.Idle > w.trueQuiet {
		w.fail("the clock says %s, and it was truly quiet for %s", d.Idle, w.trueQuiet)
	}
	if known {
		w.alone.passed = 0 // work that was done before and is counted only now
	}
	w.alone.check(w, s)
}

// measureQuiet follows how long the pod has truly been quiet: the windows since the last sign of work in which every
// source that had worked answered, or had failed for so long that it need not.
func (w *watch) measureQuiet(s Snapshot, signs bool) {
	blind := s.Elapsed > 3*w.rules.CheckInterval+time.Second || s.WallStep > 5*time.Second || s.WallStep < -5*time.Second
	failing := func(name string, fails bool) {
		if !fails {
			w.blind[name] = 0
			return
		}
		w.blind[name] += s.Elapsed
		blind = blind || w.blind[name] < simBroken
	}
	failing("gpu", s.GPU.State == SourceFailed)
	failing("sockets", s.Sockets.State == SourceFailed)
	for _, srv := range s.Servers {
		if srv.Outcome == OutcomeSkipped {
			blind = true
			continue
		}
		// What never came in this start is absent after STARTUP_TIMEOUT, and loading before.
		failing(srv.URL, w.wasRead(srv.URL) && (srv.Outcome == OutcomeTimeout || srv.Outcome == OutcomeUnreadable))
	}
	switch {
	case signs:
		w.trueQuiet = 0
	case !blind:
		w.trueQuiet += s.Elapsed
	}
}

// solitude is a pod that is left alone, and what it may still take until it is stopped.
type solitude struct {
	on bool
	// passed is the time that counts: unknown windows, guards and the waits of attempts do not.
	passed, allowed time.Duration
	lie, lead, tick time.Duration
	ticks, resets   int
}

// leaveAlone begins solitude, if everything that could still be work is over.
func (w *watch) leaveAlone() {
	for _, s := range w.servers {
		if s.phase != serving || len(s.requests) > 0 || s.asleep && w.sidework.monitor || !w.wasRead(s.url) {
			return
		}
	}
	if slices.ContainsFunc(w.sidework.calls, func(c *call2) bool { return c.answer > 0 }) {
		return
	}
	if w.last.Activity != Quiet || w.failing() || w.lie != "" || len(w.ladder) > 0 || w.state.Attempt.Phase != StopNone {
		return
	}
	w.counts["left alone"]++
	w.arrivals, w.guard, w.guardFor, w.late, w.wall = 0, "", 0, 0, 0
	w.sidework.quietens()
	lies := []string{"", "", "stuck gauge", "stuck load", "stuck socket", "spin", "hang", "sleep"}
	if w.gpuAbsent && w.hostAbsent {
		lies = []string{"", "stuck gauge", "stuck load", "stuck socket", "sleep"} // without a witness nothing on a server that hangs is ever disbelieved
	}
	if len(w.servers) == 0 || w.sidework.excused {
		lies = []string{""} // beside what stands still, probes cannot be told
	}
	lie := lies[w.IntN(len(lies))]
	if lie == "spin" && (w.gpuAbsent || len(w.state.Devices) == 0 || w.state.Devices[0].IdleWindows < wattsLooks || w.gpuFailed+w.gpuLost > 0) {
		lie = "" // a spin cannot be told before idle power was measured
	}
	t := max(w.quote.BreakEven, 3*w.rules.CheckInterval)
	a := solitude{on: true, lead: w.rules.lead(t), tick: w.rules.CheckInterval}
	switch lie {
	case "stuck gauge", "stuck load", "stuck socket":
		a.lie = simBroken + 2*a.tick
	case "spin":
		a.lie = spinTime + 2*a.tick
		w.monitor, w.sidework.calls = false, nil // a spin can be told only where nobody seems to wait
	case "hang":
		// Scrapes that hang with it are owed; they age only in the windows in which they are seen.
		a.lie = 4*simBroken + 4*a.tick
	}
	if len(w.sidework.calls) > 0 {
		// Pages that were left open and had the last word.
		if a.lie += simBroken + 2*a.tick; w.gpuAbsent && w.hostAbsent {
			w.sidework.calls = nil // without a witness they are never disbelieved
		}
	}
	a.allowed = t + a.lead + a.lie + 5*time.Second + 3*a.tick
	w.alone = a
	if lie != "" {
		w.tell(lie)
	}
}

// disturbGently lets sources fail, too seldom to keep the pod for ever.
func (w *watch) disturbGently() {
	if w.lie != "spin" {
		w.faults(0.5)
	}
	if w.alone.ticks++; w.alone.ticks > 3000 {
		w.counts["alone and never known to be quiet"]++
		w.alone.end()
		w.truth()
	}
}

// end ends solitude and says, for the count, whether it was there.
func (a *solitude) end() int {
	was := a.on
	*a = solitude{}
	if was {
		return 1
	}
	return 0
}

// killed: the warning is given anew.
func (a *solitude) killed() { a.allowed += a.lead + 3*a.tick }

// witnessAway: a source that would say that nothing moves did not answer.
func witnessAway(s Snapshot) bool {
	return s.GPU.State == SourceFailed || s.Host.State == SourceFailed || s.Sockets.State == SourceFailed ||
		slices.ContainsFunc(s.GPU.Devices, func(d Device) bool { return d.Gap }) ||
		slices.ContainsFunc(s.Servers, func(srv Server) bool { return srv.Outcome != OutcomeAnswered && srv.Outcome != OutcomeRefused })
}

func (a *solitude) check(w *watch, s Snapshot) {
	if !a.on {
		return
	}
	d := w.last
	switch d.Reason() {
	case ServerLoading:
		return // after a stop
	case MinRuntime, StopBackoff, StopUnproven:
		if s.Stop.Phase != StopNone {
			a.allowed += 5*time.Second + 3*a.tick // another try has a final look of its own
		}
		return
	}
	if d.Activity == Unknown {
		if s.Final {
			a.allowed += a.tick
		}
		return
	}
	if d.Activity == Busy && w.sidework.excused && (witnessAway(s) || d.Reason() == GPUActive || s.Elapsed > w.rules.late(false)) && a.resets < 10 {
		a.resets, a.passed = a.resets+1, 0 // a probe that nothing explains in this window is work, and the clock begins anew
		return
	}
	if s.Final && d.Reason() == ConnectionActive {
		a.allowed += 5*time.Second + 3*a.tick
	}
	if d.Activity == Busy && witnessAway(s) {
		return // nothing that stands still ages then: that time is as unknown as any
	}
	if a.passed += s.Elapsed; a.passed > a.allowed {
		w.fail("a pod that was left alone has not been stopped in %s, which is more than %s", a.passed, a.allowed)
	}
}
