package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// settings tells what was set, and what is wrong with it.
func (e *examination) settings(context.Context) []Finding {
	var out []Finding
	for _, m := range e.Mistakes {
		shown := config.Problem{Variable: m.Variable, Value: m.Value}
		text, remedy := split(m.Text, "correct it, or unset it")
		shown.Text = text
		out = append(out, Finding{Verdict: Failed, Detail: shown.String(), Remedy: remedy, mistaken: true})
	}
	if len(out) > 0 {
		out = append(out, Finding{Verdict: Note, Detail: "what follows was checked with the defaults of these in their place"})
	}
	for _, w := range append(e.Config.Warnings(), e.Env.Ignored...) {
		detail, remedy := split(w, "")
		out = append(out, Finding{Verdict: Warning, Detail: detail, Remedy: remedy})
	}
	var set []string
	secrets := ""
	for _, row := range e.Config.Table() {
		origin := e.Config.Origin(row.Variable)
		switch {
		case !e.Config.Explicit(row.Variable):
			continue
		case origin == config.FromFile:
			secrets += fmt.Sprintf("; %s is read from a file", row.Variable)
		case origin == config.FromRunpod:
			secrets += "; RunPod's key is the injected RUNPOD_API_KEY"
			continue
		}
		set = append(set, row.Variable)
	}
	if len(out) > 0 && len(set) == 0 {
		return out
	}
	detail := "none is set, so the defaults hold"
	if len(set) > 0 {
		detail = fmt.Sprintf("%s: %s", count(len(set), "is set", "are set"), strings.Join(set, ", "))
	}
	return append(out, Finding{Verdict: OK, Detail: detail + secrets})
}
