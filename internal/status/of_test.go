package status

import (
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

var at = time.Date(2026, 11, 24, 12, 0, 0, 999_000_000, time.FixedZone("KST", 9*3600))

// of is the document about a view that holds a decision made a moment ago.
func of(change func(*loop.View)) Status {
	v := &loop.View{Decision: watchdog.Decision{At: at}, Stale: 15 * time.Second}
	change(v)
	return Of(v, at.Add(2*time.Second), "1.2.3")
}

func TestServerStates(t *testing.T) {
	answered := watchdog.Server{Outcome: watchdog.OutcomeAnswered}
	for name, c := range map[string]struct {
		server watchdog.Server
		all    string
		want   string
	}{
		"answered":                      {answered, "ok", "ok"},
		"answered beside one that does": {answered, "failed", "ok"},
		"not asked":                     {watchdog.Server{Outcome: watchdog.OutcomeSkipped}, "ok", "ok"},
		"dead behind a good page":       {watchdog.Server{Outcome: watchdog.OutcomeAnswered, Health: watchdog.HealthDead}, "ok", "failed"},
		"refused, which is knowledge":   {watchdog.Server{Outcome: watchdog.OutcomeRefused}, "ok", "failed"},
		"timeout":                       {watchdog.Server{Outcome: watchdog.OutcomeTimeout}, "failed", "failed"},
		"given up":                      {watchdog.Server{Outcome: watchdog.OutcomeTimeout}, "dropped", "dropped"},
		"never vLLM":                    {watchdog.Server{}, "absent", "absent"},
		"zero":                          {watchdog.Server{}, "", "failed"},
	} {
		s := of(func(v *loop.View) {
			v.Snapshot.Servers = []watchdog.Server{c.server}
			v.Decision.Evidence.VLLM = c.all
		})
		if got := s.Sources.VLLM[0].State; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestDeviceStates(t *testing.T) {
	for name, c := range map[string]struct {
		state watchdog.SourceState
		all   string
		want  string
	}{
		"read":      {watchdog.SourceOK, "ok", "ok"},
		"not asked": {watchdog.SourceSkipped, "ok", "ok"},
		"foreign":   {watchdog.SourceAbsent, "ok", "absent"},
		"lost":      {watchdog.SourceFailed, "ok", "failed"},
		"given up":  {watchdog.SourceFailed, "dropped", "dropped"},
	} {
		s := of(func(v *loop.View) {
			v.Snapshot.GPU.Devices = []watchdog.Device{{UUID: "GPU-1", State: c.state, Rate: watchdog.Known(3.0), Samples: []uint8{1, 7, 2}}}
			v.Decision.Evidence.GPU = c.all
		})
		got := s.Sources.GPU[0]
		if got.State != c.want {
			t.Errorf("%s: %s, want %s", name, got.State, c.want)
		}
		if want := (watchdog.Maybe[float64]{Value: 7, Known: true}); c.state == watchdog.SourceOK && got.PercentMax != want || c.state != watchdog.SourceOK && got.PercentMax.Known {
			t.Errorf("%s: at most %v %%", name, got.PercentMax)
		}
	}
}

// A pod without any device still says what became of the GPU as a source.
func TestNoDevice(t *testing.T) {
	for _, state := range []string{"absent", "failed"} {
		s := of(func(v *loop.View) { v.Decision.Evidence.GPU = state })
		if want := (GPU{State: state}); len(s.Sources.GPU) != 1 || s.Sources.GPU[0] != want {
			t.Errorf("%s: %+v", state, s.Sources.GPU)
		}
	}
}

func TestLastBytes(t *testing.T) {
	for name, c := range map[string]struct {
		connections []watchdog.Connection
		peer        string
		seconds     watchdog.Maybe[float64]
	}{
		"none": {nil, "of the decision", watchdog.Maybe[float64]{}},
		"silent since its birth": {[]watchdog.Connection{{Peer: "a", SinceSent: time.Second}},
			"of the decision", watchdog.Maybe[float64]{}},
		"received last": {[]watchdog.Connection{{Peer: "a", Received: 1, Sent: 1, SinceReceived: 5 * time.Second, SinceSent: 9 * time.Second}, {Peer: "b", Sent: 1, SinceSent: 6 * time.Second}},
			"a", watchdog.Known(7.0)},
		"sent last": {[]watchdog.Connection{{Peer: "a", Received: 1, SinceReceived: 5 * time.Second}, {Peer: "b", Sent: 1, SinceSent: 0}},
			"b", watchdog.Known(2.0)},
	} {
		s := of(func(v *loop.View) {
			v.Snapshot.Sockets.Connections = c.connections
			v.Decision.Peer = "of the decision"
		}).Sources.Sockets
		if s.LastPeer.Value != c.peer || s.LastBytes != c.seconds {
			t.Errorf("%s: %v, %v", name, s.LastPeer, s.LastBytes)
		}
	}
}

func TestTimesAreUTCToTheSecond(t *testing.T) {
	s := of(func(v *loop.View) { v.Decision.ActivitySince = at })
	if got, want := s.Since.Value.Format(time.RFC3339Nano), "2026-11-24T03:00:00Z"; got != want {
		t.Errorf("activity_since is %s, want %s", got, want)
	}
}

func TestUnknownIsNotZero(t *testing.T) {
	s := of(func(v *loop.View) { v.Decision.Quote = watchdog.Quote{NoSaving: true, BreakEven: time.Minute} })
	for name, known := range map[string]bool{
		"threshold": s.Threshold.Known, "break-even without a saving": s.BreakEven.Known, "price": s.Money.PriceUSDPerHour.Known,
		"cold start": s.Money.ColdStart.Known, "spent": s.Money.SpentToday.Known, "stop": s.StopAt.Known, "since": s.Since.Known,
		"target": s.Target.Kind.Known, "permission": s.Target.Permission.Known, "name": s.Name.Known,
	} {
		if known {
			t.Errorf("%s is known", name)
		}
	}
	if !s.Idle.Known || s.Verdict.Value != "hold" || s.Reason.Value != "no_evidence" || s.Activity.Value != "unknown" {
		t.Errorf("a decision of zeroes is not the safe one: %+v", s)
	}
}

func TestWarningsComeOnce(t *testing.T) {
	s := of(func(v *loop.View) {
		v.Warnings = []string{"the GPU has failed", "no volume"}
		v.Decision.Alarms = []watchdog.Alarm{{Code: "a", Text: "the GPU has failed"}, {Code: "b", Text: "blind"}}
	})
	if len(s.Warnings) != 3 || s.Warnings[2] != "blind" {
		t.Errorf("warnings: %q", s.Warnings)
	}
}

func TestVerdictAndTargetAsConfigured(t *testing.T) {
	s := of(func(v *loop.View) {
		v.Decision.Verdict, v.Verdict = watchdog.Stop, "would_stop"
		v.Identity.Target = loop.Target{Kind: "runpod", ID: "abc", Action: "stop"}
		v.Permission, v.PermissionDetail = loop.PermissionUnproven, "not asked yet"
		v.Identity.Unarmed = "the key is missing"
	})
	if s.Verdict.Value != "would_stop" || s.Target.Permission.Value != "unproven" || s.Target.Detail.Value != "the key is missing" {
		t.Errorf("verdict %v, target %+v", s.Verdict, s.Target)
	}
}

func TestURLsLoseTheirSecrets(t *testing.T) {
	for raw, want := range map[string]string{
		"http://127.0.0.1:8000":               "http://127.0.0.1:8000",
		"http://u:p@host:1/base?token=x#frag": "http://host:1/base",
		"http://host/?":                       "http://host/",
		"http://[::1":                         "(a URL that cannot be read)",
	} {
		if got := withoutSecrets(raw); got != want {
			t.Errorf("%s became %s, want %s", raw, got, want)
		}
	}
}
