package fakepod

import (
	"cmp"
	"slices"
	"time"
)

// Kind is what happens in an episode.
type Kind uint8

// The kinds.
const (
	// Nothing happens; only the text is told.
	Nothing Kind = iota
	// Ready: the model is loaded, the server listens.
	Ready
	// Work: Clients stream answers until For has passed.
	Work
	// Burst: one client sends Clients requests of one token, too fast for any gauge.
	Burst
	// Kernel: something that vLLM knows nothing of uses the GPU, too briefly for anything but the ring of samples.
	Kernel
	// MassAbort: all clients hang up in the middle of their answers, and the gauges stay where they were.
	MassAbort
)

// Episode is one thing that happens to the pod.
type Episode struct {
	// At is the time of day.
	At      time.Duration
	Kind    Kind
	Clients int
	For     time.Duration
	// Text is for people; empty tells nothing.
	Text string
}

// wants says how many people want the pod at the beginning of the episode.
func (e Episode) wants() int {
	switch e.Kind {
	case Work:
		return e.Clients
	case Burst, Kernel:
		return 1
	}
	return 0
}

// Day is what happens to a pod from the start of its container on.
type Day struct {
	Begin, End time.Duration
	Episodes   []Episode
	// Tomorrow is when somebody wants the pod again after the last episode.
	Tomorrow time.Duration
}

// Workday is an office day: a morning, pauses that are shorter than a cold start is worth, one that is only so because
// somebody sent a few tokens, a fault, an afternoon and a quiet evening.
func Workday() Day {
	at := func(hour, minute int) time.Duration {
		return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	}
	return Day{
		Begin: at(9, 30), End: at(20, 30), Tomorrow: at(24+9, 0),
		Episodes: []Episode{
			{At: at(9, 30), Text: "the container starts; vLLM loads its model, and its port refuses"},
			{At: at(9, 31), Kind: Ready, Text: "the model is loaded: /health says 200"},
			{At: at(9, 35), Kind: Work, Clients: 4, For: 76 * time.Minute, Text: "four people begin to work"},
			{At: at(10, 54), Text: "coffee: nobody asks for anything"},
			{At: at(11, 8), Kind: Kernel, Text: "a notebook in the same pod runs one kernel of a few milliseconds"},
			{At: at(11, 22), Kind: Work, Clients: 3, For: 58 * time.Minute, Text: "back to work"},
			{At: at(12, 22), Text: "lunch, an hour of it"},
			{At: at(12, 51), Kind: Burst, Clients: 3, Text: "somebody's script sends three requests of one token, between two looks"},
			{At: at(13, 20), Kind: Work, Clients: 4, For: 80 * time.Minute, Text: "back to work"},
			{At: at(14, 10), Kind: MassAbort, Text: "a gateway restarts: all clients hang up at once, and vLLM's gauges stick"},
			{At: at(15, 2), Kind: Work, Clients: 4, For: 108 * time.Minute, Text: "the afternoon begins"},
			{At: at(16, 54), Text: "everybody goes home, and nobody thinks of the pod"},
		},
	}
}

// With is the day with more episodes in it.
func (d Day) With(more ...Episode) Day {
	d.Episodes = slices.Concat(d.Episodes, more)
	slices.SortStableFunc(d.Episodes, func(a, b Episode) int { return cmp.Compare(a.At, b.At) })
	return d
}

// wanted is when somebody wants the pod in the episodes from number n on, or tomorrow, and how many people do: tomorrow
// begins with as many as today.
func (d Day) wanted(n int) (at time.Duration, people int) {
	for _, e := range d.Episodes[n:] {
		if e.wants() > 0 {
			return e.At, e.wants()
		}
	}
	if n == 0 {
		return d.Tomorrow, 1
	}
	_, people = d.wanted(0)
	return d.Tomorrow, people
}

// Came is how many people the latest episode before a time of day brought that wanted the pod.
func (d Day) Came(before time.Duration) int {
	people := 0
	for _, e := range d.Episodes {
		if e.At <= before && e.wants() > 0 {
			people = e.wants()
		}
	}
	return people
}
