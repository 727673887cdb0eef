package watchdog

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	// beatsWanted is how many requests alike make a regular probe.
	beatsWanted = 6
	// beatTolerance is how far sizes and distances may lie apart, as a share.
	beatTolerance = 0.1
	// beatsMissed is the most beats that may be hidden between two requests by other requests.
	beatsMissed = 2
	// beatSharpness is how well each request must be dated, as a share of the period: looks every 5 s cannot tell requests every
	// 5 s from any other work.
	beatSharpness = 0.6
	// mostBeats bounds what is remembered: it is part of a memory of 64 KiB.
	mostBeats = 12
)

// ProbeSize is the size of a request, or of several that ended together.
type ProbeSize struct {
	Requests float64 `json:"requests"`
	// Prompt and Output are tokens; Received and Sent are bytes, where only sockets are known. Unknown otherwise.
	Prompt   Maybe[float64] `json:"prompt,omitzero"`
	Output   Maybe[float64] `json:"output,omitzero"`
	Received Maybe[float64] `json:"received,omitzero"`
	Sent     Maybe[float64] `json:"sent,omitzero"`
}

// probeEvent is a request that came to its end, or several at once, after one moment and by another.
type probeEvent struct {
	// Source is the server, or the port where only sockets are known.
	Source    string
	Size      ProbeSize
	After, By time.Duration
	// Peers may have sent it; empty where no client was seen. Others are scrapers, which may have sent it, too.
	Peers, Others []string
}

// ProbeBeat follows requests that are alike and may turn out to be regular.
type ProbeBeat struct {
	Source string `json:"source"`
	// Peers were there each time at which any client was seen that is no scraper, Others are scrapers that were.
	Peers  []string `json:"peers"`
	Others []string `json:"others"`
	// Times are the last ones, oldest first, at most as many as make a regular probe.
	Times []ProbeTime `json:"times"`
	// Seen counts all in a row.
	Seen int `json:"seen"`
	// Masked: since the last one other requests came, in whose sums one of these may have been hidden.
	Masked bool `json:"masked"`
}

// ProbeTime is one request of a beat.
type ProbeTime struct {
	// After and By are the moments between which it happened, by the tracker's clock.
	After time.Duration `json:"after_ns"`
	By    time.Duration `json:"by_ns"`
	// Beats is how many beats after the one before it.
	Beats int       `json:"beats"`
	Size  ProbeSize `json:"size"`
}

// RegularProbe is a client that sends the same request again and again.
type RegularProbe struct {
	// Source is the server's URL, or the port where only sockets are known.
	Source string
	// Peer is the client's address, or several of which it is one; empty where none was seen each time.
	Peer   string
	Size   ProbeSize
	Period time.Duration
	// Seen is how many came in a row.
	Seen int
}

// String says who sends what, where and how often.
func (p RegularProbe) String() string {
	who := p.Peer
	if who == "" {
		who = "a client that was not seen"
	}
	what := fmt.Sprintf("%.0f bytes for %.0f", p.Size.Received.Or(0), p.Size.Sent.Or(0))
	if !p.Size.Received.Known {
		what = fmt.Sprintf("%.0f prompt and %.0f output tokens", p.Size.Prompt.Or(0), p.Size.Output.Or(0))
	}
	if p.Size.Requests > 1 {
		what = fmt.Sprintf("%.0f requests of together %s", p.Size.Requests, what)
	}
	return fmt.Sprintf("%s sends %s to %s every %s (%d times so far)", who, what, p.Source, p.Period.Round(time.Second/10), p.Seen)
}

// MaxTokens is the least PROBE_MAX_TOKENS under which this probe is no work; unknown where its tokens are.
func (p RegularProbe) MaxTokens() Maybe[int] {
	if !p.Size.Prompt.Known || !p.Size.Output.Known {
		return Maybe[int]{}
	}
	return Known(int(math.Ceil(max(p.Size.Prompt.Value, p.Size.Output.Value))))
}

// keepTime adds each request to the beat that it belongs to, or begins a new one.
func keepTime(beats []ProbeBeat, events []probeEvent) []ProbeBeat {
	next := slices.Clone(beats)
	for _, e := range events {
		best, fits := -1, false
		for i, b := range next {
			// The first that it keeps the time of, else the first that it is alike.
			if b.Source == e.Source && b.alike(e) && (best < 0 || !fits && b.fits(e)) {
				best, fits = i, b.fits(e)
			}
		}
		for i := range next {
			if i != best && next[i].Source == e.Source && !e.Size.Received.Known {
				next[i].Masked = true
			}
		}
		if best >= 0 {
			next[best] = next[best].with(e)
			continue
		}
		if len(next) == mostBeats {
			next = slices.Delete(next, leastKnown(next), leastKnown(next)+1)
		}
		next = append(next, ProbeBeat{Source: e.Source, Peers: e.Peers, Others: e.Others, Times: []ProbeTime{{After: e.After, By: e.By, Size: e.Size}}, Seen: 1})
	}
	return next
}

