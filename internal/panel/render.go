package panel

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
)

// Options say how the panel looks.
type Options struct {
	// Color uses ANSI colours.
	Color bool
	// Width is the terminal's, in columns; 0 is 80, and less than 40 is taken as 40.
	Width int
}

// Render writes the panel of s to w.
func Render(w io.Writer, s status.Status, o Options) error {
	if o.Width == 0 {
		o.Width = 80
	}
	p := &sheet{width: max(leastWidth, o.Width), color: o.Color}
	p.title(s)
	p.verdict(s)
	p.idle(s)
	p.people(s)
	p.warnings(s)
	p.reasons(s)
	p.serverLog(s)
	p.serving(s)
	p.money(s)
	p.target(s)
	p.evidence(s)
	p.lastStop(s)
	if _, err := io.WriteString(w, p.String()); err != nil {
		return fmt.Errorf("write the panel: %w", err)
	}
	return nil
}

func (p *sheet) title(s status.Status) {
	name := clean(s.Name.Or("gpu-watchdog"))
	about := fmt.Sprintf("gpu-watchdog %s  %s", clean(s.Version), s.Now.UTC().Format("2006-01-02 15:04:05 UTC"))
	badge, t := badge(s)
	gap := p.width - utf8.RuneCountInString(name) - utf8.RuneCountInString(about) - utf8.RuneCountInString(badge) - 2
	if gap < 2 {
		p.line(p.paint(words.Bold, clip(name, p.width)))
		for _, part := range wrap(about, p.width) {
			p.line(p.paint(words.Dim, part))
		}
		p.line(p.paint(t, badge))
		return
	}
	p.line(p.paint(words.Bold, name) + "  " + p.paint(words.Dim, about) + strings.Repeat(" ", gap) + p.paint(t, badge))
}

func badge(s status.Status) (string, words.Tone) {
	switch {
	case !s.Armed.Known:
		return "", words.Plain
	case s.DryRun.Value:
		return "[dry run]", words.Yellow
	case !s.Armed.Value:
		return "[not armed]", words.Red
	case s.RevertedUntil.Known:
		return "[disarmed]", words.Red
	}
	return "[armed]", words.Green
}

var activityTones = map[string]words.Tone{"busy": words.Green, "quiet": words.Blue, "unknown": words.Yellow, "broken": words.Red}

func (p *sheet) verdict(s status.Status) {
	p.line("")
	lasted := ""
	if s.Activity.Known && s.Since.Known {
		lasted = fmt.Sprintf("for %s (since %s)", since(s.Since.Value, s.Now), clock(s.Since.Value, s.Now))
	}
	p.row("activity", activityTones[s.Activity.Value], text(s.Activity), lasted)
	if !s.Verdict.Known {
		p.row("verdict", words.Dim, unknown, "")
		return
	}
	t := words.Bold
	if s.Verdict.Value != "hold" {
		t = words.Red
	}
	p.row("verdict", t, text(s.Verdict)+": "+text(s.Reason), "")
	if len(s.Reasons) > 0 {
		p.row("", words.Plain, "", explain(s.Reasons[0], s.Now))
	}
}

// explain is a reason in words.
func explain(r status.Reason, now time.Time) string {
	out := clean(r.Detail)
	if out == "" {
		out = meaning(r.Code)
	}
	if r.Since.Known {
		out += " (since " + clock(r.Since.Value, now) + ")"
	}
	return out
}

// idle shows the idle clock as a bar, and when a stop comes.
func (p *sheet) idle(s status.Status) {
	switch {
	case s.Idle.Known && s.Threshold.Known && s.Threshold.Value > 0:
		share := min(1, max(0, s.Idle.Value/s.Threshold.Value))
		p.row("idle", words.Plain, span(s.Idle.Value), fmt.Sprintf("of %s (%.0f %%)", span(s.Threshold.Value), share*100))
		cells := p.width - keyWidth - 4
		full := int(share * float64(cells))
		p.line("  " + pad("", keyWidth) + p.paint(activityTones[s.Activity.Value], strings.Repeat("█", full)) + p.paint(words.Dim, strings.Repeat("░", cells-full)))
	case s.Idle.Known:
		p.row("idle", words.Plain, span(s.Idle.Value), "(no threshold: it is chosen when idleness begins)")
	default:
		p.row("idle", words.Dim, unknown, "")
	}
	switch {
	case !s.Verdict.Known:
		p.row("stop", words.Dim, unknown, "")
	case !s.StopAt.Known:
		p.row("stop", words.Dim, "none in sight", "")
	default:
		t := words.Plain
		if s.Verdict.Value != "hold" {
			t = words.Red
		}
		when := "now"
		if left := s.StopAt.Value.Sub(s.Now); left > 0 {
			when = "in " + span(left.Seconds())
		}
		if s.DryRun.Value {
			when += ", if this were no dry run"
		}
		p.row("stop", t, "at "+clock(s.StopAt.Value, s.Now)+",", when)
	}
	if s.Draining.Value {
		p.row("draining", words.Yellow, "out of its service", "(/readyz fails)")
	}
}

// people shows what people have asked for, and what keeps a pod whose stop is announced.
func (p *sheet) people(s status.Status) {
	if s.PostponedUntil.Known {
		p.row("postponed", words.Yellow, "until "+clock(s.PostponedUntil.Value, s.Now), "(gpu-watchdog release ends that)")
	}
	for _, h := range s.Holds {
		why := ""
		if h.Why.Known {
			why = ": " + text(h.Why)
		}
		p.row("held", words.Yellow, "until "+write(h.Until, func(t time.Time) string { return clock(t, s.Now) }), "by "+text(h.By)+why)
	}
	if s.RevertedUntil.Known {
		p.row("disarmed", words.Red, "until "+clock(s.RevertedUntil.Value, s.Now), "or the next request: the last stops were undone")
	}
	switch {
	case s.Verdict.Value != "warn":
	case s.Capped():
		p.row("to keep it", words.Plain, "a hold does not help against a cap", "")
	default:
		p.row("to keep it", words.Bold, "gpu-watchdog hold 2h", "")
	}
}

// serverLog shows the last words of a server that is broken or has done its job.
func (p *sheet) serverLog(s status.Status) {
	if len(s.ServerLog) == 0 {
		return
	}
	p.head("the server's last lines")
	for _, line := range s.ServerLog {
		for _, part := range wrap(clean(line), p.width-2) {
			p.line("  " + part)
		}
	}
}

func (p *sheet) warnings(s status.Status) {
	if len(s.Warnings) == 0 {
		return
	}
	p.head("warnings")
	for _, warning := range s.Warnings {
		for i, line := range wrap(clean(warning), p.width-4) {
			mark := "  "
			if i == 0 {
				mark = p.paint(words.Yellow, "! ")
			}
			p.line("  " + mark + line)
		}
	}
}

// reasons shows those beside the deciding one, which stands with the verdict.
func (p *sheet) reasons(s status.Status) {
	if len(s.Reasons) < 2 {
		return
	}
	p.head("also")
	for _, r := range s.Reasons[1:] {
		// The codes are longer than the names on the left, so each is a line of its own, and its words go below.
		p.line("  " + clip(clean(r.Code), p.width-2))
		p.row("", words.Plain, "", explain(r, s.Now))
	}
}
