package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Report is all that was found.
type Report struct {
	Checks []Finding `json:"checks"`
	// Verdict is the worst of all findings.
	Verdict Verdict `json:"verdict"`

	// title and outlook are for people: what was looked at, and what a watchdog would do.
	title, outlook string
}

// Outcome sorts reports by what whoever asked has to do, as exit codes do.
type Outcome int

// The outcomes. Where several hold, the one with the higher number does.
const (
	// Healthy: nothing failed. There may be warnings.
	Healthy Outcome = iota
	// Unhealthy: a check failed.
	Unhealthy
	// WouldRefuse: this pod is to be stopped, and that would be refused.
	WouldRefuse
	// Misconfigured: a setting is wrong, so the watchdog would not start at all.
	Misconfigured
)

// Outcome says how bad it is.
func (r Report) Outcome() Outcome {
	out := Healthy
	for _, f := range r.Checks {
		switch {
		case f.mistaken:
			out = max(out, Misconfigured)
		case f.refused:
			out = max(out, WouldRefuse)
		case f.Verdict == Failed:
			out = max(out, Unhealthy)
		}
	}
	return out
}

// Summary is the whole in one sentence: how many checks had which verdict.
func (r Report) Summary() string {
	count := map[Verdict]int{}
	for _, f := range r.Checks {
		count[f.Verdict]++
	}
	var parts []string
	for _, v := range []struct {
		verdict Verdict
		one     string
		many    string
	}{{Failed, "failed", "failed"}, {Warning, "warning", "warnings"}, {Note, "note", "notes"}, {OK, "ok", "ok"}} {
		switch n := count[v.verdict]; {
		case n == 1:
			parts = append(parts, "1 "+v.one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, v.many))
		}
	}
	return strings.Join(parts, ", ")
}

// settle cleans every text and finds the worst verdict.
func settle(found []Finding, c cleaner) Report {
	r := Report{Checks: found, Verdict: OK}
	for i := range r.Checks {
		f := &r.Checks[i]
		f.Detail, f.Remedy = c.clean(f.Detail), c.clean(f.Remedy)
		if f.Verdict.weight() > r.Verdict.weight() {
			r.Verdict = f.Verdict
		}
	}
	return r
}

// JSON writes the report for programs.
func (r Report) JSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
