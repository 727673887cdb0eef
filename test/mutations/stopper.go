package main

const (
	runpodRoom = "watchdog/stopper/runpod"
	lockFile   = runpodRoom + "/lock.go"
)

// stopperMutations delete a pod without being asked, or with what was on it.
var stopperMutations = []mutation{
	{"terminate: it loses data without being asked", lockFile, `case lost != "":`, `case false:`},
	{"terminate: it loses data that it knows nothing of", lockFile, `case err != nil:`, `case false:`},
	{"terminate: its second lock is not there", runpodRoom + "/config.go", `if c.action == ActionTerminate {`, `if false {`},
	{"terminate: its refusal is not foreseen", runpodRoom + "/describe.go", `pod.Refused = c.foreseen(ctx, pod)`, `_ = c.foreseen(ctx, pod)`},
	{"terminate: a stop deletes the pod", runpodRoom + "/config.go", `return c.action != ActionStop`, `return true`},
	{"terminate: storage of a new kind counts as none", runpodRoom + "/storage.go", `	strict.DisallowUnknownFields()
`, ""},
	{"terminate: a disk of unknown size counts as none", runpodRoom + "/storage.go", `	return watchdog.Maybe[storage]{}
}`, `	return watchdog.Known(storage{})
}`},
	{"terminate: a pod that RunPod knows no more counts as gone", runpodRoom + "/classify.go", `		a.Kind = stopper.Gone
		a.Detail = c.clean("wrong pod id`, `		a.Kind = stopper.AlreadyStopped
		a.Detail = c.clean("wrong pod id`},
}
