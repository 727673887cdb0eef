package batching

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// column is one of the table: a figure, as it is printed.
type column struct {
	head, key string
	show      func(float64) string
	// spread: the range over the repeats is shown.
	spread bool
}

func columns(goodput bool) []column {
	ms := func(v float64) string { return digits(v) + " ms" }
	all := []column{
		{"WHOLE TIME", "duration", func(v float64) string { return digits(v) + " s" }, true},
		{"TTFT", "mean_ttft_ms", ms, true},
		{"P95", "p95_ttft_ms", ms, true},
		{"TPOT", "mean_tpot_ms", ms, true},
		{"TOKENS/S", "output_throughput", digits, true},
		{"GOOD REQ/S", "request_goodput", digits, true},
		{"BATCH", "running_mean", digits, false},
		{"MAX", "running_max", func(v float64) string { return fmt.Sprintf("%.0f", v) }, false},
		{"GPU", "gpu_utilization_percent", func(v float64) string { return fmt.Sprintf("%.0f %%", v) }, false},
		{"GPU MEMORY", "gpu_memory_used_bytes", func(v float64) string { return digits(v/(1<<30)) + " GiB" }, false},
	}
	if !goodput {
		all = append(all[:5], all[6:]...)
	}
	return all
}

// digits writes a number with three digits that count, whole from a hundred on, and by powers of ten where it is beyond all measure.
func digits(v float64) string {
	size := math.Abs(v)
	switch {
	case size >= 1e7:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case size >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

const (
	// missing stands where nothing is known.
	missing = "-"
	// gap lies between two columns.
	gap = 3
)

// Table writes the report for people.
func (r *Report) Table(out io.Writer) error {
	summaries, err := r.Summaries(r.Objectives)
	if err != nil {
		return err
	}
	r.head(out)
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, gap, ' ', tabwriter.AlignRight)
	cols := columns(r.Objectives.Any())
	names := 0
	for i := range summaries {
		names = max(names, utf8.RuneCountInString(summaries[i].Scenario.Name()))
	}
	// The names stand to the left of what is aligned to the right, for which they are all made as long.
	left := func(s string) string { return s + strings.Repeat(" ", max(0, names-utf8.RuneCountInString(s))) }
	fmt.Fprint(w, left("SCENARIO"))
	for _, c := range cols {
		fmt.Fprint(w, "\t"+c.head)
	}
	fmt.Fprintln(w, "\t")
	for i := range summaries {
		s := &summaries[i]
		fmt.Fprint(w, left(s.Scenario.Name()))
		for _, c := range cols {
			fmt.Fprint(w, "\t"+c.cell(s))
		}
		fmt.Fprintln(w, "\t")
	}
	w.Flush()
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(out, strings.TrimPrefix(strings.TrimRight(line, " \n"), strings.Repeat(" ", gap)))
	}
	fmt.Fprintln(out)
	for _, line := range r.below(summaries) {
		fmt.Fprintln(out, line)
	}
	return nil
}

func (c column) cell(s *Summary) string {
	v := s.Mean.Of(c.key)
	if !v.Known {
		return missing
	}
	text := c.show(v.Value)
	if half := s.half(c.key); c.spread && half.Known {
		text += " ±" + digits(half.Value)
	}
	return text
}

func (r *Report) head(out io.Writer) {
	what := fmt.Sprintf("%d prompts", r.Prompts)
	if r.Groups > 0 {
		what = fmt.Sprintf("%d groups of %d prompts", r.Groups, r.Prompts/r.Groups)
	}
	if r.Repeats > 1 {
		what += fmt.Sprintf(", each scenario %d times", r.Repeats)
	}
	server := r.URL
	if r.Version != "" {
		server += " (vLLM " + r.Version + ")"
	}
	fmt.Fprintf(out, "%s on %s: %s\n", r.Model, server, what)
	if r.GPU != "" {
		fmt.Fprintln(out, "GPU: "+r.GPU)
	}
	fmt.Fprintln(out)
}

