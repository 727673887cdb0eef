package main

// lieMutations let one lie after the other through.
var lieMutations = []mutation{
	{"lie: /load of 0 counts without its flag", serversFile, `n.LoadSeen && s.Load == Known(0.0)`, `s.Load == Known(0.0)`},
	{"lie: /load of 0 beside running gauges is work for ever", serversFile, `unbacked && n.UnbackedFor >= unbackedLimit`, `false`},
	{"lie: a gauge that is late by a step is a hung engine", serversFile, `const unbackedLimit = 15 * time.Second`, `const unbackedLimit = 1`},
	{"lie: /load speaks for several API servers", serversFile, ` && s.StartedAt > 0 && !d.moved`, ` && !d.moved`},
	{"lie: a waiting request beside /load of 0 is hung", serversFile, `running > 0 && waiting == 0 &&`, `running > 0 &&`},
	{"lie: /load of an older epoch counts", serversFile, `		n.LoadSeen, n.UnbackedFor = false, 0
	}
	switch {`, `		n.UnbackedFor = 0
	}
	switch {`},
	{"lie: what stands still is work for ever", stillFile, `state.StillFor >= r.BrokenLimit`, `false`},
	{"lie: what stands still is no work at once", stillFile, `state.StillFor >= r.BrokenLimit`, `state.StillFor > 0`},
	{"lie: it stands still although the CPU computes", stillFile, `case hard, c.computes():`, `case hard:`},
	{"lie: it stands still although something moves", stillFile, `case hard, c.computes():`, `case c.computes():`},
	{"lie: it ages while a witness is away", stillFile, `	case soft && (cpuFailed(s) || g.missing != "" && s.GPU.State != SourceAbsent && n.GPU.required(r)):
		return state.StillFor
`, ""},
	{"lie: it ages without any witness", stillFile, `case soft && !f.quiet && !g.quiet && !c.load.Known:`, `case false:`},
	{"lie: it begins anew while the server hangs", stillFile, `case f.failed, f.skipped, s.Sockets.State == SourceFailed:`, `case f.skipped, s.Sockets.State == SourceFailed:`},
	{"lie: it begins anew while the socket table fails", stillFile, `case f.failed, f.skipped, s.Sockets.State == SourceFailed:`, `case f.failed, f.skipped:`},
	{"lie: it is disbelieved in a window without the CPU", windowFile, `case w.stalled && cpuFailed(s):`, `case false:`},
	{"lie: what hung in one server hangs in all", stillFile, `			if sign.port == port {
				soft`, `			if sign.port > 0 {
				soft`},
	{"lie: a connection that stands still holds every final look", stillFile, `(!stalled || o.age < fresh)`, `(!stalled || o.age < fresh || true)`},
	{"lie: a fresh request beside it is not seen by the final look", stillFile, `(!stalled || o.age < fresh)`, `(!stalled || o.age < fresh && false)`},
	{"lie: a first request that compiles beside it is not seen by the final look", stillFile, `			fresh = firstMove
`, `			fresh = owedLimit
`},
	{"lie: one request more beside a stuck /load is not seen by the final look", stillFile, `out.owed = first(out.owed, srv.findings[i].arrived)`, `_ = i`},
	{"lie: /health 503 leaves the gauges believed", "watchdog/snapshot.go", `s.Outcome == OutcomeAnswered && s.Health != HealthDead`, `s.Outcome == OutcomeAnswered`},
	{"lie: a server found dead is loading", serversFile, `n.Ready = p.Ready || s.Outcome == OutcomeAnswered && s.Health == HealthDead`, `n.Ready = p.Ready`},
	{"lie: refused is not knowledge", serversFile, `n.Down = n.Ready && (refused || s.Health == HealthDead)`, `n.Down = n.Ready && s.Health == HealthDead`},
	{"lie: missing gauges mean no request", serversFile, `known = known && (e.Running.Known && e.Waiting.Known || untouched(e.Counters))`, `_ = untouched(e.Counters)`},
	{"lie: missing gauges are unknown on an untouched engine", serversFile, `e.Running.Known && e.Waiting.Known || untouched(e.Counters)`, `e.Running.Known && e.Waiting.Known`},
	{"lie: an engine without counters had no request", serversFile, `	return counted
}`, `	return true
}`},
	{"lie: HTTP counters make up for gauges", serversFile, `		f.quiet = known
		if !known {`, `		f.quiet = known || s.HTTPSeries
		if !f.quiet {`},
	{"lie: any page is quiet", serversFile, `f.quiet = s.HTTPSeries`, `f.quiet = true`},
	{"lie: a page under --disable-log-stats says nothing", serversFile, `f.quiet = s.HTTPSeries`, `f.quiet = false`},
	{"lie: sleep mode goes unsaid", serversFile, `if asleep(s) {`, `if false {`},
	{"lie: a spin is work for ever", devicesFile, `case busy && n.SpinFor >= spinTime:`, `case false:`},
	{"lie: a spin is told at once", devicesFile, `case busy && n.SpinFor >= spinTime:`, `case busy && n.SpinFor > 0:`},
	{"lie: a spin may move memory", devicesFile, `g.MemoryRate.Known && g.MemoryRate.Value <= spinMemory &&`, `true &&`},
	{"lie: a spin may draw power", devicesFile, `g.PowerWatts.Known && g.PowerWatts.Value <= float64(d.IdleWatts*spinPower)`, `true`},
	{"lie: a spin needs no idle power", devicesFile, `d.IdleWindows >= wattsLooks && g`, `g`},
	{"lie: a spin may pause", devicesFile, `calm && low >= spinPercent &&`, `calm &&`},
	{"lie: a spin is told beside requests", devicesFile, `calm && low >= spinPercent &&`, `low >= spinPercent &&`},
	{"lie: one long look makes a spin", devicesFile, `d.SpinFor += min(elapsed, spinStep)`, `d.SpinFor += elapsed`},
	{"lie: a spin is told beside a server that cannot be read", windowFile, `srv.unread == 0 && len`, `len`},
	{"lie: work makes the noise floor", windowFile, `len(srv.hard)+len(srv.soft) == 0 &&`, `true &&`},
	{"lie: the floor is above 7 %", devicesFile, `min(floorMost, max(floorLeast, f+1))`, `max(floorLeast, f+1)`},
	{"lie: the floor is below 3 %", devicesFile, `min(floorMost, max(floorLeast, f+1))`, `min(floorMost, f+1)`},
	{"lie: MIG is a failed GPU", devicesFile, `		if d.State == SourceAbsent {
			continue
		}
`, ""},
	{"lie: a request behind a socket is not seen", socketsFile, `		case owed(c, was, seen, came, went):`, `		case false && owed(c, was, seen, came, went):`},
	{"lie: nothing sent yet is not owed", socketsFile, `return c.Sent == 0 || c.SinceReceived`, `return c.SinceReceived`},
	{"lie: received later than sent is not owed", socketsFile, `c.SinceReceived < c.SinceSent ||`, `false ||`},
	{"lie: equal stamps are owed", socketsFile, `c.SinceReceived < c.SinceSent ||`, `c.SinceReceived <= c.SinceSent ||`},
	{"lie: received grew and sent did not is not owed", socketsFile, `(came > 0 || was.OwedFor > 0)`, `was.OwedFor > 0`},
	{"lie: behind equal stamps it is owed for one look only", socketsFile, `(came > 0 || was.OwedFor > 0)`, `came > 0`},
	{"lie: a scrape caught in flight is work", socketsFile, `if n.OwedFor >= owedLimit || came`, `if n.OwedFor > 0 || came`},
	{"lie: two short requests are one long one", socketsFile, `was.OwedFor > 0 && went == 0 {`, `was.OwedFor > 0 {`},
	{"lie: a client that left is waited for", socketsFile, `case c.HalfClosed, kind == portDead:`, `case kind == portDead:`},
	{"lie: a dead server owes answers", socketsFile, `case c.HalfClosed, kind == portDead:`, `case c.HalfClosed:`},
	{"lie: a stream is a scrape", socketsFile, `case went > 0 && c.SinceReceived-c.SinceSent >= owedLimit:`, `case false:`},
	{"lie: a scrape is a stream", socketsFile, `case went > 0 && c.SinceReceived-c.SinceSent >= owedLimit:`, `case went > 0:`},
	{"lie: bytes on an unreadable server are scrapes", socketsFile, `case came+went > 0 && kind == portUnreadable:`, `case false:`},
	{"lie: bytes on a readable server are work", socketsFile, `case came+went > 0 && kind == portUnreadable:`, `case came+went > 0:`},
	{"lie: old bytes are new at a first look", socketsFile, `if !seen && !based {`, `if false {`},
	{"lie: old bytes are new after the table failed", socketsFile, `		return p, t
`, `		return nil, t
`},
	{"lie: sockets without a listener are quiet", portsFile, `!t.quiet || s.Sockets.State != SourceOK`, `s.Sockets.State == SourceFailed`},
}
