package watchdog

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAServerThatCannotBeReadFromTheStart(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "what answers in another way than vLLM is loading for now, and named with its second answer",
			steps: `raw; unreadable -> busy server_loading noalarm:server_unreadable; unreadable -> busy hold server_loading alarm:server_unreadable`},
		{name: "a connection that breaks off once, while the server comes up, is nothing to be named",
			steps: `raw; refused x3; unreadable -> busy noalarm:server_unreadable; idle -> busy noalarm:server_unreadable; idle x2 -> quiet noalarm:server_unreadable`},
		{name: "what then hangs is still named", steps: `raw; unreadable x2; timeout -> busy alarm:server_unreadable`},
		{name: "what then is gone may be another one next time", steps: `raw; unreadable x2; refused -> busy noalarm:server_unreadable; unreadable -> busy noalarm:server_unreadable`},
		{name: "a server that only hangs or refuses is loading", steps: `raw; timeout x5 -> busy server_loading noalarm:server_unreadable; refused x5 -> busy server_loading noalarm:server_unreadable`},
		{name: "a server that was read once and then is not has another alarm", steps: `idle; unreadable x3 -> unknown noalarm:server_unreadable`},
	})
}

// TestWhatIsWrongIsSaid: a wrong URL or certificate is mended only by who is told what is wrong with it.
func TestWhatIsWrongIsSaid(t *testing.T) {
	for _, c := range []struct {
		name, steps string
		alarm       string
		words       []string
	}{
		{"not vLLM, so far", `raw; unreadable x2`, AlarmNotVLLM, []string{"http://127.0.0.1:8000", "is an HTML page", "WATCHDOG_VLLM_URLS", "STARTUP_TIMEOUT (1m0s)"}},
		{"not vLLM, ever", `raw; unreadable x15`, AlarmNotVLLM, []string{"http://127.0.0.1:8000", "is an HTML page", "socket table"}},
		{"never ready", `raw; timeout x15`, AlarmNeverReady, []string{"http://127.0.0.1:8000", "no whole answer", "STARTUP_TIMEOUT (1m0s)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := &scene{rules: fixtureRules(), base: fixtureSnapshot(1), at: fixtureEpoch}
			sc.rules.StartupTimeout = time.Minute
			for step := range strings.SplitSeq(strings.TrimPrefix(c.steps, "raw;"), ";") {
				if _, err := sc.play(step); err != nil {
					t.Fatal(err)
				}
			}
			i := slices.IndexFunc(sc.last.Alarms, func(a Alarm) bool { return a.Code == c.alarm })
			if i < 0 {
				t.Fatalf("alarms: %v, want %s", sc.last.Alarms, c.alarm)
			}
			for _, word := range c.words {
				if !strings.Contains(sc.last.Alarms[i].Text, word) {
					t.Errorf("the alarm %q lacks %q", sc.last.Alarms[i].Text, word)
				}
			}
		})
	}
	t.Run("the reason names it from the first look on", func(t *testing.T) {
		sc := &scene{rules: fixtureRules(), base: fixtureSnapshot(1), at: fixtureEpoch}
		if _, err := sc.play("unreadable -> server_loading"); err != nil {
			t.Fatal(err)
		}
		if detail := sc.last.Reasons[0].Detail; !strings.Contains(detail, "is an HTML page") {
			t.Errorf("server_loading says %q, and not what is wrong", detail)
		}
	})
}
