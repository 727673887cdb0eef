package main

// evidenceMutations take out what the sources say and which of them are required.
var evidenceMutations = []mutation{
	{"requests in flight are no work", serversFile, `case running+waiting > 0:`, `case false:`},
	{"waiting requests are no work", serversFile, `case running+waiting > 0:`, `case running > 0:`},
	{"/load is no work", serversFile, `load := s.Load.Or(0); load > 0`, `load := s.Load.Or(0); load > 1e9`},
	{"moved counters are no work", serversFile, `	case d.moved:
		f.hard = append(f.hard, Because{Code: TokensMoved, Detail: d.detail})
`, ""},
	{"the HTTP counter is no work", serversFile, `(d.moved || http > 0)`, `d.moved`},
	{"GPU samples are no work", devicesFile, `		case busy:
			out.hard`, `		case false:
			out.hard`},
	{"only the rate of the GPU counts, not its samples", devicesFile, `max(top, float64(slices.Max(d.Samples)))`, `top`},
	{"only the samples of the GPU count, not its rate", devicesFile, `low, top = d.Rate.Or(0), d.Rate.Or(0)`, `low, top = 0, 0`},
	{"lost samples are quiet", devicesFile, `case d.Gap:`, `case false:`},
	{"a device without a reading is quiet", devicesFile, `d.State != SourceOK || !known`, `d.State != SourceOK || !known && false`},
	{"a driver that fails makes us forget the floor", devicesFile, `return p, recent, out`, `return nil, recent, out`},
	{"a lost device is quiet", devicesFile, `d.State != SourceOK || !known`, `!known`},
	{"a loading server is no work", windowFile, `	case w.loading && !n.hopeless(s, srv):
		w.activity, w.because = Busy, []Because{{Code: ServerLoading, Detail: srv.loading}}
`, ""},
	{"a server that falls silent after its page is quiet", serversFile, `case s.Mute && n.MuteFor < r.BrokenLimit:`, `case false:`},
	{"a server that answers with its page alone is unknown for ever", serversFile, `case s.Mute && n.MuteFor < r.BrokenLimit:`, `case s.Mute:`},
	{"a server loads for ever", serversFile, `n.Waited < r.StartupTimeout`, `true`},
	{"a dead server is not broken", brokenFile, `srv.down != "" && !r.comesAgain(s.Child, srv)`, `false`},
	{"broken comes before busy", windowFile, `	case len(hard)+len(w.soft) > 0:`, `	case len(hard)+len(w.soft) > 0 && srv.down == "":`},
	{"a first look is quiet", windowFile, `case !p.Based:`, `case false:`},
	{"a late look is quiet", windowFile, `s.Elapsed > r.late(s.Final)`, `false`},
	{"a second of lateness is late at short intervals", windowFile, `max(2*r.CheckInterval, time.Second)`, `2*r.CheckInterval`},
	{"the second final look is late", windowFile, `		late += finalApart
`, ""},
	{"a clock that steps forward is quiet", windowFile, `case s.WallStep > clockStepLimit, s.WallStep < -clockStepLimit:`, `case s.WallStep < -clockStepLimit:`},
	{"a clock that steps back is quiet", windowFile, `case s.WallStep > clockStepLimit, s.WallStep < -clockStepLimit:`, `case s.WallStep > clockStepLimit:`},
	{"a server that was not asked is quiet", windowFile, `	case srv.skipped > 0:
		return Because{Code: NoEvidence, Detail: "the servers were not asked in this window"}
`, ""},
	{"a server that was not asked may be called dead", serversAllFile, `if n.Down && s.Outcome != OutcomeSkipped {`, `if n.Down {`},
	{"a server that does not answer is quiet", windowFile, `case srv.missing != "":`, `case false:`},
	{"a GPU that does not answer is quiet", windowFile, `case w.gpus.missing != "" && s.GPU.State != SourceAbsent && n.GPU.required(r):`, `case false:`},
	{"a socket table that does not answer is quiet", windowFile, `case s.Sockets.State == SourceFailed && n.Sockets.required(r):`, `case false:`},
	{"a source that worked is required for ever", stateFile, `return t.Worked && t.FailedFor > 0 && t.FailedFor >= brokenLimit`, `return false`},
	{"a source that never worked is required for ever", stateFile, `return !t.Worked && t.FailedFor > 0 && t.FailedFor >= startupTimeout`, `return false`},
	{"a dropped source stays dropped when it answers", stateFile, `		return Track{Worked: true}
	case SourceAbsent:`, `		t.Worked = true
		return t
	case SourceAbsent:`},
	{"no source need speak of requests", windowFile, `case len(s.Servers) > 0 && !requestLevel:`, `case false:`},
	{"nothing at all is evidence", windowFile, `case !requestLevel && !w.gpus.quiet && !w.cpu.quiet:`, `case false:`},
	{"a server that never came is no reason to hold", windowFile, `case !n.EverReady && len(srv.overdue) > 0:`, `case false:`},
	{"one server's reset goes unnoticed", windowFile, `case srv.baseline != "":`, `case false:`},
	{"a look that asks the server again changes the leading reason", windowFile, `	if at < 0 {
		return ""
	}
	first`, `	if true {
		return ""
	}
	first`},
	{"rows of requests are no work", windowFile, `if s.Rows > 0 && w.probes.Rows == ProbesNone {`, `if false {`},
	{"blindness is silent", alarmsFile, `n.UnknownFor+s.Elapsed >= minuteOfFailure && w.activity == Unknown`, `false`},
	{"single evidence is silent", alarmsFile, `n.OneSourceFor >= minuteOfFailure`, `false`},
	{"a GPU that is busy alone is silent", alarmsFile, `n.GPUAloneFor > 2*r.BrokenLimit`, `false`},
	{"requests that stand still are silent", alarmsFile, `n.StuckFor > 2*r.BrokenLimit`, `false`},
	{"a counter that moves does not end a standstill", windowFile, `case len(srv.hard) > 0, srv.loading != "":
		return 0
	case waiting:`, `case srv.loading != "":
		return 0
	case waiting:`},
	{"a spared page ends a standstill", windowFile, `		return p.StuckFor
	}`, `		return 0
	}`},
	{"a dead server is silent", alarmsFile, `if srv.down != "" {`, `if false {`},
	{"a server that never came is silent", alarmsFile, `if len(srv.overdue) > 0 {`, `if false {`},
	{"a dropped source is silent", alarmsFile, `case t.dropped(r.BrokenLimit):`, `case false:`},
}
