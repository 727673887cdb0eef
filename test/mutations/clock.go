package main

// clockMutations take out the rows of the idle clock's table.
var clockMutations = []mutation{
	{"busy leaves the clock", clockFile, `n.Idle, n.QuietRun, n.LastActive = 0, 0, s.At`, `n.QuietRun, n.LastActive = 0, s.At`},
	{"busy leaves T", clockFile, `		n.Threshold = 0
`, ""},
	{"broken leaves the warning of an attempt", clockFile, `		if was != Broken {
			n = n.lapse()
		}
		n = n.warnedOn(s.Elapsed)
`, `		n = n.warnedOn(s.Elapsed)
`},
	{"what was broken leaves its warning to idleness", clockFile, `		if was == Broken {
			n = n.lapse()
		}
`, ""},
	{"the warning of what is broken does not stand for its time", rulesFile, `max(limit-passed, lead-j.WarnedFor)`, `limit - passed`},
	{"unknown advances the clock", clockFile, `		n.UnknownFor += s.Elapsed
`, `		n.UnknownFor += s.Elapsed
		n.Idle += s.Elapsed
`},
	{"broken advances the clock", clockFile, `			n.BrokenFor += s.Elapsed
`, `			n.BrokenFor += s.Elapsed
			n.Idle += s.Elapsed
`},
	{"broken leaves the row of quiet windows", clockFile, `		n.QuietRun = 0
		if was != Broken {`, `		if was != Broken {`},
	{"quiet does not advance the clock", clockFile, `		n.Idle += s.Elapsed
		n.QuietRun`, `		n.QuietRun`},
	{"T never moves within a gap", clockFile, `shifted := moved > 0 && `, `shifted := false && moved > 0 && `},
	{"T moves with every breath of B", clockFile, `float64(moved) >= float64(breakEvenShift*float64(n.ChosenB))`, `true`},
	{"a price that arrives changes nothing", clockFile, ` && n.ChosenPriced == q.PriceUSDPerHour.Known`, ``},
	{"T may be below three looks", clockFile, `max(r.Threshold(q), 3*r.CheckInterval)`, `r.Threshold(q)`},
	{"the warning stands without passing time", clockFile, `		n.WarnedFor += elapsed
`, ""},
	{"time before a first look counts", decideFile, `if !p.Based || s.Elapsed < 0 {`, `if s.Elapsed < 0 {`},
	{"time may run backward", decideFile, `if !p.Based || s.Elapsed < 0 {`, `if !p.Based {`},
	{"after a reset, requests above 0 are unknown", serversFile, `case d.reset && d.requests:`, `case false:`},
	{"a reset is no reason to doubt", serversFile, `	case d.reset:
		f.baseline = s.URL + ": its counters were reset"
`, ""},
	{"another start stamp is the same start", serversFile, `d.restarted = m.StartedAt > 0 && s.StartedAt > 0 && m.StartedAt != s.StartedAt`, `d.restarted = false`},
	{"a counter that fell is no reset", serversFile, `d.reset = d.reset || fell(was[c], now)`, `_ = fell(was[c], now)`},
	{"an engine that vanished is no reset", serversFile, ` || vanished(m.Engines, s.Engines)`, ` || vanished(nil, s.Engines)`},
	{"a server that came back was not restarted", serversFile, `n.Mark = ServerMark{}         // whatever`, `// whatever`},
	{"a server that was restarted while the watchdog was away was not loading", serversFile, `, d.reset && !based:`, `:`},
	{"a server that comes late was not loading", serversFile, `case !p.Ready && (based || p.Waited > 0), `, `case `},
	{"another identity keeps the clock", stateFile, `if startID == "" || stored.StartID != startID {`, `if startID == "" {`},
	{"an unknown identity keeps the clock", stateFile, `if startID == "" || stored.StartID != startID {`, `if stored.StartID != startID && startID != "" {`},
	{"a new process goes on as if it had looked", stateFile, `	stored.Based = false
`, `	stored.Based = true
`},
	{"what stands still is forgotten by a restart", stateFile, "`json:\"still_ns\"`", "`json:\"-\"`"},
	{"what hangs is forgotten by a restart", stateFile, "`json:\"unbacked_ns\"`", "`json:\"-\"`"},
	{"a spin is forgotten by a restart", stateFile, "`json:\"spin_ns\"`", "`json:\"-\"`"},
	{"MIN_RUNTIME counts before the server was ready", windowFile, `if p.EverReady || len(s.Servers)+len(n.Ports) == 0 {`, `if true {`},
	{"MIN_RUNTIME never begins without servers", windowFile, `if p.EverReady || len(s.Servers)+len(n.Ports) == 0 {`, `if p.EverReady {`},
	{"MIN_RUNTIME never begins for a server that is no vLLM", windowFile, `server.Ready || server.foreign(r)`, `server.Ready`},
}

// stopMutations take out what becomes of a stop.
var stopMutations = []mutation{
	{"a pod that lives on after 30 s was stopped", attemptFile, `a.Phase == StopAccepted && a.For >= proofWait`, `false`},
	{"an unproven stop is silent", attemptFile, `		a.Unproven = true
		a.RetryIn`, `		a.RetryIn`},
	{"work does not overtake a stop", attemptFile, `if a.Phase == StopAccepted || a.Phase == StopUnprovenWait {`, `if false {`},
	{"an overtaken stop is silent", attemptFile, `Since: s.At})
			a.Unproven = true
`, `Since: s.At})
`},
	{"an overtaken stop is retried", attemptFile, `		a = Attempt{Unproven: a.Unproven}
`, ""},
	{"work clears the alarm of an unproven stop", attemptFile, `a = Attempt{Unproven: a.Unproven}`, `a = Attempt{}`},
	{"retries do not slow down", attemptFile, `if d *= 2; d >= retryMost {`, `if d >= retryMost {`},
	{"retries slow down without end", attemptFile, `			return retryMost
`, `			continue
`},
	{"Retry-After is not heard", attemptFile, `max(retryDelay(a.Tries), s.Stop.RetryAfter)`, `retryDelay(a.Tries)`},
	{"Retry-After alone is heard", attemptFile, `max(retryDelay(a.Tries), s.Stop.RetryAfter)`, `s.Stop.RetryAfter`},
	{"a try is counted each time it is heard of", attemptFile, `	if a.Phase != StopAsked {
		a.Tries++
	}
`, `	a.Tries++
`},
	{"the refusal of an overtaken stop counts", attemptFile, `!n.Acted && a.Phase == StopNone && phase != StopAccepted`, `false`},
	{"the acceptance of an overtaken stop does not count", attemptFile, `!n.Acted && a.Phase == StopNone && phase != StopAccepted`, `!n.Acted && a.Phase == StopNone`},
	{"a refused stop is silent", decideFile, `if a.Refused {`, `if false {`},
	{"the alarm of a refused stop ends with the next try", decideFile, `if a.Refused {`, `if a.Phase == StopRefused {`},
	{"a stop that a kill interrupted is asked for no more", stateFile, `stored.Attempt.Phase, stored.Attempt.For = StopAccepted, 0`, `_ = 0`},
	{"a dry run's stop outlives it", stateFile, `		stored.Attempt = Attempt{Unproven: stored.Attempt.Unproven}
`, ""},
	{"30 s of proof are an hour", constantFile, `proofWait = 30 * time.Second`, `proofWait = time.Hour`},
}
