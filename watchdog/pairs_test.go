package watchdog

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// condition makes one rule apply to a pod that would otherwise be stopped at this look.
type condition struct {
	name string
	// rule is the rule of order that it is about.
	rule  string
	apply func(r *Rules, p *State, s *Snapshot)
	// endedByWork: work takes the condition away before the rules are asked, so the rule of work decides.
	endedByWork bool
	// excludes names conditions that cannot hold at the same time.
	excludes string
}

var conditions = []condition{
	{name: "identity unknown", rule: "cannot act", apply: func(_ *Rules, p *State, s *Snapshot) { p.StartID, s.StartID = "", "" }},
	{name: "pod locked", rule: "cannot act", apply: func(_ *Rules, _ *State, s *Snapshot) { s.Pod.Locked = Known(true) }},
	{name: "stop would be refused", rule: "cannot act", apply: func(_ *Rules, _ *State, s *Snapshot) { s.Pod.Refused = "three replicas" }},
	{name: "target refused", rule: "cannot act", apply: func(r *Rules, _ *State, _ *Snapshot) { r.Refused = "serverless" }},
	{name: "not armed", rule: "cannot act", apply: func(r *Rules, _ *State, _ *Snapshot) { r.Armed, r.Unarmed = false, "no target" }},
	{name: "stops undone", rule: "cannot act", apply: func(_ *Rules, _ *State, s *Snapshot) {
		s.RevertedUntil, s.Reverted = s.At.Add(time.Hour), "two stops were undone"
	}},
	{name: "stop asked", rule: "cannot act", endedByWork: true, excludes: "stop accepted, stop unproven, back-off",
		apply: func(_ *Rules, p *State, _ *Snapshot) {
			p.Attempt = Attempt{Target: "runpod", Phase: StopAsked, Tries: 1}
		}},
	{name: "stop accepted", rule: "cannot act", endedByWork: true, excludes: "stop unproven, back-off",
		apply: func(_ *Rules, p *State, _ *Snapshot) {
			p.Attempt = Attempt{Target: "runpod", Phase: StopAccepted, Tries: 1}
		}},
	{name: "stop unproven", rule: "cannot act", endedByWork: true, excludes: "back-off",
		apply: func(_ *Rules, p *State, _ *Snapshot) {
			p.Attempt = Attempt{Target: "runpod", Phase: StopUnprovenWait, Tries: 1, RetryIn: time.Minute, Unproven: true}
		}},
	{name: "back-off", rule: "cannot act", endedByWork: true, apply: func(_ *Rules, p *State, _ *Snapshot) {
		p.Attempt = Attempt{Target: "runpod", Phase: StopRefused, Tries: 1, RetryIn: time.Minute}
	}},
	{name: "cap near", rule: "caps", apply: func(r *Rules, _ *State, s *Snapshot) {
		r.MaxRuntime, s.RunFor = time.Hour, Known(time.Hour-time.Second)
	}},
	{name: "hold", rule: "hold", apply: func(_ *Rules, _ *State, s *Snapshot) {
		s.People.HoldUntil, s.People.HoldBy = s.At.Add(time.Hour), "ann"
	}},
	{name: "postponed", rule: "hold", apply: func(_ *Rules, _ *State, s *Snapshot) { s.People.PostponedUntil = s.At.Add(time.Minute) }},
	{name: "work", rule: "work", excludes: "server loading", apply: func(_ *Rules, _ *State, s *Snapshot) { s.GPU.Devices[0].Samples = []uint8{90} }},
	{name: "server loading", rule: "work", excludes: "broken", apply: func(_ *Rules, p *State, s *Snapshot) {
		p.Servers = nil
		s.Servers[0] = Server{URL: fixtureURL, Port: 8000, Outcome: OutcomeRefused}
	}},
	{name: "keep hours", rule: "keep hours", apply: func(r *Rules, _ *State, _ *Snapshot) {
		r.Keep = func(at time.Time) (time.Time, bool) { return at.Add(time.Hour), true }
	}},
	{name: "minimum runtime", rule: "minimum runtime", apply: func(r *Rules, _ *State, _ *Snapshot) { r.MinRuntime = time.Hour }},
	{name: "terminal", rule: "terminal", apply: func(r *Rules, _ *State, s *Snapshot) {
		r.TerminalGuard, s.People.TerminalUsed, s.People.Terminal = time.Minute, Known(time.Second), "pts/0"
	}},
	{name: "broken", rule: "broken", apply: func(_ *Rules, _ *State, s *Snapshot) { s.Servers[0].Health = HealthDead }},
	{name: "unknown", rule: "unknown", apply: func(_ *Rules, _ *State, s *Snapshot) { s.WallStep = time.Hour }},
	{name: "no saving", rule: "no saving", apply: func(_ *Rules, _ *State, s *Snapshot) { s.Quote.NoSaving = true }},
	{name: "owed in the final look", rule: "final look", apply: func(_ *Rules, _ *State, s *Snapshot) {
		s.Final = true
		s.Sockets.Connections = []Connection{{Cookie: 1, Port: 8000, Peer: "10.0.0.1:4000", Received: 9, SinceReceived: time.Millisecond, SinceSent: time.Millisecond}}
	}},
	{name: "idle below the warning", rule: "idle below the warning", excludes: "warning, threshold reached",
		apply: func(_ *Rules, p *State, _ *Snapshot) { p.Idle, p.Warned, p.WarnedFor = 10*time.Second, false, 0 }},
	{name: "warning", rule: "warning", excludes: "threshold reached",
		apply: func(_ *Rules, p *State, _ *Snapshot) { p.Idle, p.Warned, p.WarnedFor = fixtureT-fixtureWarn, false, 0 }},
	{name: "threshold reached", rule: "threshold reached", apply: func(*Rules, *State, *Snapshot) {}},
}

