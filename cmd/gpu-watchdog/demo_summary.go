package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// head says what this is.
func (d *demo) head() {
	seconds := d.scale.real(d.day.End - d.day.Begin).Seconds()
	d.screen.prose(fmt.Sprintf("A day of a rented GPU pod, in at most %.0f seconds. vLLM, GPU, RunPod and the people are simulated on this machine; "+
		"the watchdog is the real one: its loop, its collectors, its stopper. No GPU, no key, no network.", seconds))
}

// intro says by which numbers the day is played.
func (d *demo) intro(w *watch, withoutGPU string) {
	q := d.quote(w)
	s := d.screen
	say := func(word, text string) { s.line("  "+words.Pad(word, 8), words.Bold, text, words.Plain) }
	say("clock", fmt.Sprintf("one second is %s; a look every %s of pod time (%s of yours)",
		span(d.scale.pod(time.Second)), span(d.scale.pod(w.config.Rules.CheckInterval)), w.config.Rules.CheckInterval))
	say("money", fmt.Sprintf("%s an hour; a cold start takes %s and costs %s (%s of pod, the rest is the wait of people)",
		usd(q.PriceUSDPerHour), span(q.ColdStart), usd(q.ColdStartUSD), usd(watchdog.Known(q.PriceUSDPerHour.Value*q.ColdStart.Hours()))))
	say("policy", d.policy().Describe(q))
	stop := "armed: RunPod's pod " + fakepod.PodID
	if w.config.Identity.DryRun {
		stop = "WATCHDOG_DRY_RUN: it only says would_stop"
	}
	say("stop", stop)
	if withoutGPU != "" {
		say("GPU", "left out: "+withoutGPU)
	}
	for _, warning := range d.config.Warnings() {
		say("warning", warning)
	}
	s.text("")
}

// quote is what holds at the beginning of the day, in pod time.
func (d *demo) quote(w *watch) watchdog.Quote {
	tariff := costmodel.Tariff{StorageRunning: d.config.StorageRunning, StorageStopped: d.config.StorageStopped, Penalty: w.config.Tariff.Penalty}
	return tariff.Quote(watchdog.Known(d.config.Price.Or(usdPerHour)), d.config.ColdStart)
}

// policy is the policy in pod time.
func (d *demo) policy() costmodel.Policy {
	cfg := d.config
	cfg.CheckInterval = max(cfg.CheckInterval, d.scale.pod(lookEvery))
	return policyOf(cfg)
}

// summary closes the day: what it cost, and what other rules would have made of it.
func (d *demo) summary(last *loop.View, end outcome) {
	d.screen.close("")
	q := end.quote
	off := max(0, end.next-end.at)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", d.screen.paint(words.Bold, "What the day cost"))
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "  spent\t%s $\t%s at %s an hour\n", dollars(last.Money.SpentTotal), span(end.at-d.day.Begin), usd(q.PriceUSDPerHour))
	fmt.Fprintf(t, "  of it idle\t%s $\n", dollars(last.Money.IdleTotal))
	if end.stopped {
		saved := q.SavingUSDPerHour.Value*off.Hours() - q.ColdStartUSD.Value
		fmt.Fprintf(t, "  saved until %s\t%s $\tagainst never stopping: %s off, less the cold start that follows\n", fakepod.Label(end.next), dollars(saved), span(off))
	}
	t.Flush()
	if q.PriceUSDPerHour.Known && !q.NoSaving {
		d.others(&b, end, off)
	}
	fmt.Fprintf(&b, "\n%s\n", d.screen.paint(words.Bold, "Next"))
	for i, next := range [][2]string{
		{"WATCHDOG_DRY_RUN=true gpu-watchdog run", "watch, decide and log, and stop nothing"},
		{"gpu-watchdog env", "every setting, its value and where it came from"},
		{"WATCHDOG_COLD_START=6m gpu-watchdog demo", "this day again, with a cold start that is twice as long"},
	} {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("  " + words.Pad(next[0], 42) + next[1])
	}
	d.screen.text(b.String())
}

// others plays other thresholds over the same idle times, the last of which ends when somebody next wants the pod.
func (d *demo) others(b *strings.Builder, end outcome, off time.Duration) {
	gaps := slices.Clone(end.gaps)
	if end.idle > 0 {
		gaps = append(gaps, costmodel.Gap{Idle: end.idle + off, Wanted: end.wanted})
	}
	ours := end.threshold
	if ours == 0 {
		ours = d.policy().Threshold(end.quote)
	}
	thresholds := []time.Duration{costmodel.Never, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, ours}
	slices.Sort(thresholds)
	thresholds = slices.Compact(thresholds)
	idle := make([]string, len(gaps))
	for i, g := range gaps {
		idle[i] = span(g.Idle)
	}
	fmt.Fprintf(b, "\n%s\n  (idle %s)\n", d.screen.paint(words.Bold, "What other rules would have made of this very day"), strings.Join(idle, ", "))
	const row = "%s%-18s %5v %7v %13v %8v %16v\n"
	b.WriteString(d.screen.paint(words.Dim, fmt.Sprintf(row, "  ", "rule", "stops", "idle $", "cold starts $", "total $", "people who wait")))
	for _, a := range costmodel.Alternatives(gaps, end.quote, thresholds) {
		mark, name, c := "  ", "fixed "+span(a.Threshold), words.Plain
		switch a.Threshold {
		case costmodel.Never:
			name = "never stop"
		case ours:
			mark, name, c = "> ", fmt.Sprintf("%s %s", d.policy().Name, span(a.Threshold)), words.Green
		}
		b.WriteString(d.screen.paint(c, fmt.Sprintf(row, mark, name, a.Stops, dollars(a.IdleUSD.Value), dollars(a.ColdStartUSD.Value), dollars(a.USD.Value), a.Waited)))
	}
}
