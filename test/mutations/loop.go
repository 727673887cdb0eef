package main

const (
	loopRoom     = "watchdog/loop"
	tickFile     = loopRoom + "/loop.go"
	peopleFile   = loopRoom + "/people.go"
	personFile   = loopRoom + "/person_stop.go"
	drainFile    = loopRoom + "/drain.go"
	heraldFile   = loopRoom + "/herald.go"
	bellsFile    = loopRoom + "/bells.go"
	recordFile   = loopRoom + "/record.go"
	revertedFile = loopRoom + "/reverted.go"
	stoppingFile = loopRoom + "/stopping.go"
	spentFile    = loopRoom + "/meter.go"
	publishFile  = loopRoom + "/publish.go"
)

// loopMutations take away what the live shell adds to the core: people's orders, the stop itself, and what is told of both.
var loopMutations = []mutation{
	{"an order is not durable when it is answered", peopleFile, "		l.keep(true)\n		if l.acting {", "		if l.acting {"},
	{"an order is answered without a look", peopleFile, "			l.tick(ctx)\n		}", "		}"},
	{"orders wait for the final look to end", stoppingFile, "		case o := <-l.orders:\n			l.obey(ctx, o)\n", ""},
	{"an order within a final look begins another one", peopleFile, `		if l.acting {`, `		if false {`},
	{"an order after the end is carried out", peopleFile, `	if ctx.Err() != nil {
		o.told`, `	if false {
		o.told`},
	{"a hold lets the ladder be climbed on", peopleFile, `asking, yes := l.stopping.giveUp(giveUpMost)`, `asking, yes := l.stopping.running(), true`},
	{"a hold hides that a stop was accepted", peopleFile, `case a.Phase == watchdog.StopAccepted, a.Phase == watchdog.StopUnprovenWait:`, `case false:`},
	{"a hold hides that a cap is near", peopleFile, `				answer.Text += despite(v.Decision)`, `				_ = despite`},
	{"a stop that was given up stays an attempt", peopleFile, `		l.state.Attempt = watchdog.Attempt{Unproven: a.Unproven}
`, ""},
	{"a stop that was given up stays open in the memory", peopleFile, `		l.endStop("refused", "given up: somebody keeps this pod", "")
`, ""},
	{"the end of a hold is not told", peopleFile, `		l.herald.holdEnded(last)
`, ""},
	{"a hold that ended is kept", peopleFile, `	l.kept.Leases = before.At(s.At)`, `	l.kept.Leases = before`},
	{"the release of a postponement is none", peopleFile, ` || putOff {`, ` || putOff && false {`},
	{"a postponement does not reach the core", peopleFile, `	s.People.PostponedUntil = l.kept.Leases.PostponedUntil
`, ""},
	{"a person stops a held pod near a cap", personFile, `ok := l.kept.Leases.Last(); ok {`, `ok := l.kept.Leases.Last(); ok && false {`},
	{"a person stops a pod that was put off, near a cap", personFile, `until.After(d.At) {`, `false {`},
	{"a person cuts who waits, where another rule leads", personFile, `if d.Owed != "" {`, `if false {`},
	{"a retry is written down as the try before it", recordFile, `stop.StartID != l.Identity.StartID || l.acting {`, `stop.StartID != l.Identity.StartID {`},
	{"a clock that was ahead disarms for longer", revertedFile, `l.kept.Undone.Until.After(most) {`, `false {`},
	{"the beginning of a start does not follow the clock", recordFile, `l.kept.Began.At = time.Now()`, `_ = time.Now()`},
	{"a person stops a pod that works", personFile, `d.Activity == watchdog.Busy || `, ""},
	{"a person stops a pod of which nothing is known", personFile, ` || d.Activity == watchdog.Unknown`, ""},
	{"a person stops what is not armed", personFile, `case watchdog.NotArmed, watchdog.TargetRefused:`, `case watchdog.TargetRefused:`},
	{"a person stops what refuses", personFile, `case watchdog.NotArmed, watchdog.TargetRefused:`, `case watchdog.NotArmed:`},
	{"a stop is carried out for somebody who is gone", personFile, `		if err := context.Cause(asker); err != nil {
			return err
		}
`, ""},
	{"a person's stop ends with their patience", personFile, `l.finalLook(ctx, personStop, by, let)`, `l.finalLook(asker, personStop, by, let)`},
	{"two stops are asked for at once", personFile, `	if l.acting || l.stopping.running() {`, `	if l.stopping.running() {`},
	{"a person's stop does not drain", personFile, `l.leaveService(ctx, let)`, `error(nil)`},
	{"a drain is not looked at", drainFile, `		if err := let(l.step(ctx, false)); err != nil {
			return err
		}
	}
}`, `	}
}`},
	{"a pod is drained for no time", drainFile, `at.Sub(l.drainedSince) >= l.Drain`, `true`},
	{"a pod comes back while its end is awaited", drainFile, `phase != watchdog.StopAsked && phase != watchdog.StopAccepted`, `phase != watchdog.StopAsked`},
	{"a pod comes back before the core has heard of its stop", stoppingFile, `	return a.busy || len(a.reports) > 0
}

// giveUp`, `	return a.busy
}

// giveUp`},
	{"one final look is enough", stoppingFile, `		} else if d := l.step(ctx, true); ctx.Err()`, `		} else if d := l.Latest().Decision; ctx.Err()`},
	{"the final looks follow each other at once", stoppingFile, `l.pause(ctx, finalApart)`, `l.pause(ctx, 0)`},
	{"a stop that never was stays in the memory", stoppingFile, `	l.kept.Stop = l.stopBefore
`, ""},
	{"whoever is asked is not told who asked", stoppingFile, `			if reason == personStop {`, `			if false {`},
	{"a hung disk keeps a pod alive", stoppingFile, `context.WithTimeout(context.Background(), flushMost)`, `context.WithCancel(context.Background())`},
	{"work does not end the ladder", tickFile, `		l.stopping.cancel()
`, ""},
	{"work ends a cap's ladder", tickFile, `d.Activity == watchdog.Busy && !d.Capped`, `d.Activity == watchdog.Busy`},
	{"this start is as young as the watchdog", tickFile, `return l.ranFor + time.Since(l.madeAt)`, `return time.Since(l.madeAt)`},
	{"each watchdog begins the start anew", tickFile, `l.kept.Began.StartID != id || id == ""`, `true`},
	{"an announcement is told at each look", heraldFile, `d.Verdict == watchdog.Warn && h.announced == "":`, `d.Verdict == watchdog.Warn:`},
	{"an announcement is never taken back", heraldFile, `!stands && !d.Capped:`, `false:`},
	{"an announcement is taken back while nothing is known", heraldFile, `h.announced != "" && !stands`, `h.announced != ""`},
	{"a cap's announcement is taken back by its own stop", heraldFile, `!stands && !d.Capped:`, `!stands:`},
	{"a hold is said to help against a cap", heraldFile, `	if caps(r) {`, `	if false {`},
	{"each retry is told", heraldFile, `s.Result == h.told && s.Reason`, `false && s.Reason`},
	{"the next stop is not told", heraldFile, `		h.told = "" // another`, `		_ = "" // another`},
	{"an overtaken stop is told twice", heraldFile, `				continue // stop says it better`, `				_ = 0 // stop says it better`},
	{"a dry run is told as if it were meant", heraldFile, `	if h.dry {`, `	if false {`},
	{"an alarm rings at each look", bellsFile, `ok && at.Sub(last) < ringAgain {`, `ok && at.Sub(last) < 0 {`},
	{"an alarm is told each time it is logged", bellsFile, `if _, ok := b.standing[a.Code]; !ok {`, `{`},
	{"an alarm is over again and again", bellsFile, `			delete(b.standing, code)
`, ""},
	{"a refused stop of a person stays open", recordFile, `	case report.Phase == watchdog.StopRefused:`, `	case false:`},
	{"a dry stop of a person stays open", recordFile, `	case report.Phase == watchdog.StopWouldHave:`, `	case false:`},
	{"a refused stop is proven by the next start", recordFile, `	if stop.Result != "asked" && stop.Result != "accepted" {
		return
	}
`, ""},
	{"an undone stop does not count", recordFile, `	l.undone(next)
`, ""},
	{"one undone stop disarms", revertedFile, `undoneFew = 2`, `undoneFew = 1`},
	{"undone stops are never enough", revertedFile, `undoneFew = 2`, `undoneFew = 9`},
	{"undone stops disarm for an hour", revertedFile, `undoneFor = 24 * time.Hour`, `undoneFor = time.Hour`},
	{"a start at any time undoes a stop", revertedFile, `began.Sub(stop.RequestedAt) >= undoneWithin {`, `false {`},
	{"a person's own start undoes their stop", revertedFile, `stop.Reason == personStop || `, ""},
	{"a pod that is older than the stop undid it", revertedFile, ` || began.Before(stop.RequestedAt) {`, ` {`},
	{"a request does not lift the disarming", revertedFile, `		l.kept.Undone = memory.Undone{}
	}
}`, `	}
}`},
	{"who undid a stop is asked at each start of the watchdog", revertedFile, `!l.undoneNow {`, `l.kept.Undone.Count == 0 {`},
	{"who undid a stop is not said", revertedFile, `	if u.By != "" {`, `	if false {`},
	{"a restart forgets what was spent", tickFile, `	l.meter.resume(c.Kept.Spent)
`, ""},
	{"a day's spending never ends", spentFile, `		m.day, m.spentToday, m.idleToday = day, 0, 0
`, `		m.day = day
`},
	{"yesterday's spending counts until the first look", spentFile, `	if !at.UTC().Truncate(24 * time.Hour).Equal(m.day) {
		return 0
	}
`, ""},
	{"the view forgets the holds", publishFile, ` Leases: l.kept.Leases,`, ""},
	{"the view forgets that it drains", publishFile, ` Draining: l.draining.Load(),`, ""},
}
