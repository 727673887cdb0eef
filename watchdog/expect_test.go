package watchdog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// expect checks one expectation of a timeline and words what is there instead:
//
//	hold warn stop · act noact            the verdict, and whether it is to be carried out
//	busy broken unknown quiet             the activity
//	a reason code                         the leading reason; +CODE is any reason, -CODE none
//	idle=60s unknown=10s T=1m stopin=20s  numbers of the decision, ? for unknown
//	tries=2 ready=30s warned=10s          numbers of the state
//	alarm:CODE noalarm:CODE               alarms
//	vllm:WORD gpu:WORD sockets:WORD       evidence
//	work%=5 tokens=27 bytes=10 running=1  readings, ? for unknown
//	peer=ADDRESS
func expect(d Decision, n State, want string) (have string, ok bool) {
	same := func(have string) (string, bool) { return have, have == want }
	if name, value, found := strings.Cut(want, "="); found {
		have = field(d, n, name)
		a, errA := time.ParseDuration(have)
		b, errB := time.ParseDuration(value)
		return name + "=" + have, have == value || errA == nil && errB == nil && a == b
	}
	if kind, code, found := strings.Cut(want, ":"); found {
		switch kind {
		case "alarm", "noalarm":
			raised := slices.ContainsFunc(d.Alarms, func(a Alarm) bool { return a.Code == code })
			return fmt.Sprintf("alarms %v", codes(d.Alarms)), raised == (kind == "alarm")
		case "vllm":
			return same("vllm:" + d.Evidence.VLLM)
		case "gpu":
			return same("gpu:" + d.Evidence.GPU)
		case "sockets":
			return same("sockets:" + d.Evidence.Sockets)
		}
		return "no such expectation", false
	}
	given := func(code string) bool {
		return slices.ContainsFunc(d.Reasons, func(b Because) bool { return string(b.Code) == code })
	}
	switch {
	case want == "hold", want == "warn", want == "stop":
		return same(d.Verdict.String())
	case want == "act", want == "noact":
		return fmt.Sprintf("act %t", d.Act), d.Act == (want == "act")
	case slices.Contains(activityNames[:], want):
		return same(d.Activity.String())
	case strings.HasPrefix(want, "+"):
		return fmt.Sprint(d.Reasons), given(want[1:])
	case strings.HasPrefix(want, "-"):
		return fmt.Sprint(d.Reasons), !given(want[1:])
	}
	return same(string(d.Reason()))
}

func field(d Decision, n State, name string) string {
	at := func(m Maybe[time.Time]) string {
		if !m.Known {
			return "?"
		}
		return m.Value.Sub(d.At).String()
	}
	float := func(m Maybe[float64]) string {
		if !m.Known {
			return "?"
		}
		return strconv.FormatFloat(m.Value, 'g', -1, 64)
	}
	switch name {
	case "idle":
		return d.Idle.String()
	case "unknown":
		return d.UnknownFor.String()
	case "T":
		if !d.Threshold.Known {
			return "?"
		}
		return d.Threshold.Value.String()
	case "stopin":
		return at(d.StopAt)
	case "until":
		return at(d.Until)
	case "tries":
		return strconv.Itoa(n.Attempt.Tries)
	case "ready":
		return n.ReadyFor.String()
	case "warned":
		return n.WarnedFor.String()
	case "work%":
		return strconv.FormatFloat(d.GPUThresholdPercent, 'g', -1, 64)
	case "tokens":
		return float(d.TokensDelta)
	case "running":
		return float(d.Running)
	case "bytes":
		if !d.ConnectionBytes.Known {
			return "?"
		}
		return strconv.FormatUint(d.ConnectionBytes.Value, 10)
	case "peer":
		return d.Peer
	}
	return "no such number"
}

func codes(alarms []Alarm) (out []string) {
	for _, a := range alarms {
		out = append(out, a.Code)
	}
	return out
}

func describeDecision(d Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "tick %d: %s %s act=%t idle=%s unknown=%s T=%v evidence=%+v\n", d.Tick, d.Verdict, d.Activity, d.Act, d.Idle, d.UnknownFor, d.Threshold, d.Evidence)
	for _, r := range d.Reasons {
		fmt.Fprintf(&b, "  %s: %s\n", r.Code, r.Detail)
	}
	for _, a := range d.Alarms {
		fmt.Fprintf(&b, "  alarm %s: %s\n", a.Code, a.Text)
	}
	return b.String()
}
