package main

const (
	rulesFile      = "watchdog/rules.go"
	windowFile     = "watchdog/window.go"
	serversAllFile = "watchdog/allservers.go"
	serversFile    = "watchdog/servers.go"
	stillFile      = "watchdog/still.go"
	devicesFile    = "watchdog/devices.go"
	socketsFile    = "watchdog/connections.go"
	clockFile      = "watchdog/clock.go"
	decideFile     = "watchdog/decide.go"
	attemptFile    = "watchdog/attempt.go"
	capsFile       = "watchdog/caps.go"
	guardsFile     = "watchdog/guards.go"
	brokenFile     = "watchdog/broken.go"
	stateFile      = "watchdog/state.go"
	alarmsFile     = "watchdog/alarms.go"
	constantFile   = "watchdog/rules_config.go"
)

// orderMutations take each rule out of the order, one by one, and each part of those that have several.
var orderMutations = []mutation{
	{"no rule: cannot act", rulesFile, `	{"cannot act", (*Rules).cannotAct},` + "\n", ""},
	{"no rule: work", rulesFile, `	{"work", (*Rules).work},` + "\n", ""},
	{"no rule: caps", rulesFile, `	{"caps", (*Rules).caps},` + "\n", ""},
	{"no rule: hold", rulesFile, `	{"hold", (*Rules).hold},` + "\n", ""},
	{"no rule: keep hours", rulesFile, `	{"keep hours", (*Rules).keepHours},` + "\n", ""},
	{"no rule: terminal", rulesFile, `	{"terminal", (*Rules).terminal},` + "\n", ""},
	{"no rule: minimum runtime", rulesFile, `	{"minimum runtime", (*Rules).minRuntime},` + "\n", ""},
	{"no rule: broken", rulesFile, `	{"broken", (*Rules).broken},` + "\n", ""},
	{"no rule: unknown", rulesFile, `	{"unknown", (*Rules).unknown},` + "\n", ""},
	{"no rule: no saving", rulesFile, `	{"no saving", (*Rules).noSaving},` + "\n", ""},
	{"no rule: final look", rulesFile, `	{"final look", (*Rules).finalLook},` + "\n", ""},
	{"no rule: idle below the warning", rulesFile, `	{"idle below the warning", (*Rules).belowWarning},` + "\n", ""},
	{"no rule: warning", rulesFile, `	{"warning", (*Rules).warning},` + "\n", ""},
	{"no rule: threshold reached", rulesFile, `	{"threshold reached", (*Rules).reached},` + "\n", ""},
	{"an unknown identity may stop", rulesFile, `	case j.snapshot.StartID == "":
		return hold(NotArmed, "the identity of this start is unknown")
`, ""},
	{"a locked pod may be stopped", rulesFile, `j.snapshot.Pod.Locked.Or(false)`, `false`},
	{"a serverless worker may be stopped", rulesFile, `r.Refused != ""`, `false`},
	{"an unarmed watchdog may stop", rulesFile, `case !r.Armed:`, `case false:`},
	{"a second stop is asked for while the first is", rulesFile, `case a.Phase == StopAsked:`, `case false:`},
	{"an accepted stop awaits no proof", rulesFile, `case a.Phase == StopAccepted:`, `case false:`},
	{"an unproven stop is retried at once", rulesFile, `a.Phase == StopUnprovenWait && a.RetryIn > 0`, `false`},
	{"a refused stop is retried at once", rulesFile, `a.Phase == StopRefused && a.RetryIn > 0`, `false`},
	{"MIN_RUNTIME forgets the warning that follows it", guardsFile, `max(left+r.lead(j.Threshold), `, `max(left, `},
	{"one quiet window is enough", rulesFile, `j.QuietRun < 2`, `false`},
	{"a dry run acts", rulesFile, `act:     j.Attempt.Phase != StopWouldHave,`, `act:     true,`},
	{"a dry run acts on what is broken", rulesFile, `verdict: Stop, act: j.Attempt.Phase != StopWouldHave`, `verdict: Stop, act: true`},
	{"a dry run acts on a cap", capsFile, `j.Attempt.Phase != StopWouldHave`, `true`},
	{"a cap is not announced for its time", capsFile, `l.Value.left <= 0 && n.CapFor >= r.WarnBefore`, `l.Value.left <= 0`},
	{"a cap comes early", capsFile, `l.Value.left <= 0 && n.CapFor`, `n.CapFor`},
	{"a cap lets nothing end", capsFile, `ended := n.Activity == Quiet || n.Activity == Broken`, `ended := true`},
	{"a cap takes blindness for the end of what is in flight", capsFile, `n.Activity == Quiet || n.Activity == Broken`, `n.Activity != Busy`},
	{"a server that a restart took away is dead", serversAllFile, `max(n.DownFor, r.StartupTimeout)`, `n.DownFor`},
	{"what dies again and again beside another server loads for ever", windowFile, `case w.loading && !n.hopeless(s, srv):`, `case w.loading:`},
	{"a cap waits for ever", capsFile, ` || n.DrainFor >= drainMost)`, `)`},
	{"a cap that is due is held by work", capsFile, `n.CapDue = n.CapDue || reached`, `n.CapDue = reached`},
	{"work overtakes a cap", attemptFile, `activity == Busy && !n.CapDue`, `activity == Busy`},
	{"of two caps the farther counts", capsFile, `l.left < out.Value.left`, `l.left > out.Value.left`},
	{"the spent day never ends", capsFile, `n.CapNear, n.CapDue, n.CapFor, n.DrainFor = false, false, 0, 0`, `n.CapDue = false`},
	{"a hold outlives its end", guardsFile, `	if !until.After(at) {`, `	if until.IsZero() {`},
	{"a stop cannot be put off", guardsFile, `until, detail := people.PostponedUntil,`, `until, detail := time.Time{},`},
	{"a terminal is guarded for ever", guardsFile, `used.Value >= r.TerminalGuard`, `r.TerminalGuard == 0`},
	{"what is broken is stopped at once", rulesFile, `	if left := max(limit-passed, lead-j.WarnedFor); left > 0 {
		return &ruling{verdict: Warn, until: Known(left), stopIn: Known(left)}
	}
`, ""},
	{"what is broken is not announced", rulesFile, `left := limit - passed; left > lead {`, `left := limit - passed; left > 0 {`},
	{"who mends what is broken is not seen", brokenFile, `c.computes(), `, ``},
	{"a download is not seen", brokenFile, `, c.intake.Or(0) > quietIntake`, ``},
	{"a GPU that does not answer stands still", brokenFile, `g.missing != "" && s.GPU.State`, `false && s.GPU.State`},
	{"a server that lives does not speak for the pod", brokenFile, `srv.alive+srv.skipped > 0`, `false`},
	{"a job that is done is waited for like a dead server", brokenFile, `	if why == JobDone {`, `	if false {`},
	{"a server that does not answer never came", brokenFile, `gone := srv.gone == len(s.Servers)`, `gone := true`},
	{"four crashes are a loop", constantFile, `crashFew    = 5`, `crashFew    = 4`},
	{"crashes are never forgotten", brokenFile, `age < crashWithin`, `true`},
	{"the death of a server that served for long is a crash", brokenFile, `s.ReadyFor >= crashSoon })`, `false })`},
	{"a crash without a supervisor is none", brokenFile, `was.ReadyFor < crashSoon && (now.Down || again)`, `false`},
	{"a server that its supervisor starts again is dead", brokenFile, `c.Running && c.RunningFor < r.StartupTimeout`, `false`},
	{"a process whose engine has died is loading", brokenFile, ` && c.RunningFor <= srv.downFor`, ``},
	{"a server that its supervisor started is loading for ever", brokenFile, `c.Running && c.RunningFor < r.StartupTimeout`, `c.Running`},
	{"a stop that would be refused is asked for", rulesFile, `	case j.snapshot.Pod.Refused != "":`, `	case false:`},
	{"stops that were undone go on", rulesFile, `	case j.snapshot.RevertedUntil.After(j.snapshot.At):`, `	case false:`},
	{"stops that were undone are never taken up again", rulesFile, `j.snapshot.RevertedUntil.After(j.snapshot.At):`, `!j.snapshot.RevertedUntil.IsZero():`},
	{"stops that were undone are silent", alarmsFile, `	if s.RevertedUntil.After(s.At) {`, `	if false {`},
	{"blindness is never stopped", rulesFile, `	case r.BlindLimit <= 0:`, `	default:`},
	{"the warning is longer than half of T", rulesFile, `min(r.WarnBefore, threshold/2)`, `r.WarnBefore`},
	{"the warning need not stand for its time", rulesFile, `max(j.Threshold-j.Idle, lead-j.WarnedFor)`, `max(j.Threshold-j.Idle, 0*lead)`},
	{"the warning is taken back by unknown", rulesFile, `	return &ruling{keeps: true}`, `	return &ruling{}`},
	{"the warning is taken back by a final look that holds", rulesFile, `Detail: j.window.owed}}, keeps: true}`, `Detail: j.window.owed}}}`},
	{"the warning is taken back between two tries", rulesFile, `until: until, keeps: true}`, `until: until}`},
	{"the warning outlives every rule that holds", decideFile, `	case !rule.keeps:
		return n.lapse()
`, ""},
}