// leastKnown is the beat to forget: of those with the fewest requests the one that has been silent for longest.
func leastKnown(beats []ProbeBeat) int {
	least := 0
	for i, b := range beats {
		l := beats[least]
		if len(b.Times) < len(l.Times) || len(b.Times) == len(l.Times) && b.last().By < l.last().By {
			least = i
		}
	}
	return least
}

// last is the last request; the zero value where a stored beat has none.
func (b ProbeBeat) last() ProbeTime {
	if len(b.Times) == 0 {
		return ProbeTime{}
	}
	return b.Times[len(b.Times)-1]
}

// alike: the request is of the size of each of the beat, and may come from its client.
func (b ProbeBeat) alike(e probeEvent) bool {
	if len(b.Peers) > 0 && len(e.Peers) > 0 && len(common(b.Peers, e.Peers)) == 0 {
		return false
	}
	return !slices.ContainsFunc(b.Times, func(t ProbeTime) bool { return !t.Size.alike(e.Size) })
}

func (s ProbeSize) alike(o ProbeSize) bool {
	near := func(a, b Maybe[float64]) bool {
		return a.Known == b.Known && math.Abs(a.Value-b.Value) <= beatTolerance*max(a.Value, b.Value)
	}
	return s.Requests == o.Requests && near(s.Prompt, o.Prompt) && near(s.Output, o.Output) && near(s.Received, o.Received) && near(s.Sent, o.Sent)
}

// common are the names that both lists have.
func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(name string) bool { return !slices.Contains(b, name) })
}

// fits: with the request the beat still has one period.
func (b ProbeBeat) fits(e probeEvent) bool {
	times, ok := b.join(e)
	return ok && len(times) > 1
}

// join adds the request to the beat's times where some period fits all of them.
func (b ProbeBeat) join(e probeEvent) (times []ProbeTime, ok bool) {
	most := 1
	if b.Masked {
		most += beatsMissed
	}
	for beats := 1; beats <= most; beats++ {
		times = append(slices.Clone(b.Times), ProbeTime{After: e.After, By: e.By, Size: e.Size, Beats: beats})
		times = times[max(0, len(times)-beatsWanted):]
		if _, ok := periodOf(times); ok {
			return times, true
		}
	}
	return nil, false
}

// with adds the request. Where it does not keep the beat's time, as many of the oldest are forgotten as it takes.
func (b ProbeBeat) with(e probeEvent) ProbeBeat {
	switch {
	case len(b.Peers) == 0:
		b.Peers = e.Peers
	case len(e.Peers) > 0:
		b.Peers = common(b.Peers, e.Peers)
	}
	if len(e.Peers)+len(e.Others) > 0 {
		b.Others = common(b.Others, e.Others)
	}
	for {
		times, ok := b.join(e)
		if ok {
			b.Times, b.Masked = times, false
			b.Seen++
			return b
		}
		b.Times = b.Times[1:]
		b.Seen = len(b.Times)
	}
}

// periodOf is the distance of the requests, where there is one from which no distance is further away than the tolerance. Each
// of them happened between two moments, so each distance lies between two bounds.
func periodOf(times []ProbeTime) (period time.Duration, ok bool) {
	if len(times) < 2 {
		return 0, true
	}
	least, most, widest, beats := 0.0, math.Inf(1), time.Duration(0), 0
	for i, t := range times {
		widest = max(widest, t.By-t.After)
		if i == 0 {
			continue
		}
		n := float64(t.Beats)
		least = max(least, float64(t.After-times[i-1].By)/(n+beatTolerance))
		most = min(most, float64(t.By-times[i-1].After)/(n-beatTolerance))
		beats += t.Beats
	}
	first, last := times[0], times[len(times)-1]
	mean := float64(last.After+last.By-first.After-first.By) / 2 / float64(beats)
	period = time.Duration(min(max(mean, least), most))
	sharp := len(times) < beatsWanted || float64(widest) <= beatSharpness*float64(period)
	return period, least <= most && period > 0 && sharp
}

// regular are the probes that have proved to be regular and go on.
func regular(beats []ProbeBeat, now time.Duration) (out []RegularProbe) {
	for _, b := range beats {
		if len(b.Times) < beatsWanted {
			continue
		}
		period, _ := periodOf(b.Times)
		if now-b.last().By > time.Duration(beatsMissed+1)*period {
			continue // it has fallen silent
		}
		peers := b.Peers
		if len(peers) == 0 {
			peers = b.Others
		}
		out = append(out, RegularProbe{
			Source: b.Source, Peer: strings.Join(peers, " or "), Size: b.last().Size, Period: period, Seen: b.Seen,
		})
	}
	return out
}
