package coldstart

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// headings are those of the phases, in seconds.
var headings = [startup.NumMilestones]string{
	startup.FirstLine: "BOOT", startup.Loading: "PREPARE", startup.Weights: "WEIGHTS", startup.Compiled: "COMPILE", startup.Captured: "CAPTURE", startup.Engine: "WARM-UP",
	startup.Ready: "SERVE", startup.FirstToken: "FIRST TOKEN",
}

// Table writes the report for people.
func (r *Report) Table(to io.Writer) {
	title := strings.Join(r.Command, " ")
	if r.Version != "" {
		title += "   (version " + r.Version + ")"
	}
	fmt.Fprintln(to, title)
	fmt.Fprintln(to)
	if len(r.Starts) > 0 {
		r.starts(to)
		fmt.Fprintln(to)
	}
	for _, line := range r.remarks() {
		fmt.Fprintln(to, line)
	}
}

func (r *Report) starts(to io.Writer) {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "SECONDS\tIN MEMORY\t%s\tREADY\tC\tBILL\tCOST\tBREAK-EVEN\t\n", strings.Join(headings[:], "\t"))
	for _, s := range r.Starts {
		fmt.Fprintf(w, "%s %d\t%s\t%s\t%s\t", s.Kind, s.Number, s.PageCache.inWords(), cells(s.Phases), cell(s.Ready))
		money := s.Money
		if money == nil {
			fmt.Fprint(w, "failed\t-\t-\t-\t\n")
			continue
		}
		fmt.Fprintf(w, "%s\t\n", money.cells())
	}
	for _, kind := range []Kind{Cold, Warm} {
		s := r.Cold
		if kind == Warm {
			s = r.Warm
		}
		if s == nil || s.Starts < 2 {
			continue
		}
		fmt.Fprintf(w, "%s, mean\t\t%s\t\t%s\t\n", kind, cells(s.Phases), s.Money.cells())
	}
	if s := r.Suggestion; s != nil && s.BillUSD.Known {
		of := r.Cold
		if s.Of == Warm {
			of = r.Warm
		}
		dollars := make([]string, len(of.Phases))
		for i, p := range of.Phases {
			dollars[i] = usd(p.USD)
		}
		fmt.Fprintf(w, "%s, bill\t\t%s\t\t\t%s\t\t\t\n", s.Of, strings.Join(dollars, "\t"), usd(of.BillUSD))
	}
	w.Flush()
}

// remarks are what the table means.
func (r *Report) remarks() (out []string) {
	add := func(format string, a ...any) { out = append(out, fmt.Sprintf(format, a...)) }
	if r.hasKind(Cold) {
		if len(r.Files) == 0 {
			add("Cold: nothing was dropped from the page cache, so these starts are as warm as the machine was.")
		} else {
			compilers := "the compilers' caches, "
			if r.EmptyCaches {
				compilers = ""
			}
			add("Cold: these were dropped from the page cache: %s.", strings.Join(r.Files, ", "))
			add("      What was not: Python and the libraries (unless named), %swhat a network disk's server keeps.", compilers)
		}
		if r.EmptyCaches {
			add("      The compilers' caches were empty.")
		}
	}
	add("C = ready + what the first token took beyond the usual + %s that cannot be seen from inside (WATCHDOG_COLD_START_UNSEEN).", r.Pricing.Unseen)
	for _, s := range r.Starts {
		if s.Note != "" {
			add("%s %d: %s.", s.Kind, s.Number, s.Note)
		}
		if cold := s.PageCache.Cold(); s.Kind == Cold && cold.Known && !cold.Value {
			add("%s %d: not cold, since the kernel kept %s of the files in memory.", s.Kind, s.Number, s.PageCache.inWords())
		}
		if s.PageCache.Error != "" {
			add("%s %d: %s.", s.Kind, s.Number, s.PageCache.Error)
		}
		if s.Killed {
			add("%s %d: the server did not end by itself within %.0f s, and was killed.", s.Kind, s.Number, s.StopSeconds)
		}
	}
	if s := r.Suggestion; s != nil {
		if s.Longest != "" {
			add("Most of it, %.0f %%, is %s: %s.", s.Share, strings.ReplaceAll(s.Longest, "_", " "), s.Remedy)
		}
		add("")
		add("%s=%s   (75th percentile of %d %s)", s.Variable, s.Value, s.Starts, plural(s.Starts, string(s.Of)+" start"))
		switch {
		case !s.BreakEvenSeconds.Known:
			add("A stopped hour costs no less than a running one here: idleness is no reason to stop.")
		case s.ColdStartUSD.Known:
			add("At that, a cold start costs %s (%s of it the pod's own bill), as much as %s of idling.", usd(s.ColdStartUSD), usd(s.BillUSD), span(s.BreakEvenSeconds))
		default:
			add("At that, a cold start costs as much as %s of idling. For dollars set WATCHDOG_PRICE.", span(s.BreakEvenSeconds))
		}
	}
	add("What the server wrote is in %s.", r.LogDir)
	if r.EndedEarly != "" {
		add("Ended early: %s", r.EndedEarly)
	}
	return out
}

func (r *Report) hasKind(kind Kind) bool {
	for _, s := range r.Starts {
		if s.Kind == kind {
			return true
		}
	}
	return false
}

func (m Money) cells() string {
	return fmt.Sprintf("%.1f\t%s\t%s\t%s", m.ColdStartSeconds, usd(m.BillUSD), usd(m.ColdStartUSD), span(m.BreakEvenSeconds))
}

func cells(phases []startup.Phase) string {
	out := make([]string, len(phases))
	for i, p := range phases {
		out[i] = cell(p.Seconds)
	}
	return strings.Join(out, "\t")
}

// none stands for what is not known, or did not take place.
const none = "-"

func cell(s watchdog.Maybe[float64]) string {
	if !s.Known {
		return none
	}
	return fmt.Sprintf("%.2f", s.Value)
}

func usd(v watchdog.Maybe[float64]) string {
	switch {
	case !v.Known:
		return none
	case v.Value < 0.01:
		return fmt.Sprintf("$%.5f", v.Value)
	}
	return fmt.Sprintf("$%.4f", v.Value)
}

func span(s watchdog.Maybe[float64]) string {
	if !s.Known {
		return none
	}
	return seconds(s.Value).Round(time.Second).String()
}

func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// inWords is the share of the files that lay in memory when the start began.
func (p PageCache) inWords() string {
	if !p.Resident.Known || p.Bytes == 0 {
		return none
	}
	return fmt.Sprintf("%.0f %%", 100*float64(p.Resident.Value)/float64(p.Bytes))
}
