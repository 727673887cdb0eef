package report_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/report"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
)

func page(t testing.TB, r report.Report, reader report.Reader) string {
	t.Helper()
	var b strings.Builder
	if err := r.Page(t.Context(), reader, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPageOfAWeek(t *testing.T) {
	r, reader := week(t)
	text := page(t, r, reader)
	t.Run("needs nothing else", func(t *testing.T) { needsNothingElse(t, text) })
	t.Run("plots are whole", func(t *testing.T) { plotsAreWhole(t, text) })
}

// The page has the table and six plots, and loads and runs nothing.
func needsNothingElse(t *testing.T, text string) {
	if n := strings.Count(text, "<svg"); n != 6 {
		t.Errorf("%d plots", n)
	}
	if len(text) > 256<<10 {
		t.Errorf("the page has %d bytes", len(text))
	}
	rest := strings.ReplaceAll(text, "http://www.w3.org/2000/svg", "") // the name of SVG, which nobody fetches
	for _, never := range []string{"http:", "https:", "//cdn", "@import", "url(", "<script", " style=", " on", "src=", "srcset", "<iframe", "<object", "<form", "NaN", "Inf", "xlink"} {
		for _, tag := range regexp.MustCompile(`<[^>]*`).FindAllString(rest, -1) {
			if strings.Contains(tag, never) && !strings.Contains(tag, "Content-Security-Policy") {
				t.Errorf("%q is in %s", never, tag)
			}
		}
		if never != " on" && never != "src=" && strings.Contains(rest, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindAllStringSubmatch(text, -1)
	if len(style) != 1 {
		t.Fatalf("%d styles", len(style))
	}
	sum := sha256.Sum256([]byte(style[0][1]))
	if want := "style-src &#39;sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "&#39;"; !strings.Contains(text, want) {
		t.Errorf("the policy lacks %s, so no browser would use the style", want)
	}
}

// Every plot is well-formed, says what it shows, and has its unit.
func plotsAreWhole(t *testing.T, text string) {
	for _, svg := range regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1) {
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%v in %.200s", err, svg)
			}
		}
		label := regexp.MustCompile(`aria-label="([^"]+)"`).FindStringSubmatch(svg)
		units := regexp.MustCompile(`<text class="unit"[^>]*>([^<]+)</text>`).FindAllStringSubmatch(svg, -1)
		if label == nil || len(units) != 2 || units[1][1] != "UTC" || !strings.Contains(label[1], units[0][1]) {
			t.Errorf("labelled %q, units %q", label, units)
		}
		if lines := strings.Count(svg, `<path class="line`); lines == 0 {
			t.Errorf("%s: no line", label)
		}
		// The afternoon without a watchdog, and the nights in which the pod was stopped.
		if gaps := strings.Count(svg, `<rect class="gap"`); gaps != 7 {
			t.Errorf("%s: %d gaps", label, gaps)
		}
	}
	if !strings.Contains(text, `<text class="rule"`) || !strings.Contains(text, ">SLA</text>") || !strings.Contains(text, ">2 s</text>") {
		t.Error("the SLA has no label")
	}
}

// Whatever a folder, and so a pod, is called: it is text, in the page and in a terminal.
func TestNamesAreOnlyText(t *testing.T) {
	const hostile = "<script>alert(1)</script>\"'&amp;</title><img src=x onerror=alert(1)>\x1b[31m\u202e\n"
	for _, first := range []string{"2026-01-08", "2020-01-01"} { // with figures, and without
		r, reader := documentWeek(t).report(between(t, first, first))
		r.Name, r.File = hostile, "/dir/"+hostile
		text := page(t, r, reader)
		for _, never := range []string{"<script", "<img", "\x1b", "\u202e", "</title><"} {
			if strings.Contains(text, never) {
				t.Errorf("the page holds %q", never)
			}
		}
		if !strings.Contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;amp;") {
			t.Error("the name is not in the page as it is")
		}
		var b strings.Builder
		if err := r.Table(&b); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(b.String(), "\x1b\u202e") {
			t.Errorf("the table holds control characters: %q", b.String())
		}
	}
}

// few answers with what a test likes.
type few struct {
	days   store.Days
	points []store.Point
}

func (f few) Days(context.Context, store.Query) (store.Days, error) { return f.days, nil }
func (f few) Series(context.Context, store.Query, time.Duration) ([]store.Point, error) {
	return f.points, nil
}

// Plots of hardly anything, or of impossible things, are drawn all the same.
func TestPlotsOfHardlyAnything(t *testing.T) {
	span := between(t, "2026-01-01", "2026-01-01")
	day := store.Day{Date: span.First, Watched: time.Hour}
	for name, points := range map[string][]store.Point{
		"none":           nil,
		"one":            {{At: span.First, Watched: time.Minute, Requests: 1, Met: 1, OutputTokens: 5, MetTokens: 5}},
		"out of range":   {{At: span.First.AddDate(0, 0, -1)}, {At: span.End().Add(time.Hour)}},
		"never watched":  {{At: span.First.Add(time.Hour), Requests: 3}},
		"after midnight": {{At: span.End().Add(-5 * time.Minute), Watched: 5 * time.Minute}},
	} {
		reader := few{store.Days{Each: []store.Day{day}, Total: day}, points}
		r, err := report.Build(t.Context(), reader, report.Question{Span: span, SLATTFT: sla, Name: "pod", File: "f", Now: span.End()})
		if err != nil {
			t.Fatal(err)
		}
		text := page(t, r, reader)
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Count(text, "</svg>") != 6 {
			t.Errorf("%s: %s", name, text)
		}
		if !strings.Contains(text, ">nothing was recorded</text>") { // of the GPU, for one
			t.Errorf("%s: an empty plot does not say so", name)
		}
	}
}
