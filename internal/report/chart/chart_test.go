package chart

import (
	"encoding/xml"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

var update = flag.Bool("update", false, "write the golden files anew")

var monday = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// values reads "1 2 - 3": a value for each step, unknown where there is a dash.
func values(s string) (out []watchdog.Maybe[float64]) {
	for _, word := range strings.Fields(s) {
		v, err := strconv.ParseFloat(word, 64)
		out = append(out, watchdog.Maybe[float64]{Value: v, Known: err == nil})
	}
	return out
}

func TestAWholeDrawing(t *testing.T) {
	c := Chart{
		Label: "TTFT in seconds & <more>", Unit: "seconds", From: monday, Step: 3 * time.Hour, Steps: 8, Empty: "nothing",
		Lines: []Line{
			{Name: "p95", Tone: "worse", Values: values("1 2 - 3 - - 4 4.5")},
			{Name: "p50", Tone: "whole", Style: Dashed, Values: values("0.5 0.5 - 1 - - 1 1")},
			{Name: "all", Tone: "good", Style: Filled, Values: values("- - - - - - 2 1")},
		},
		Rule: &Rule{2, "SLA", "2 s"}, Unseen: []bool{false, false, true, false, true, true, false, false},
	}
	got := c.SVG()
	if *update {
		if err := os.WriteFile("testdata/whole.svg", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/whole.svg")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("drew\n%s\nwant\n%s", got, want)
	}
	// Three stretches, of which the one in the middle is a single point: h0 makes a dot of the round ends of nothing.
	line, dot := regexp.MustCompile(`<path class="line worse" d="([^"]+)"`).FindStringSubmatch(got), regexp.MustCompile(`<path class="dot worse" d="([^"]+)"`).FindStringSubmatch(got)
	if line == nil || strings.Count(line[1], "M") != 3 || dot == nil || dot[1] != "M316.5 98h0" {
		t.Errorf("the line with gaps is %q, its dot %q", line, dot)
	}
}

// Whatever the values: the drawing is well-formed, and every coordinate lies within it.
func TestDrawingsStayWithinTheirFrame(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	numbers := regexp.MustCompile(`-?[0-9.]+`)
	for range 60 {
		c := Chart{Label: "l", Unit: "u", From: monday.Add(time.Duration(r.IntN(1000)) * time.Hour), Step: time.Duration(1+r.IntN(300)) * 5 * time.Minute, Steps: r.IntN(400), Empty: "nothing"}
		for range r.IntN(3) {
			l := Line{Style: Style(r.IntN(3))}
			for range r.IntN(500) {
				v := math.Exp(r.NormFloat64() * 20)
				switch r.IntN(30) {
				case 0:
					v = math.Inf(1)
				case 1:
					v = -v
				case 2:
					v = math.NaN()
				}
				l.Values = append(l.Values, watchdog.Maybe[float64]{Value: v, Known: r.IntN(4) > 0})
			}
			c.Lines = append(c.Lines, l)
		}
		for range r.IntN(500) {
			c.Unseen = append(c.Unseen, r.IntN(2) == 0)
		}
		if r.IntN(2) == 0 {
			c.Rule = &Rule{r.Float64() * 100, "SLA", "2 s"}
		}
		svg := c.SVG()
		if err := xml.Unmarshal([]byte(svg), new(struct{})); err != nil || strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Fatalf("%v in %s", err, svg)
		}
		for _, path := range regexp.MustCompile(` (?:d|x|y|width|height)="([^"]*)"`).FindAllStringSubmatch(svg, -1) {
			for _, n := range numbers.FindAllString(path[1], -1) {
				if v, err := strconv.ParseFloat(n, 64); err != nil || v < 0 || v > width {
					t.Fatalf("%s in %s", n, path[1])
				}
			}
		}
	}
}

func TestScales(t *testing.T) {
	for _, c := range []struct {
		value float64
		want  string
	}{
		{0, "0 0.2 0.4 0.6 0.8 1.0"}, {math.NaN(), "0 0.2 0.4 0.6 0.8 1.0"}, {math.Inf(1), "0 0.2 0.4 0.6 0.8 1.0"}, {-3, "0 0.2 0.4 0.6 0.8 1.0"},
		{1, "0 0.2 0.4 0.6 0.8 1.0"}, {2.1, "0 0.5 1.0 1.5 2.0 2.5"}, {5, "0 1 2 3 4 5"}, {5.1, "0 2 4 6"}, {100, "0 20 40 60 80 100"}, {101, "0 50 100 150"},
		{0.034, "0 0.01 0.02 0.03 0.04"}, {0.3, "0 0.1 0.2 0.3"}, {4321, "0 1000 2000 3000 4000 5000"}, {34567, "0 10k 20k 30k 40k"},
		{12345, "0 5k 10k 15k"}, {0.00012, "0 50µ 100µ 150µ"}, {0.0012, "0 0.0005 0.0010 0.0015"}, {3.4e6, "0 1M 2M 3M 4M"}, {1.2e6, "0 500k 1000k 1500k"},
	} {
		s := upTo(c.value)
		var got []string
		for _, v := range s.ticks() {
			got = append(got, s.write(v))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %q, want %q", c.value, strings.Join(got, " "), c.want)
		}
	}
	r := rand.New(rand.NewPCG(2, 1))
	for range 10000 {
		v := math.Exp(r.NormFloat64() * 30)
		s := upTo(v)
		if n := len(s.ticks()); s.top < v*(1-1e-6) || s.top > 2.6*v || n < 3 || n > ticksMost+1 {
			t.Fatalf("%v: up to %v in %d ticks", v, s.top, n)
		}
		for _, tick := range s.ticks() {
			if words := s.write(tick); v > 1e-6 && v < 1e9 && float64(utf8.RuneCountInString(words))*letter > left-4 {
				t.Fatalf("%q has no room left of the axis", words)
			}
		}
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		name string
		from time.Time
		long time.Duration
		want string
	}{
		{"a day", monday, day, "23 Nov|03:00|06:00|09:00|12:00|15:00|18:00|21:00"},
		{"a morning", monday, 10 * time.Hour, "Mon 23 Nov|02:00|04:00|06:00|08:00"},
		{"from within an hour", monday.Add(90 * time.Minute), 6 * time.Hour, "02:00|03:00|04:00|05:00|06:00|07:00"},
		{"a week", monday, 7 * day, "Mon 23|Tue 24|Wed 25|Thu 26|Fri 27|Sat 28|Sun 29"},
		{"five days", monday, 5 * day, "Mon 23 Nov|Tue 24 Nov|Wed 25 Nov|Thu 26 Nov|Fri 27 Nov"},
		{"two days and a bit", monday, 50 * time.Hour, "23 Nov|06:00|12:00|18:00|24 Nov|06:00|12:00|18:00|"},
		{"a month", monday, 30 * day, "23 Nov|27 Nov|1 Dec|5 Dec|9 Dec|13 Dec|17 Dec|"},
		{"a year", monday, 365 * day, "Dec 2026|Feb 2027|Apr 2027|Jun 2027|Aug 2027|Oct 2027"},
	} {
		var got []string
		for _, at := range times(c.from, c.from.Add(c.long), right-left) {
			got = append(got, at.label)
		}
		if strings.Join(got, "|") != c.want {
			t.Errorf("%s: %q, want %q", c.name, strings.Join(got, "|"), c.want)
		}
	}
	// Labels never reach the next tick, whatever the range.
	r := rand.New(rand.NewPCG(5, 1))
	for range 2000 {
		from := monday.Add(time.Duration(r.IntN(10000)) * 5 * time.Minute)
		long := time.Duration(1+r.IntN(12*24*500)) * 5 * time.Minute
		ticks := times(from, from.Add(long), right-left)
		if len(ticks) > timesMost+2 {
			t.Fatalf("%s from %s: %d ticks", long, from, len(ticks))
		}
		x := func(at time.Time) float64 { return at.Sub(from).Seconds() / long.Seconds() * (right - left) }
		for i, tick := range ticks {
			end := float64(right - left)
			if i+1 < len(ticks) {
				end = x(ticks[i+1].at)
			}
			if x(tick.at) < 0 || tick.label != "" && x(tick.at)+4+letter*float64(len(tick.label)) > end {
				t.Fatalf("%s from %s: %q at %v reaches %v", long, from, tick.label, x(tick.at), end)
			}
		}
	}
}
