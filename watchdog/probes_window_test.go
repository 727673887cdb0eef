package watchdog

import (
	"strings"
	"testing"
	"time"
)

// What becomes of probes in decisions; what they are is in probes_test.go.

func upTo(tokens int) func(*Rules) { return func(r *Rules) { r.ProbeMaxTokens = tokens } }

func TestProbesInDecisions(t *testing.T) {
	runTimelines(t, []timeline{
		{name: "a monitor's request is work where PROBE_MAX_TOKENS is not set", steps: `idle x3; ask=7/1 burst=60 -> busy tokens_moved +gpu_active idle=0s -probes_only`},
		{name: "requests no larger than PROBE_MAX_TOKENS, and the GPU's burst for them, are no work, and are said", rules: upTo(16),
			steps: `idle x3; ask=7/1 burst=60 -> quiet below_threshold +probes_only -gpu_active idle=20s tokens=8; ask=7/17 -> busy tokens_moved -probes_only idle=0s`},
		{name: "a pod that only a monitor asks is stopped", rules: upTo(16), steps: `idle; ask=7/1 burst=60; idle x4; ask=7/1 burst=60; idle x4; ask=7/1; idle -> stop act`},
		{name: "a request in flight that is no larger so far is neither work nor quiet", rules: upTo(16),
			steps: `idle x3; begin=7/3 running=1 -> unknown no_evidence idle=15s; end=0/5 -> quiet +probes_only idle=20s`},
		{name: "a final look holds on it, and on the connection of one", rules: upTo(16),
			steps: `idle x12 -> stop; final begin=7/3 running=1 -> unknown hold noact; final end=0/5 -> quiet; final c1[90/0,9ms/9ms] -> hold noact connection_active`},
		{name: "work that passed for a probe in flight is work when it is over", rules: upTo(16), steps: `idle x3; running=1 -> unknown; idle -> busy requests_in_flight idle=0s; idle -> quiet`},
		{name: "rows of probes are none either", rules: upTo(16), steps: `idle x3; rows=1 rowsize=7 -> quiet +probes_only; rows=1 rowsize=70 -> busy rows_received; rows=1 -> busy rows_received`},
		{name: "what the CPU takes for probes is not learned as idling", rules: func(r *Rules) { r.ProbeMaxTokens, r.CPUBusy = 16, 1 },
			steps: `let cpu=0.4; ask=7/1 x90 -> quiet; cpu=1.2 -> busy host_active`},
		{name: "a restart of the watchdog goes on with what it remembers of requests", rules: upTo(16), steps: `idle x3; begin=7/14 running=1 -> unknown; killed; end=0/9 -> busy tokens_moved`},
		{name: "another start of the pod does not", steps: `ask=7/1; idle x11; ask=7/1; idle x11; ask=7/1; idle x11; ask=7/1; idle x11; ask=7/1; idle x11; ask=7/1 -> alarm:regular_probes; resumed; idle -> noalarm:regular_probes`},
	})
}

// Regular probes that keep the pod awake are named with who sends them and what to do; where they do not count, in the note.
func TestRegularProbesAreSaid(t *testing.T) {
	minute := strings.Repeat(`ask=7/1 c1[348/500,1s/900ms]; idle x11; `, 7)
	for _, c := range []struct {
		name, steps string
		rules       func(*Rules)
		alarm       []string
		reason      string
	}{
		{"tokens", minute + `ask=7/1`, nil, []string{"10.0.0.1 sends 7 prompt and 1 output tokens", "every 1m0s", "WATCHDOG_PROBE_MAX_TOKENS=7"}, ""},
		{"tokens of a larger size than is allowed", minute + `ask=7/1`, upTo(6), []string{"WATCHDOG_PROBE_MAX_TOKENS=7"}, ""},
		{"tokens that do not count", minute + `ask=7/1`, upTo(7), nil, "10.0.0.1 sends 7 prompt and 1 output tokens"},
		{"bytes", strings.Repeat(`c1[348/500,1s/900ms,:8188]; idle x11; `, 7) + `c1[348/500,1s/900ms,:8188]`, withPorts(), []string{"10.0.0.1 sends 348 bytes for 500 to port 8188", "another port"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			sc := &scene{rules: fixtureRules(), base: fixtureSnapshot(1), at: fixtureEpoch}
			sc.base.Sockets.Listening = append(sc.base.Sockets.Listening, 8188)
			sc.rules.BrokenLimit = time.Hour
			if c.rules != nil {
				c.rules(sc.rules)
			}
			if err := sc.look(nil); err != nil {
				t.Fatal(err)
			}
			for step := range strings.SplitSeq(c.steps, ";") {
				if strings.TrimSpace(step) == "" {
					continue
				}
				if _, err := sc.play(step); err != nil {
					t.Fatal(err)
				}
			}
			text := ""
			for _, a := range sc.last.Alarms {
				if a.Code == AlarmProbes {
					text = a.Text
				}
			}
			if (text != "") != (c.alarm != nil) {
				t.Errorf("the alarm says %q", text)
			}
			for _, word := range c.alarm {
				if !strings.Contains(text, word) {
					t.Errorf("the alarm %q lacks %q", text, word)
				}
			}
			if c.reason != "" && !strings.Contains(describeDecision(sc.last), "probes_only: ") || !strings.Contains(describeDecision(sc.last), c.reason) {
				t.Errorf("no reason names %q\n%s", c.reason, describeDecision(sc.last))
			}
		})
	}
}
