package main

const (
	cpuFile      = "watchdog/cpu.go"
	baselineFile = "watchdog/cpubaseline.go"
	portsFile    = "watchdog/ports.go"
	probesFile   = "watchdog/probes.go"
	burstFile    = "watchdog/probes_burst.go"
	probeFile    = "watchdog/probes_signs.go"
)

// sideworkMutations take out what is said of work that is not vLLM's, and of monitors.
var sideworkMutations = []mutation{
	{"cpu: CPU_BUSY is no work", cpuFile, `case c.above.Known && c.above.Value >= float64(cpuWhole*r.CPUBusy):`, `case false:`},
	{"cpu: a thread must read a whole core", cpuFile, `cpuWhole = 0.9`, `cpuWhole = 1`},
	{"cpu: what it takes to idle counts", cpuFile, `c.above = Known(n.CPU.Above(c.load.Value))`, `c.above = c.load`},
	{"cpu: our own load counts", cpuFile, `load := CPULoad(s.Host.CPUCores, s.Host.OwnCores)
	c :=`, `load := s.Host.CPUCores
	c :=`},
	{"cpu: an instant's mean counts", cpuFile, `if !now.Known || !before.Known || elapsed >= cpuSpan {`, `if true {`},
	{"cpu: half of CPU_BUSY is quiet without other evidence", windowFile, `case !requestLevel && w.cpu.uneasy:`, `case false:`},
	{"cpu: it is no evidence by itself", windowFile, `!w.gpus.quiet && !w.cpu.quiet:`, `!w.gpus.quiet:`},
	{"cpu: a CPU that does not answer is quiet", windowFile, `case w.cpu.missing != "":`, `case false:`},
	{"cpu: it is required for ever", cpuFile, `case cpuFailed(s) && n.Host.required(r):`, `case cpuFailed(s):`},
	{"cpu: a download is no work", cpuFile, `if len(s.Servers) == 0 && c.intake.Or(0) > quietIntake {`, `if false {`},
	{"cpu: an instant's download is work", cpuFile, `lastSecond(p.Intake, s.Host.ReceivedBytesPerSecond, s.Elapsed)`, `s.Host.ReceivedBytesPerSecond`},
	{"cpu: idling is learned under work", windowFile, `missing.Code == "" && r.idlesOtherwise(n, s, srv, w)`, `missing.Code == ""`},
	{"cpu: idling is learned of the CPU alone", cpuFile, `told && !w.loading`, `(told || true) && !w.loading`},
	{"cpu: idling is learned while something stands still", cpuFile, ` && !w.stalled`, ``},
	{"cpu: idling is learned from probes", cpuFile, ` && w.probes.Detail == ""`, ``},
	{"cpu: idling is learned while a source is away", windowFile, `missing.Code == "" && r.idlesOtherwise`, `r.idlesOtherwise`},
	{"cpu: idling of another server holds on", cpuFile, `		n.CPU = CPUBaseline{}
`, `		_ = CPUBaseline{}
`},
	{"cpu: a dead server's idling holds on", cpuFile, `if again || was.idles(r) != now.idles(r) {`, `if again {`},
	{"cpu: a closed port's idling holds on", cpuFile, `now.Listening != portState(p.Ports, now.Port).Listening`, `false`},
	{"cpu: one quiet minute is enough", baselineFile, `low <= quietCPU && little >= cpuSettle`, `low <= quietCPU`},
	{"cpu: a server that spins hides what stands still", cpuFile, `return c.above.Or(0) >= quietCPU`, `return c.load.Or(0) >= quietCPU`},
	{"cpu: a busy GPU beside it is alone", windowFile, ` && len(w.cpu.work) == 0)`, `)`},
	{"cpu: starts that fail are work", windowFile, `		w.cpu.work = nil // a`, `		_ = 0 // a`},

	{"ports: bytes on them are no work", socketsFile, `case came+went > 0 && kind == portOther:`, `case false:`},
	{"ports: bytes that are owed an answer are no work yet", socketsFile, `n.OwedFor >= owedLimit || came+went > 0 && kind == portOther`, `n.OwedFor >= owedLimit`},
	{"ports: a page that is left open holds for ever", stillFile, `stalled := len(waiting) > 0 && still >= r.BrokenLimit`, `stalled := false`},
	{"ports: it holds every final look", stillFile, `(!stalled || o.age < firstMove)`, `true`},
	{"ports: nobody holds a final look there", stillFile, `o.port == p.Port && (`, `o.port == 0 && (`},
	{"ports: bytes stand still", stillFile, `hard || len(moving) > 0`, `hard`},
	{"ports: a vLLM's port is theirs, too", portsFile, `port == 0 || servers ||`, `port == 0 || servers && false ||`},
	{"ports: nobody is waited for", windowFile, `srv.loading = first(srv.loading, r.awaited(n, srv))`, `_ = r.awaited`},
	{"ports: somebody is waited for for ever", portsFile, `return p.Waited < r.StartupTimeout })
	if`, `return true })
	if`},
	{"ports: a listener that went is waited for again", portsFile, `if n.Seen = n.Seen || n.Listening; !n.Seen {`, `if n.Seen = n.Listening; !n.Seen {`},
	{"ports: a table that fails has no listener", portsFile, `if s.Sockets.State == SourceOK || s.Sockets.State == SourceAbsent {`, `if true {`},
	{"ports: they speak for a vLLM out of sight", portsFile, `n.listens() && !hidden`, `n.listens()`},
	{"ports: they do not speak for a vLLM that is gone", portsFile, `n.listens() && !hidden`, `false`},
	{"ports: a pod that serves there is a wreck", brokenFile, `case n.listens():`, `case false:`},
	{"ports: MIN_RUNTIME begins before anybody listens", windowFile, `len(s.Servers)+len(n.Ports) == 0`, `len(s.Servers) == 0`},
	{"ports: MIN_RUNTIME never begins", windowFile, `n.EverReady = n.EverReady || n.listens() || len(s.Servers) == 0`, `_ = n.EverReady`},
	{"ports: answers there are requests that are stuck", stillFile, `len(waiting) > 0 && !answered`, `len(waiting)+len(moving) > 0`},

	{"probes: nothing is excused", windowFile, `srv, w.traffic, w.gpus = w.probes.excuse(requests, srv, w.traffic, w.gpus)`, `_, _, _ = w.probes.excuse(requests, srv, w.traffic, w.gpus)`},
	{"probes: PROBE_MAX_TOKENS is ignored", windowFile, `Observe(requests, r.ProbeMaxTokens)`, `Observe(requests, 0)`},
	{"probes: one in flight is quiet", windowFile, `case w.probes.Pending != "":`, `case false:`},
	{"probes: their rows are work", windowFile, `s.Rows > 0 && w.probes.Rows == ProbesNone`, `s.Rows > 0`},
	{"probes: the end of a long request is one", "watchdog/probes_account.go", `fresh.Midway = s.InFlight`, `fresh.Midway = false`},
	{"probes: rows have no size", probeFile, `RowPrompt: s.RowPrompt, RowOutput: s.RowOutput,`, ``},
	{"probes: they go unsaid", windowFile, `if w.probes.Detail != "" {`, `if false {`},
	{"probes: who sends them goes unsaid", probesFile, `if len(f.Regular) == 0 {`, `if true {`},
	{"probes: those that do not count are an alarm", alarmsFile, `case most.Value > r.ProbeMaxTokens:`, `default:`},
	{"probes: work that passed for one is forgotten", probeFile, `srv.hard = append(srv.hard, f.Late...)`, `_ = f.Late`},
	{"probes: a burst that fills short looks is work", burstFile, `t.GPUQuiet || t.GPUBusyFor+elapsed <= most`, `t.GPUQuiet`},
	{"probes: a burst that fills short looks passes for ever", burstFile, `t.GPUBusyFor+elapsed <= most`, `elapsed <= most`},
	{"probes: samples of a short look after them are work", probeFile, ` || short)`, ` || short && false)`},
	{"probes: samples that were lost were theirs", probeFile, `short := !d.Gap &&`, `short := true &&`},
}
