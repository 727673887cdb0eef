package orders

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Hold asks for a lease: until it ends, nothing stops the pod but a cap.
type Hold struct {
	// For is how long, from Least to Most.
	For time.Duration
	// By is who asks, as the system knows them. Why is what they say, empty where they do not.
	By, Why string
}

// Release ends leases before their time: all of them and a postponement too, or with Own only those of By.
type Release struct {
	By  string
	Own bool
}

// Postpone moves the earliest stop back by For, from Least to Most.
type Postpone struct {
	For time.Duration
	By  string
}

// Stop asks for a stop now. With Rehearse everything is done but the stop itself, as the proof that one would be let through.
type Stop struct {
	By       string
	Rehearse bool
}

// Answer is what came of an order, or how things stand.
type Answer struct {
	// Text is for people, one line or a few.
	Text string `json:"text"`
	// Until is when what was ordered ends: the new lease, the postponement.
	Until watchdog.Maybe[time.Time] `json:"until"`
	// StopAt is the earliest stop that is in sight now.
	StopAt watchdog.Maybe[time.Time] `json:"stop_at"`
	// Holds are the leases that stand, the one that ends first at the beginning.
	Holds []Lease `json:"holds"`
}

// Plain is the answer fit to be shown, wherever it came from: texts without control characters and not endless, times in UTC to
// the second, and a list of leases that is never null.
func (a Answer) Plain() Answer {
	a.Text = CleanLines(a.Text)
	a.Until, a.StopAt = toSecond(a.Until), toSecond(a.StopAt)
	holds := make([]Lease, 0, len(a.Holds))
	for _, h := range a.Holds {
		holds = append(holds, Lease{Until: second(h.Until), By: Clean(h.By, MostBy), Why: Clean(h.Why, MostWhy)})
	}
	a.Holds = holds
	return a
}

func toSecond(t watchdog.Maybe[time.Time]) watchdog.Maybe[time.Time] {
	t.Value = second(t.Value)
	return t
}

func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
