package watchdog

import (
	"time"
)

// disturb lets things happen to the pod before a tick: work comes and goes, sources fail, lies begin and end.
func (w *watch) disturb() {
	if w.alone.on {
		w.disturbGently()
		return
	}
	w.demand()
	w.faults(1)
	w.misfortune()
	w.guards()
	if w.lie == "" && len(w.servers) > 0 && !w.hostAbsent && !w.gpuAbsent && w.chance(0.003) { // with witnesses for the work beside it
		w.tell([]string{"stuck gauge", "stuck load", "stuck socket"}[w.IntN(3)])
	} else if w.lie != "" && w.chance(0.01) {
		w.truth()
	}
	if w.chance(0.01) {
		w.leaveAlone()
	}
}

// demand turns the arrivals on and off; now and then nobody asks for longer than T.
func (w *watch) demand() {
	switch {
	case int(w.tick) < w.quietUntil:
		w.arrivals = 0
	case w.chance(0.02):
		w.quietUntil = int(w.tick) + 5 + w.IntN(150)
	case w.arrivals == 0 || w.chance(0.05):
		w.arrivals = []float64{0.002, 0.02, 0.2}[w.IntN(3)]
	}
	if w.chance(0.005) && w.quote.PriceUSDPerHour.Known {
		w.counts["break-even that moved"]++
		w.quote.BreakEven = w.between(time.Minute, 4*time.Minute)
	}
	if w.chance(0.002) {
		w.counts["price that came or went"]++
		w.quote.PriceUSDPerHour.Known = !w.quote.PriceUSDPerHour.Known
	}
}

// faults lets sources fail for some windows. On a pod that is left alone they fail for less than BROKEN_LIMIT: a source that
// is given up and comes back with what stands still begins that wait anew.
func (w *watch) faults(rate float64) {
	begin := func(what string, p float64, left *int, most int) {
		if w.alone.on {
			most = min(most, int(simBroken/w.rules.CheckInterval)-2)
			if w.failing() {
				return
			}
		}
		if *left == 0 && w.chance(p*rate) {
			w.counts["fault "+what]++
			*left = 1 + w.IntN(most)
		}
	}
	begin("GPU does not answer", 0.006, &w.gpuFailed, 12)
	begin("GPU lost", 0.003, &w.gpuLost, 12)
	begin("samples lost", 0.005, &w.gap, 1)
	begin("ring empty", 0.01, &w.ringEmpty, 3)
	begin("socket table does not answer", 0.006, &w.socketsFailed, 12)
	begin("CPU cannot be read", 0.006, &w.hostFailed, 6)
	if !w.alone.on || !w.monitor {
		// A scrape from outside on a page that we cannot read is work, so it would keep even a pod that is left alone.
		before := w.pageFailed
		begin("page does not come", 0.01, &w.pageFailed, 10)
		if w.pageFailed != before {
			w.pageOutcome = []Outcome{OutcomeTimeout, OutcomeUnreadable}[w.IntN(2)]
		}
	}
	if w.chance(0.004 * rate) {
		w.counts["fault late tick"]++
		w.late = w.between(3*w.rules.CheckInterval, 3*w.rules.CheckInterval+time.Minute)
	}
	if w.chance(0.004 * rate) {
		w.counts["fault wall clock stepped"]++
		w.wall = w.between(-time.Hour, time.Hour)
	}
	if w.chance(0.002*rate) && len(w.ladder) == 0 {
		w.counts["fault watchdog killed"]++
		w.resume()
		w.alone.killed()
	}
}

// failing: some source did not answer at the last look.
func (w *watch) failing() bool {
	for _, since := range w.blind {
		if since > 0 {
			return true
		}
	}
	return w.gpuFailed+w.gpuLost+w.socketsFailed+w.hostFailed+w.pageFailed > 0
}

// misfortune happens to the servers themselves.
func (w *watch) misfortune() {
	for _, s := range w.servers {
		if s.phase != serving {
			continue
		}
		switch {
		case w.chance(0.001):
			w.counts["fault engine died"]++
			s.enter(dead, w.between(5*time.Second, time.Minute))
		case w.chance(0.0015):
			w.counts["fault server gone"]++
			s.enter(gone, w.between(5*time.Second, 3*time.Minute))
			s.requests = nil
		case w.chance(0.001):
			w.counts["fault server hangs"]++
			s.enter(hanging, w.between(10*time.Second, 6*time.Minute))
		case w.chance(0.002):
			w.counts["sleep mode"]++
			s.asleep, s.requests = !s.asleep, nil
		}
	}
}

// guards forbid a stop for a while.
func (w *watch) guards() {
	if w.guardFor--; w.guardFor > 0 {
		return
	}
	w.guard = ""
	if w.chance(0.004) {
		w.guard = []string{"locked", "identity unknown", "no saving", "not armed", "target refused", "hold", "hours", "terminal", "undone"}[w.IntN(9)]
		w.guardFor = 10 + w.IntN(100)
		w.counts["guard "+w.guard]++
	}
}

// tell begins a lie.
func (w *watch) tell(lie string) {
	w.lie = lie
	w.counts["lie "+lie]++
	s := w.servers[w.IntN(len(w.servers))]
	switch lie {
	case "stuck gauge":
		s.stuckRunning = 2
	case "stuck load":
		s.tracked, s.stuckLoad = true, 1
	case "stuck socket":
		w.nextCookie++
		s.stuckSocket = w.nextCookie
	case "spin":
		w.spinning = true
	case "hang":
		s.enter(hanging, 0)
	case "sleep":
		s.asleep, s.requests = true, nil
	}
}

// truth ends the lie.
func (w *watch) truth() {
	for _, s := range w.servers {
		s.stuckRunning, s.stuckLoad, s.stuckSocket = 0, 0, 0
		if w.lie == "hang" && s.phase == hanging {
			s.restart(w.between(5*time.Second, time.Minute))
		}
	}
	w.spinning, w.lie, w.monitor = false, "", w.monitored
}
