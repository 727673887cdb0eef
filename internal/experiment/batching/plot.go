package batching

import (
	"fmt"
	"html"
	"io"
	"strings"
	"unicode"
)

// The measures of the plot, in pixels.
const (
	plotWidth  = 1200
	plotMargin = 24
	plotNames  = 170 // the names of the scenarios
	plotGap    = 28  // between two panels
	plotTop    = 112 // above the first row
	plotRow    = 44
	plotValue  = 132 // kept free behind the longest bar, for its number
	plotFoot   = 56
)

// bar is one figure of a panel, with the class of its colour.
type bar struct{ key, class, legend string }

// panel is one of the plot: a title and one or two bars for each scenario, on one scale that begins at 0.
type panel struct {
	title, unit string
	bars        []bar
}

var panels = []panel{
	{"Whole time", "s", []bar{{"duration", "time", ""}}},
	{"Output tokens a second", "", []bar{{"output_throughput", "rate", ""}}},
	{"Time to first token", "ms", []bar{{"mean_ttft_ms", "mean", "mean"}, {"p95_ttft_ms", "high", "P95"}}},
}

const plotStyle = `<style>
text{font:14px system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif;fill:#1c2330}
.title{font-size:18px;font-weight:600}.head{font-weight:600}.small,.value{font-size:12px}.small{fill:#5b6472}
.paper{fill:#fff}.axis{stroke:#c3c9d3}.range{stroke:#1c2330;stroke-width:1.5}
.time{fill:#7a869a}.rate{fill:#2f7d4f}.mean{fill:#2b6cb0}.high{fill:#9cc3ea}
@media(prefers-color-scheme:dark){
text{fill:#e6e9ef}.small{fill:#a3acba}.paper{fill:#14181f}.axis{stroke:#3b4453}.range{stroke:#e6e9ef}
.time{fill:#8794a8}.rate{fill:#4fae78}.mean{fill:#5b9bd9}.high{fill:#2c4f75}}
</style>
`

// Plot draws the scenarios side by side as an SVG: whole time, tokens a second, and the time to the first token. It follows the
// reader's light or dark scheme; with repeats, a line shows the range between them.
func (r *Report) Plot(out io.Writer) error {
	summaries, err := r.Summaries(r.Objectives)
	if err != nil {
		return err
	}
	var b strings.Builder
	height := plotTop + plotRow*len(summaries) + plotFoot
	title := fmt.Sprintf("Batching: %s, %d prompts", r.Model, r.Prompts)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		plotWidth, height, plotWidth, height, escaped(title))
	b.WriteString(plotStyle)
	fmt.Fprintf(&b, `<rect class="paper" width="%d" height="%d"/>`+"\n", plotWidth, height)
	write(&b, plotMargin, 36, "title", cut(title, 100))
	under := r.URL + ", " + r.Date.UTC().Format("2006-01-02 15:04 UTC")
	if r.Early != "" {
		under += " – ended early, not all of it"
	}
	write(&b, plotMargin, 58, "small", cut(under, 140))
	for i := range summaries {
		write(&b, plotMargin, middle(i)+5, "", summaries[i].Scenario.Name())
	}
	width := (plotWidth - 2*plotMargin - plotNames - (len(panels)-1)*plotGap) / len(panels)
	for i, p := range panels {
		p.draw(&b, plotMargin+plotNames+i*(width+plotGap), width, summaries)
	}
	foot := "Bars begin at 0."
	if r.Repeats > 1 {
		foot = fmt.Sprintf("Bars begin at 0 and are means over %d repeats; lines show the range between them.", r.Repeats)
	}
	write(&b, plotMargin, height-20, "small", foot)
	b.WriteString("</svg>\n")
	_, err = io.WriteString(out, b.String())
	return err
}

// middle is the height of a row's middle.
func middle(row int) int { return plotTop + row*plotRow + plotRow/2 }

func (p panel) draw(b *strings.Builder, left, width int, summaries []Summary) {
	title := p.title
	if p.unit != "" {
		title += ", " + p.unit
	}
	write(b, left, plotTop-26, "head", title)
	at := left
	for _, one := range p.bars {
		if one.legend == "" {
			continue
		}
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="10" height="10"/>`+"\n", one.class, at, plotTop-17)
		write(b, at+15, plotTop-8, "small", one.legend)
		at += 70
	}
	most := 0.0
	for i := range summaries {
		for _, one := range p.bars {
			most = max(most, summaries[i].High.Of(one.key).Value)
		}
	}
	thick := min(20, (plotRow-8)/len(p.bars))
	for i := range summaries {
		top := middle(i) - thick*len(p.bars)/2
		for k, one := range p.bars {
			p.bar(b, &summaries[i], one, left, top+k*thick, thick, float64(width-plotValue), most)
		}
	}
	fmt.Fprintf(b, `<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", left, plotTop, left, middle(len(summaries)-1)+plotRow/2)
}

func (p panel) bar(b *strings.Builder, s *Summary, one bar, left, top, thick int, room, most float64) {
	v := s.Mean.Of(one.key)
	baseline := top + thick/2 + 4
	if !v.Known || !(most > 0) {
		write(b, left+6, baseline, "small", "not known")
		return
	}
	length := func(v float64) float64 { return v / most * room }
	fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d"/>`+"\n", one.class, left, top+1, max(1, length(v.Value)), thick-2)
	end := length(v.Value)
	if len(s.Each) > 1 {
		low, high := length(s.Low.Of(one.key).Value), length(s.High.Of(one.key).Value)
		fmt.Fprintf(b, `<line class="range" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", float64(left)+low, top+thick/2, float64(left)+high, top+thick/2)
		end = max(end, high)
	}
	text := digits(v.Value)
	if half := s.half(one.key); half.Known {
		text += " ±" + digits(half.Value)
	}
	write(b, left+int(end)+6, baseline, "value", text)
}

func write(b *strings.Builder, x, y int, class, text string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(b, `<text%s x="%d" y="%d">%s</text>`+"\n", class, x, y, escaped(text))
}

// escaped is text as XML may hold it.
func escaped(text string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?")))
}

// cut shortens text to so many runes.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
