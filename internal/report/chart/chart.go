package chart

import (
	"html"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// The drawing, in its own units: at that width on the screen a unit is a pixel.
const (
	width, height = 720, 236
	left, right   = 54, 654
	top, bottom   = 26, 206
	// letter is about the width of a letter at the size that the style sheet sets, in the widest of the usual typefaces.
	letter = 8.1
)

// Style is how a line is drawn.
type Style uint8

// The styles.
const (
	Solid Style = iota
	Dashed
	Filled
)

// Line is one quantity over time.
type Line struct {
	Name string
	// Tone is the class that gives the line its colour.
	Tone  string
	Style Style
	// Values has one value for each step; an unknown one is a gap.
	Values []watchdog.Maybe[float64]
}

// Rule is a height that is marked across the plot, with a label of two short lines beside it.
type Rule struct {
	Value         float64
	Name, Written string
}

// Chart is one plot. Its time is cut into steps, and its lines have a value for each.
type Chart struct {
	// Label says to those who do not see the plot what it shows.
	Label string
	// Unit stands above the vertical axis.
	Unit  string
	From  time.Time
	Step  time.Duration
	Steps int
	Lines []Line
	Rule  *Rule
	// Top is the upper end of the axis; 0 leaves it to the values.
	Top float64
	// Unseen marks the steps of which nothing was recorded.
	Unseen []bool
	// Empty is written where no line has a value.
	Empty string
}

// SVG is the drawing.
func (c Chart) SVG() string {
	d := drawing{c: c}
	d.text("<svg viewBox=\"0 0 ", number(width), " ", number(height), "\" role=\"img\" aria-label=\"", html.EscapeString(c.Label), "\">\n")
	if c.Steps > 0 && c.Step > 0 {
		d.scale, d.step = upTo(c.top()), float64(right-left)/float64(c.Steps)
		d.unseen()
		d.heights()
		d.times()
		d.rule()
		for _, l := range c.Lines {
			d.line(l)
		}
	}
	if !c.known() {
		d.words("note", (left+right)/2, (top+bottom)/2, "middle", c.Empty)
	}
	d.text("</svg>\n")
	return d.String()
}

// drawn: there is a value, and it is a number.
func drawn(v watchdog.Maybe[float64]) bool { return v.Known && !math.IsNaN(v.Value) }

// known: some line has some value.
func (c Chart) known() bool {
	for _, l := range c.Lines {
		for _, v := range l.Values {
			if drawn(v) {
				return true
			}
		}
	}
	return false
}

// top is the highest of what is drawn.
func (c Chart) top() float64 {
	if c.Top > 0 {
		return c.Top
	}
	highest := 0.0
	if c.Rule != nil {
		highest = c.Rule.Value
	}
	for _, l := range c.Lines {
		for _, v := range l.Values {
			if drawn(v) && !math.IsInf(v.Value, 0) {
				highest = max(highest, v.Value)
			}
		}
	}
	return highest
}

// drawing is what is drawn so far.
type drawing struct {
	strings.Builder
	c     Chart
	scale scale
	step  float64 // width of a step
}

func (d *drawing) text(parts ...string) {
	for _, p := range parts {
		d.WriteString(p)
	}
}

// words writes a text whose baseline begins, ends or has its middle at a point.
func (d *drawing) words(class string, x, y float64, anchor, words string) {
	d.text(`<text class="`, class, `" x="`, number(x), `" y="`, number(y), `" text-anchor="`, anchor, `">`, html.EscapeString(words), "</text>\n")
}

func (d *drawing) stroke(class string, x1, y1, x2, y2 float64) {
	d.text(`<path class="`, class, `" d="M`, number(x1), " ", number(y1), "L", number(x2), " ", number(y2), "\"/>\n")
}

// x is where a step's middle is, y where a value is.
func (d *drawing) x(step int) float64 { return left + (float64(step)+.5)*d.step }

func (d *drawing) y(value float64) float64 {
	share := max(0, min(value/d.scale.top, 1))
	return bottom - share*(bottom-top)
}

// unseen shades the time of which nothing was recorded.
func (d *drawing) unseen() {
	n := min(len(d.c.Unseen), d.c.Steps)
	for from := 0; from < n; from++ {
		if !d.c.Unseen[from] {
			continue
		}
		to := from
		for to < n && d.c.Unseen[to] {
			to++
		}
		x, wide := left+float64(from)*d.step, float64(to-from)*d.step
		d.text(`<rect class="gap" x="`, number(x), `" y="`, number(top), `" width="`, number(wide), `" height="`, number(bottom-top), "\"/>\n")
		from = to
	}
}

// heights draws the vertical axis.
func (d *drawing) heights() {
	d.words("unit", left, 13, "start", d.c.Unit)
	for _, v := range d.scale.ticks() {
		class := "grid"
		if v == 0 {
			class = "axis"
		}
		d.stroke(class, left, d.y(v), right, d.y(v))
		d.words("axis", left-8, d.y(v)+4, "end", d.scale.write(v))
	}
}

// times draws the horizontal axis.
func (d *drawing) times() {
	whole := time.Duration(d.c.Steps) * d.c.Step
	for _, t := range times(d.c.From, d.c.From.Add(whole), right-left) {
		x := left + t.at.Sub(d.c.From).Seconds()/whole.Seconds()*(right-left)
		d.stroke("axis", x, bottom, x, bottom+6)
		if t.label != "" {
			d.words("axis", x+4, bottom+18, "start", t.label)
		}
	}
	d.words("unit", right+8, bottom+18, "start", "UTC")
}

func (d *drawing) rule() {
	if d.c.Rule == nil {
		return
	}
	y := d.y(d.c.Rule.Value)
	d.stroke("rule", left, y, right, y)
	y = min(y, bottom-12) // the label stays above that of the axis below
	d.words("rule", right+8, y-1, "start", d.c.Rule.Name)
	d.words("rule", right+8, y+13, "start", d.c.Rule.Written)
}

// line draws each stretch of known values; one value alone becomes a dot.
func (d *drawing) line(l Line) {
	n := min(len(l.Values), d.c.Steps)
	var path, area, dots strings.Builder
	for from := 0; from < n; from++ {
		if !drawn(l.Values[from]) {
			continue
		}
		to := from
		for ; to < n && drawn(l.Values[to]); to++ {
			move := "L"
			if to == from {
				move = "M"
				area.WriteString("M" + number(d.x(from)-d.step/2) + " " + number(bottom) + "V" + number(d.y(l.Values[from].Value)))
			}
			at := number(d.x(to)) + " " + number(d.y(l.Values[to].Value))
			path.WriteString(move + at)
			area.WriteString("L" + at)
		}
		if to == from+1 {
			dots.WriteString("M" + number(d.x(from)) + " " + number(d.y(l.Values[from].Value)) + "h0")
		}
		area.WriteString("H" + number(d.x(to-1)+d.step/2) + "V" + number(bottom) + "Z")
		from = to
	}
	if path.Len() == 0 {
		return
	}
	tone := html.EscapeString(l.Tone)
	if l.Style == Filled {
		d.text(`<path class="fill `, tone, `" d="`, area.String(), "\"/>\n")
	}
	class := "line "
	if l.Style == Dashed {
		class = "line dashed "
	}
	d.text(`<path class="`, class, tone, `" d="`, path.String(), "\"/>\n")
	if dots.Len() > 0 {
		d.text(`<path class="dot `, tone, `" d="`, dots.String(), "\"/>\n")
	}
}

// number writes a coordinate to the tenth.
func number(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) }
