package report

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// coverageEnough is the share of the servers' tokens that rows must tell of to stand for all of them.
const coverageEnough = 0.9

// nothing is said of an empty report.
func (r *Report) nothing() string {
	return fmt.Sprintf("Nothing was recorded for %s (UTC) in %s. Ask for other days with --days, or --from and --to.", r.Span, clean(r.File))
}

// notes say what the figures mean, and where they must be read with care.
func (r *Report) notes() []string {
	out := []string{
		"Rates are per second of wall time in which the watchdog looked on (Watched), not of request time: requests overlap. Time in which the pod was stopped is in no rate.",
		fmt.Sprintf("A request meets the SLA with its first token in less than %s. SLA Compliance is the share of tokens in such requests, SLA %% the share of requests. Percentiles are exact, over all requests.", seconds0(r.SLATTFT)),
		"Idle is the share of Watched in which nothing was asked. USD/M Tokens is all that was spent, idleness included, for a million output tokens. " +
			none + " is unknown.",
	}
	if r.Total.Open {
		out = append(out, "* This day is not over.")
	}
	if missing := r.missing(); missing != "" {
		out = append(out, missing)
	}
	if n := r.Total.Undecided.Value; n > 0 {
		out = append(out, fmt.Sprintf("%s: nobody knows when the first token came, so nobody knows whether the SLA was met; their tokens lower SLA Compliance.", numbered(n, "request is undecided", "requests are undecided")))
	}
	if days := r.dates(func(f *Figures) bool { return f.Coverage.Known && f.Coverage.Value < coverageEnough }); days != "" {
		out = append(out, fmt.Sprintf("On %s rows tell of less than %.0f%% of the tokens that the servers counted: the other requests sent none (spans are sampled away, or tracing was off), and are in no figure of requests.", days, 100*coverageEnough))
	}
	if days := r.dates(func(f *Figures) bool { return f.Source.Known && f.Source.Value == FromCounters }); days != "" {
		out = append(out, fmt.Sprintf("On %s no rows came in, so requests are unknown and tokens are the servers' own count. Let vLLM send its spans to WATCHDOG_INGEST_LISTEN (--otlp-traces-endpoint), or post rows.", days))
	}
	if days := r.dates(func(f *Figures) bool { return f.Requests.Value > 0 && f.Watched < time.Minute }); days != "" {
		out = append(out, fmt.Sprintf("On %s the watchdog looked on for less than a minute, so rates say little or nothing: rows were dated back, or came in without a watch.", days))
	}
	if !r.Total.SpentUSD.Known {
		out = append(out, "What was spent is unknown: no price was known. Set WATCHDOG_PRICE for the days to come.")
	}
	return out
}

// numbered is a count and what is counted.
func numbered(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// dates lists the days that are so, the oldest first; after a few it only counts.
func (r *Report) dates(so func(*Figures) bool) string {
	var names []string
	for i := range slices.Backward(r.Days) {
		if so(&r.Days[i]) {
			names = append(names, r.Days[i].Date.Format(time.DateOnly))
		}
	}
	return listed(names)
}

func listed(names []string) string {
	const most = 4
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more days", strings.Join(names[:most], ", "), more)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// missing says which days have no line.
func (r *Report) missing() string {
	names := r.missingDays()
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("Nothing was recorded on %s: the pod was stopped, or no watchdog ran.", listed(names))
}

// missingDays are the days of the report that have no line. Days after now are not missed, nor are those before the first
// recorded one, when there may have been no watchdog yet.
func (r *Report) missingDays() []string {
	names := []string{}
	if r.Empty() {
		return names
	}
	there := map[time.Time]bool{}
	for i := range r.Days {
		there[r.Days[i].Date] = true
	}
	for at := r.Days[len(r.Days)-1].Date; !at.After(r.Last) && !at.After(r.Now); at = at.Add(day) {
		if !there[at] {
			names = append(names, at.Format(time.DateOnly))
		}
	}
	return names
}
