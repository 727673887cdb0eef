package main

const (
	rulesFile    = "watchdog/rules.go"
	windowFile   = "watchdog/window.go"
	serversFile  = "watchdog/servers.go"
	stillFile    = "watchdog/still.go"
	devicesFile  = "watchdog/devices.go"
	socketsFile  = "watchdog/connections.go"
	clockFile    = "watchdog/clock.go"
	decideFile   = "watchdog/decide.go"
	attemptFile  = "watchdog/attempt.go"
	stateFile    = "watchdog/state.go"
	alarmsFile   = "watchdog/alarms.go"
	constantFile = "watchdog/rules_config.go"
)

// orderMutations take each rule out of the order, one by one, and each part of those that have several.
var orderMutations = []mutation{
	{"no rule: cannot act", rulesFile, `	{"cannot act", (*Rules).cannotAct},` + "\n", ""},
	{"no rule: work", rulesFile, `	{"work", (*Rules).work},` + "\n", ""},
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
	{"MIN_RUNTIME forgets the warning that follows it", rulesFile, `max(left+r.lead(j.Threshold), `, `max(left, `},
	{"one quiet window is enough", rulesFile, `j.QuietRun < 2`, `false`},
	{"a dry run acts", rulesFile, `j.Attempt.Phase != StopWouldHave`, `true`},
	{"the warning is longer than half of T", rulesFile, `min(r.WarnBefore, threshold/2)`, `r.WarnBefore`},
	{"the warning need not stand for its time", rulesFile, `max(j.Threshold-j.Idle, lead-j.WarnedFor)`, `max(j.Threshold-j.Idle, 0*lead)`},
	{"the warning is taken back by unknown", rulesFile, `	return &ruling{keeps: true}`, `	return &ruling{}`},
	{"the warning is taken back by a final look that holds", rulesFile, `Detail: j.window.owed}}, keeps: true}`, `Detail: j.window.owed}}}`},
	{"the warning is taken back between two tries", rulesFile, `until: until, keeps: true}`, `until: until}`},
	{"the warning outlives every rule that holds", decideFile, `	case !rule.keeps:
		return n.lapse()
`, ""},
}