// below is what stands under the table: what it comes to, and what a reader must know.
func (r *Report) below(summaries []Summary) (lines []string) {
	if r.Early != "" {
		lines = append(lines, "ENDED EARLY: "+r.Early)
		for i := range summaries {
			for _, run := range summaries[i].Runs {
				if run.Missing > 0 || run.Failed > 0 {
					lines = append(lines, fmt.Sprintf("  %s, repeat %d: %d requests done, %d failed, %d missing",
						run.Scenario.Name(), run.Repeat, len(run.Asked)-run.Failed, run.Failed, run.Missing))
				}
			}
		}
	} else {
		lines = append(lines, compared(summaries)...)
	}
	lines = append(lines, r.goals(summaries)...)
	if r.Repeats > 1 {
		lines = append(lines, "Means over the repeats; ± is half of the range between them.")
	}
	lines = append(lines, "BATCH is how many requests ran at a time on the server, by its own gauge; TPOT is the time for each token after the first.")
	for i := range summaries {
		if s := &summaries[i].Runs[0].Seen; s.ServerWhy != "" {
			lines = append(lines, "No batch size: "+s.ServerWhy+".")
			break
		}
	}
	for i := range summaries {
		if s := &summaries[i].Runs[0].Seen; s.GPUWhy != "" {
			lines = append(lines, "No GPU figures: "+s.GPUWhy+".")
			break
		}
	}
	for _, note := range r.Notes() {
		lines = append(lines, strings.ToUpper(note[:1])+note[1:]+".")
	}
	return lines
}

// compared holds the fastest continuous scenario against the other two kinds.
func compared(summaries []Summary) (lines []string) {
	var best *Summary
	rate := func(s *Summary) float64 { return s.Mean.Of("output_throughput").Value }
	for i := range summaries {
		if s := &summaries[i]; s.Scenario.Kind == Continuous && (best == nil || rate(s) > rate(best)) {
			best = s
		}
	}
	if best == nil {
		return nil
	}
	for i := range summaries {
		s := &summaries[i]
		if s.Scenario.Kind == Continuous || !(rate(s) > 0) {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s made %.2f times the tokens per second of %s, with %s the TTFT at P95.",
			best.Scenario.Name(), rate(best)/rate(s), s.Scenario.Name(), times(best.Mean.Of("p95_ttft_ms"), s.Mean.Of("p95_ttft_ms"))))
	}
	return lines
}

func times(a, b watchdog.Maybe[float64]) string {
	if !a.Known || !b.Known || !(b.Value > 0) {
		return "an unknown part of"
	}
	return fmt.Sprintf("%.2f times", a.Value/b.Value)
}

// goals says what the goodput counts, and who reaches the rate that was promised.
func (r *Report) goals(summaries []Summary) (lines []string) {
	var kept []string
	for _, o := range []struct {
		name  string
		limit watchdog.Maybe[float64]
	}{{"TTFT", r.Objectives.TTFT}, {"TPOT", r.Objectives.TPOT}, {"E2EL", r.Objectives.E2EL}} {
		if o.limit.Known {
			kept = append(kept, o.name+" of at most "+short(o.limit.Value))
		}
	}
	if len(kept) > 0 {
		lines = append(lines, "GOOD REQ/S counts requests with a "+strings.Join(kept, " and a ")+".")
	}
	if !(r.TokensPerSecond > 0) {
		return lines
	}
	var reach []string
	for i := range summaries {
		if v := summaries[i].Mean.Of("output_throughput"); v.Known && v.Value >= r.TokensPerSecond {
			reach = append(reach, summaries[i].Scenario.Name())
		}
	}
	who := "none"
	if len(reach) > 0 {
		who = strings.Join(reach, ", ")
	}
	return append(lines, fmt.Sprintf("%s tokens/s are promised; reached by: %s.", strconv.FormatFloat(r.TokensPerSecond, 'f', -1, 64), who))
}

// short writes milliseconds as a duration.
func short(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(time.Microsecond).String()
}