// dueState is a pod at whose next quiet look the threshold is reached and the warning has stood for its time.
func dueState(t *testing.T) State {
	t.Helper()
	sc := &scene{rules: fixtureRules(), base: fixtureSnapshot(1), at: fixtureEpoch}
	for range 12 {
		if err := sc.look(nil); err != nil {
			t.Fatal(err)
		}
	}
	if sc.last.Verdict != Warn || sc.state.Idle != fixtureT-fixtureInterval {
		t.Fatalf("the fixture is not due at its next look: %s", describeDecision(sc.last))
	}
	return sc.state
}

// For each pair of conditions that hold at once, the rule that comes first in the order wins, with its reason. The golden
// file is the table for people; the test holds it to the order as well.
func TestPairsOfRules(t *testing.T) {
	position := map[string]int{}
	for i, name := range RuleOrder() {
		position[name] = i
	}
	due := dueState(t)
	var table strings.Builder
	table.WriteString("# For each two conditions at once: the verdict and the reason of the rule that wins.\n")
	covered := map[string]bool{}
	for i, a := range conditions {
		covered[a.rule] = true
		if _, ok := position[a.rule]; !ok {
			t.Errorf("condition %q is about %q, which is no rule", a.name, a.rule)
		}
		for _, b := range conditions[i:] {
			if strings.Contains(a.excludes, b.name) {
				continue
			}
			r, p, s := fixtureRules(), due, fixtureSnapshot(1)
			s.At = fixtureEpoch.Add(time.Hour)
			for _, c := range []condition{b, a} { // the one that the order puts first has the last word about the state
				c.apply(r, &p, &s)
			}
			_, d := r.Decide(p, s)
			fmt.Fprintf(&table, "%-24s %-24s %-5s %s\n", a.name, b.name, d.Verdict, d.Reason())
			want := a.rule
			if a.endedByWork && b.rule == "work" {
				want = b.rule
			}
			if rule := ruleOf(r, p, s); rule != want {
				t.Errorf("%s and %s: %q decides, want %q\n%s", a.name, b.name, rule, want, describeDecision(d))
			}
			if stops := a.rule == "threshold reached"; stops != (d.Verdict == Stop) || d.Act != stops {
				t.Errorf("%s and %s: %s, act %t", a.name, b.name, d.Verdict, d.Act)
			}
		}
	}
	for _, name := range RuleOrder() {
		if !covered[name] {
			t.Errorf("no condition is about the rule %q", name)
		}
	}
	const golden = "testdata/pairs.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(table.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v: run go test ./watchdog -run TestPairsOfRules -update", err)
	}
	if have := table.String(); have != string(want) {
		t.Errorf("the table changed; look at it, and run go test ./watchdog -run TestPairsOfRules -update\n%s", firstDifference(string(want), have))
	}
}

// ruleOf is the name of the rule that decides, found as Decide finds it.
func ruleOf(r *Rules, p State, s Snapshot) string {
	n, w := r.observe(p, s)
	n = r.advance(n, s, w)
	n = r.capped(n, s)
	n, _ = r.attempt(n, s, w.activity)
	for _, o := range order {
		if o.rule(r, judged{State: n, snapshot: s, window: w}) != nil {
			return o.name
		}
	}
	return ""
}

func firstDifference(want, have string) string {
	w, h := strings.Split(want, "\n"), strings.Split(have, "\n")
	for i := range min(len(w), len(h)) {
		if w[i] != h[i] {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, w[i], h[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(h), len(w))
}
