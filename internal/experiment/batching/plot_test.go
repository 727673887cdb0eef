package batching

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

// text is one text of a plot, where it stands and how wide it is about.
type text struct {
	x, y, width float64
	what        string
}

// checkPlot reads the plot as XML, and looks whether all of it is inside, and no text lies on another.
func checkPlot(t *testing.T, r *Report) (texts []text) {
	t.Helper()
	var svg strings.Builder
	if err := r.Plot(&svg); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(svg.String()))
	var width, height float64
	number := func(e xml.StartElement, name string) (v float64) {
		for _, a := range e.Attr {
			if a.Name.Local == name {
				var err error
				if v, err = strconv.ParseFloat(a.Value, 64); err != nil {
					t.Errorf("%s=%q: %v", name, a.Value, err)
				}
			}
		}
		return v
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg.String())
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch e.Name.Local {
		case "svg":
			width, height = number(e, "width"), number(e, "height")
		case "rect":
			if x, w := number(e, "x"), number(e, "width"); x < 0 || w < 0 || x+w > width || number(e, "y")+number(e, "height") > height {
				t.Errorf("a bar from %v, %v wide", x, w)
			}
		case "text":
			var what string
			if err := d.DecodeElement(&what, &e); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text{number(e, "x"), number(e, "y"), 7.5 * float64(len([]rune(what))), what})
		}
	}
	for i, a := range texts {
		if a.x < 0 || a.y > height || a.y < 12 || a.x+a.width > width && len(a.what) < 40 {
			t.Errorf("%q stands at %v, %v of %v × %v", a.what, a.x, a.y, width, height)
		}
		for _, b := range texts[:i] {
			if a.y-b.y < 10 && b.y-a.y < 10 && a.x < b.x+b.width && b.x < a.x+a.width {
				t.Errorf("%q at %v, %v lies on %q at %v, %v", a.what, a.x, a.y, b.what, b.x, b.y)
			}
		}
	}
	return texts
}

func TestPlotOfOddNames(t *testing.T) {
	at := time.Now()
	run := func(s Scenario, wall time.Duration) Outcome {
		asked := Asked{Record: load.Record{Start: at, TTFT: wall / 3, Latency: wall, OutputTokens: 5, PromptTokens: 3}, Arrived: at}
		failed := Asked{Record: load.Record{Start: at, Err: errors.New("no")}, Arrived: at}
		return Outcome{s, []Run{
			{Scenario: s, Repeat: 1, Began: at, Wall: wall, Asked: []Asked{asked}},
			{Scenario: s, Repeat: 2, Began: at, Wall: 2 * wall, Asked: []Asked{asked, failed}, Failed: 1},
		}}
	}
	r := Report{Model: "a <b> & \"c\" \x00 음식" + strings.Repeat("é", 200), URL: "http://127.0.0.1:8000", Date: at, Prompts: 1, Repeats: 2, Result: Result{Outcomes: []Outcome{
		run(Scenario{Kind: Sequential}, 98765*time.Second), run(Scenario{Kind: Static, Batch: 500}, time.Millisecond),
		run(Scenario{Kind: Continuous, Concurrency: 1000}, time.Nanosecond), run(Scenario{Kind: Continuous, Rate: 0.001}, time.Hour),
	}}}
	texts := checkPlot(t, &r)
	if len(texts) < 4+4*4 {
		t.Errorf("only %d texts", len(texts))
	}
	found := false
	for _, one := range texts {
		found = found || strings.Contains(one.what, `a <b> & "c"   음식`)
	}
	if !found {
		t.Errorf("the model's name is not in %v", texts)
	}

	nothing := Report{Model: "m", Date: at, Result: Result{Outcomes: []Outcome{{Scenario{Kind: Sequential}, []Run{
		{Began: at, Wall: time.Second, Asked: []Asked{{Record: load.Record{Start: at, Err: errors.New("no")}, Arrived: at}}},
	}}}}}
	checkPlot(t, &nothing)
}
