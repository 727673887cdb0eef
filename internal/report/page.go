package report

import (
	"context"
	"crypto/sha256"
	_ "embed" // the style is part of the page
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/report/chart"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
)

//go:embed page.css
var pageStyle string

// pagePolicy lets a browser use the page's own style and nothing else: no script, no other origin, no form.
var pagePolicy = "default-src 'none'; style-src " + digest(pageStyle) + "; img-src data:; base-uri 'none'; form-action 'none'"

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// icon is the same as that of the watchdog's own page.
const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='%230a8f6c'/%3E%3C/svg%3E"

// Page writes the report as one page that needs nothing else: the table, and plots of what reads adds from the file.
func (r *Report) Page(ctx context.Context, reads Reader, w io.Writer) error {
	var points []store.Point
	step := r.step()
	if !r.Empty() {
		var err error
		if points, err = reads.Series(ctx, r.query(), step); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(w, r.page(points, step)); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// markup is a page that is being written. Text enters it through text alone, and every attribute is ours.
type markup struct{ strings.Builder }

func (m *markup) raw(parts ...string) {
	for _, p := range parts {
		m.WriteString(p)
	}
}

func (m *markup) element(open, words, closing string) {
	m.raw(open, html.EscapeString(words), closing, "\n")
}

func (r *Report) page(points []store.Point, step time.Duration) string {
	m := &markup{}
	name := clean(r.Name)
	m.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
		`<meta http-equiv="Content-Security-Policy" content="`, html.EscapeString(pagePolicy), "\">\n",
		"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n")
	m.element("<title>", name+", "+r.Span.String(), "</title>")
	m.raw(`<link rel="icon" href="`, icon, "\">\n<style>", pageStyle, "</style>\n</head>\n<body>\n<main>\n<header>\n")
	m.element("<h1>", name, "</h1>")
	m.element("<p>", r.Span.String()+" UTC", "</p>")
	m.raw("</header>\n")
	if r.Empty() {
		m.element(`<p id="sum">`, r.nothing(), "</p>")
	} else {
		m.element(`<p id="sum">`, r.sum(), "</p>")
		m.raw("<div class=\"grid\" id=\"tables\">\n")
		for _, part := range blocks {
			m.table(r, part)
		}
		m.notes(r)
		m.raw("</div>\n<div class=\"grid\" id=\"plots\">\n")
		for _, p := range plots(r, points, step) {
			m.plot(p)
		}
		m.raw("</div>\n")
	}
	m.element("<footer>", "gpu-watchdog report of "+r.Now.UTC().Format("2006-01-02 15:04 UTC")+", from "+clean(r.File), "</footer>")
	m.raw("</main>\n</body>\n</html>\n")
	return m.String()
}

// sum says the whole in a sentence.
func (r *Report) sum() string {
	t := &r.Total
	var parts []string
	if t.Requests.Known {
		parts = append(parts, numbered(t.Requests.Value, "request", "requests"))
	}
	if t.SLAPercent.Known {
		parts = append(parts, percent(t.SLAPercent.Value)+" within the SLA of "+seconds0(r.SLATTFT)+" to the first token")
	}
	if t.Tokens.Known {
		parts = append(parts, numbered(t.Tokens.Value, "output token", "output tokens"))
	}
	if t.SpentUSD.Known {
		parts = append(parts, usd(t.SpentUSD.Value)+" spent")
	}
	if idle := t.IdlePercent(); idle.Known {
		parts = append(parts, percent(idle.Value)+" of "+span(t.Watched)+" idle")
	}
	return strings.Join(parts, " · ")
}

// breaks lets a figure stay with its unit, and the names of several sources go below one another.
var breaks = strings.NewReplacer(" ", "\u00a0", "+", "+\u200b")

func (m *markup) table(r *Report, part block) {
	m.raw("<section class=\"card\">\n")
	m.element("<h2>", part.title, "</h2>")
	m.raw("<div class=\"scroll\">\n<table>\n<thead><tr><th scope=\"col\">Date</th>")
	for _, c := range part.columns {
		m.raw("<th scope=\"col\">", html.EscapeString(c.head), "</th>")
	}
	m.raw("</tr></thead>\n<tbody>\n")
	lines := r.lines()
	for i, f := range lines {
		if i == len(lines)-1 {
			m.raw("</tbody>\n<tfoot>\n")
		}
		m.raw("<tr><th scope=\"row\">", html.EscapeString(lineHead(f)), "</th>")
		for _, c := range part.columns {
			m.raw("<td>", html.EscapeString(breaks.Replace(c.cell(f))), "</td>")
		}
		m.raw("</tr>\n")
	}
	m.raw("</tfoot>\n</table>\n</div>\n</section>\n")
}

func (m *markup) notes(r *Report) {
	m.raw("<section class=\"card\">\n")
	m.element("<h2>", "How to read it", "</h2>")
	m.raw("<ul id=\"notes\">\n")
	for _, note := range r.notes() {
		m.element("<li>", note, "</li>")
	}
	m.raw("</ul>\n</section>\n")
}

// keyStyles are the classes of a line's key, by how it is drawn.
var keyStyles = map[chart.Style]string{chart.Dashed: " dashed", chart.Filled: " filled"}

func (m *markup) plot(p plot) {
	m.raw("<figure class=\"card\">\n<figcaption>\n")
	m.element("<h2>", p.title, "</h2>")
	m.element("<p>", p.about, "</p>")
	m.raw("<ul>")
	for _, l := range p.chart.Lines {
		m.raw(`<li class="key `, l.Tone, keyStyles[l.Style], `">`, html.EscapeString(l.Name), "</li>")
	}
	if slices.Contains(p.chart.Unseen, true) {
		m.raw(`<li class="key gap">not watched</li>`)
	}
	m.raw("</ul>\n</figcaption>\n<div class=\"scroll\">\n", p.chart.SVG(), "</div>\n</figure>\n")
}
