package web

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const header = "<!-- Generated: go test ./internal/web -run Document -update. Do not edit. -->\n\n"

// document holds a generated document against what it is generated from.
func document(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("%s has drifted from the code; write it anew: go test ./internal/web -run Document -update\n%s", path, diff)
	}
}

// TestMetricsDocument generates docs/metrics.md from the registry's own descriptions.
func TestMetricsDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString(header + "# Metrics\n\n" +
		"`GET /metrics` on `WATCHDOG_LISTEN` answers in Prometheus' text format, uncompressed. All series of one page belong to\n" +
		"one decision, the last one. A value that is unknown has no series: it is never shown as 0. Before the first look is over,\n" +
		"only `build_info`, `tick_duration_seconds` and what is counted in rows of requests are there. Counters begin at 0 with the watchdog. No label comes from a user,\n" +
		"a request, a model or a client, and vLLM's own series are not exported again.\n\n" +
		"| Name | Type | Labels | Meaning | No series while |\n|---|---|---|---|---|\n")
	s := showing(fullView())
	s.ObserveTick(0.004)
	gathered, err := s.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	order, absent := documentOrder()
	slices.SortFunc(gathered, func(a, b *dto.MetricFamily) int {
		return slices.Index(order, a.GetName()) - slices.Index(order, b.GetName())
	})
	for _, f := range gathered {
		if !slices.Contains(order, f.GetName()) {
			t.Errorf("%s is on the page and in no list", f.GetName())
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "), f.GetHelp(), absent[f.GetName()])
	}
	if len(gathered) != len(order) {
		t.Errorf("the full view shows %d of %d families", len(gathered), len(order))
	}
	document(t, "../../docs/metrics.md", b.String())
}

// documentOrder is the order of the families in the document, and when each has no series.
func documentOrder() (order []string, absent map[string]string) {
	order, absent = []string{namespace + "_build_info"}, map[string]string{}
	for _, f := range append(slices.Clone(families), rowFamilies...) {
		order = append(order, namespace+"_"+f.name)
		absent[namespace+"_"+f.name] = f.absent
		if f.name == "ticks_late_total" {
			order = append(order, namespace+"_"+tickDuration)
		}
	}
	return order, absent
}

// rowFamilies are those that are not read from the view.
var rowFamilies = []family{{name: gradedRequests}, {name: requestTTFT}, {name: requestTPOT}, {name: droppedRows}}

// ruleMeaning explains each rule of the order; a rule without an entry, and an entry without a rule, fail the test.
var ruleMeaning = map[string]string{
	"cannot act":             "The identity of this start is unknown, the pod is locked, the target is refused, nothing is armed, or the last attempt to stop waits for its proof or its next try. `DRY_RUN` counts as armed.",
	"caps":                   "`MAX_RUNTIME` or `MAX_SPEND_PER_DAY` is near or reached: announced `WARN_BEFORE` ahead, then what is in flight gets two minutes to end.",
	"hold":                   "Somebody holds the pod, or has put the stop off.",
	"work":                   "Work was seen, or a server is loading.",
	"keep hours":             "It is within `KEEP_HOURS`.",
	"minimum runtime":        "The server has been ready for less than `MIN_RUNTIME`.",
	"terminal":               "A terminal was used within `TERMINAL_GUARD`.",
	"broken":                 "The server died, never came, dies again and again, or has done its job: stopped after `BROKEN_LIMIT` in which nothing is done about it (a job that is done: after twice `WARN_BEFORE`).",
	"unknown":                "It cannot be said whether the pod works. The idle clock and a warning stand still; only `BLIND_LIMIT`, where it is set, stops.",
	"no saving":              "A stopped hour is not cheaper than a running one.",
	"final look":             "The last look before a stop found somebody who waits for an answer.",
	"idle below the warning": "Idle for less than the threshold less `WARN_BEFORE` (at most half the threshold).",
	"warning":                "The stop is announced, once, with `stop_at`.",
	"threshold reached":      "Idle for the whole threshold, and the warning has stood for its time: final look, then stop.",
}

// TestReasonsDocument generates docs/reasons.md from the core's closed list of reasons and its order of rules.
func TestReasonsDocument(t *testing.T) {
	var b strings.Builder
	b.WriteString(header + "# Reasons\n\n" +
		"Every decision has a verdict (`hold`, `warn`, `stop`, or under `DRY_RUN` `would_stop`) and names its reasons, the deciding\n" +
		"one first. The codes are a closed list, and are printed verbatim wherever decisions are shown: in the log, on `/status`,\n" +
		"`/metrics` and the page, and by `gpu-watchdog status`. Names in capitals are variables without their prefix `WATCHDOG_`.\n")
	group := ""
	for _, m := range watchdog.ReasonMeaning {
		if m.Group != group {
			group = m.Group
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| Code | Meaning |\n|---|---|\n", title(group), groupMeaning(t, group))
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", m.Code, m.Meaning)
	}
	b.WriteString("\n## The order of the rules\n\nThe first rule that applies decides.\n\n")
	order := watchdog.RuleOrder()
	for i, name := range order {
		meaning, ok := ruleMeaning[name]
		if !ok {
			t.Errorf("the rule %q has no entry in ruleMeaning", name)
		}
		fmt.Fprintf(&b, "%d. **%s.** %s\n", i+1, title(name), meaning)
	}
	for name := range ruleMeaning {
		if !slices.Contains(order, name) {
			t.Errorf("ruleMeaning explains %q, which is no rule", name)
		}
	}
	document(t, "../../docs/reasons.md", b.String())
}

// groupMeaning says what a reason of this group does to the idle clock.
func groupMeaning(t *testing.T, group string) string {
	meaning, ok := map[string]string{
		"work":    "The pod is busy: the idle clock is at zero.",
		"unknown": "The window says nothing: the idle clock stands still, and a warning is paused.",
		"quiet":   "The pod is idle: the idle clock runs.",
		"broken":  "The pod serves nobody, and will not by itself: the idle clock stands still, another one runs.",
		"cap":     "The pod is stopped whatever it does.",
		"guard":   "The pod may be idle, and is held nevertheless.",
		"acting":  "A stop cannot be asked for, was asked for, or was refused.",
	}[group]
	if !ok {
		t.Errorf("the group %q of reasons is not explained here", group)
	}
	return meaning
}

func title(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
