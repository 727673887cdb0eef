package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// narrator tells the day: a line for each decision that says something new, and one for each event.
type narrator struct {
	screen *screen
	scale  scale
	day    fakepod.Day
	// minRuntime and brokenLimit are the rules' own, in real time.
	minRuntime, brokenLimit time.Duration

	mu     sync.Mutex
	clock  fakepod.Clock
	ledger *ledger
	// tomorrow is set once the day is over: what is told then happens at that time.
	tomorrow time.Duration
	last     *loop.View
	// A stretch is a time of one activity and verdict; told are the reasons that lines in it have led with.
	stretch stretch
	told    []string
	// still counts looks at which requests were in flight and nothing moved, lost those that found nothing out.
	still, lost int
	// read: vLLM was asked at the look before this one.
	read bool
	// events wait here for the decision before which they happened: views come a look later than they do.
	events []fakepod.Event
}

type stretch struct {
	activity watchdog.Activity
	verdict  string
}

// happened tells an event of the day, in its place among the decisions.
func (n *narrator) happened(e fakepod.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.events = append(n.events, e)
}

// tellUntil writes the events up to a time of day. It is called with the lock held.
func (n *narrator) tellUntil(at time.Duration) {
	for len(n.events) > 0 && n.events[0].At <= at {
		e := n.events[0]
		n.events = n.events[1:]
		n.screen.line(fakepod.Label(e.At)+"  · ", words.Cyan, e.Text, words.Cyan)
	}
}

// tellAll writes the events that are left.
func (n *narrator) tellAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tellUntil(math.MaxInt64)
}

// start sets the clock.
func (n *narrator) start(c fakepod.Clock) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.clock = c
}

// sleepUntil sets the time of day for all that is told from now on.
func (n *narrator) sleepUntil(at time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tomorrow = at
}

// now is the pod's time of day.
func (n *narrator) now() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.tomorrow > 0:
		return n.tomorrow
	case n.clock.Real.IsZero():
		return n.day.Begin
	}
	return n.clock.At(time.Now())
}

// see takes the view of a tick; the same one may come twice.
func (n *narrator) see(v *loop.View) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if v == nil || n.last != nil && v.Decision.Tick == n.last.Decision.Tick {
		return
	}
	at := n.clock.At(v.Decision.At)
	n.tellUntil(at)
	before := n.ledger.idle
	n.ledger.take(v, at, n.day.Came(at))
	n.last = v
	if n.worthALine(v) {
		d := v.Decision
		width := len("hold")
		if v.Identity.DryRun {
			width = len("would_stop")
		}
		head := fmt.Sprintf("%s  %-*s  %-18s  ", fakepod.Label(at), width, v.Verdict, d.Reason())
		n.screen.line(head, verdictInk(d), n.explain(v, before), words.Plain)
	}
	n.read = asked(v)
	n.screen.progress(n.progress(v, at))
}

// asked: vLLM was read at this look, and not spared.
func asked(v *loop.View) bool {
	return slices.ContainsFunc(v.Snapshot.Servers, func(s watchdog.Server) bool { return s.Outcome == watchdog.OutcomeAnswered })
}

func verdictInk(d watchdog.Decision) words.Tone {
	switch {
	case d.Verdict == watchdog.Stop:
		return words.Red
	case d.Verdict == watchdog.Warn, d.Activity == watchdog.Unknown, d.Activity == watchdog.Broken:
		return words.Yellow
	case d.Activity == watchdog.Busy:
		return words.Green
	}
	return words.Plain
}

// worthALine says whether a decision says something new: another activity or verdict, or a reason that has not led in
// this stretch yet. A single look that found nothing out is none.
func (n *narrator) worthALine(v *loop.View) bool {
	d := v.Decision
	if d.Activity == watchdog.Unknown {
		n.lost++
		if n.lost == 1 && d.Reason() != watchdog.NoBaseline {
			return false
		}
	} else {
		n.lost = 0
	}
	if d.Final && d.Verdict == watchdog.Stop {
		return false // the first of the three looks has said it; what the final looks lead to is told by the log
	}
	if v.Attempt.Phase == watchdog.StopAsked {
		return false // the log says what each rung answers
	}
	topic := string(d.Reason())
	if standsStill(d) {
		n.still++
		if n.still >= stillLooks {
			topic += " still"
		}
	} else {
		n.still = 0
	}
	if now := (stretch{d.Activity, v.Verdict}); now != n.stretch {
		n.stretch, n.told = now, nil
	}
	if slices.Contains(n.told, topic) {
		return false
	}
	n.told = append(n.told, topic)
	return true
}

// stillLooks is how many looks in a row make a standstill.
const stillLooks = 3

// standsStill: gauges speak of requests, and no other sign of work is there.
func standsStill(d watchdog.Decision) bool {
	return len(d.Reasons) == 1 && d.Reason() == watchdog.RequestsInFlight
}

// progress is the line at the foot of a terminal.
func (n *narrator) progress(v *loop.View, at time.Duration) string {
	const cells = 24
	day := n.day.End - n.day.Begin
	done := min(cells, max(0, int(cells*(at-n.day.Begin)/day)))
	d := v.Decision
	state := d.Activity.String()
	if t := n.ledger.threshold; d.Activity == watchdog.Quiet && t > 0 {
		state = fmt.Sprintf("idle %s of %s", span(n.ledger.idle), span(t))
	}
	return fmt.Sprintf("%s %s%s  %s, %s $ spent", fakepod.Label(at), strings.Repeat("█", done), strings.Repeat("░", cells-done), state, dollars(v.Money.SpentTotal))
}

// span writes a time for people, never more than has passed.
func span(d time.Duration) string {
	d = d.Round(time.Second) // what comes back from real time is a few nanoseconds off
	minutes := d.Minutes()
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 10*time.Minute:
		return strconv.FormatFloat(math.Floor(minutes*10)/10, 'f', -1, 64) + " min"
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0f min", math.Floor(minutes))
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(minutes)%60)
}

// dollars writes an amount in cents, half a cent up.
func dollars(v float64) string { return fmt.Sprintf("%.2f", math.Floor(v*100+0.5+1e-6)/100) }

// usd writes an amount that may be unknown.
func usd(v watchdog.Maybe[float64]) string {
	if !v.Known {
		return "an unknown amount"
	}
	return dollars(v.Value) + " $"
}
