package coldstart

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Source says how the end of a phase was seen.
type Source string

// The sources. A span is exact; a line is as late as its program was in writing it; what is asked for over HTTP is late by up
// to a twentieth of a second.
const (
	BySpan Source = "span"
	ByLog  Source = "log"
	ByHTTP Source = "http"
)

// milestone is a moment of a start. Each ends one phase.
type milestone uint8

const (
	firstLine milestone = iota
	loading
	weights
	compiled
	captured
	engine
	ready
	firstToken
	numMilestones
)

// phaseNames are the phases by the milestone that ends them, in the order in which a start goes through them.
var phaseNames = [numMilestones]string{
	firstLine:  "boot",        // from exec to the first line: the interpreter and what it imports
	loading:    "prepare",     // configuration, the engine's processes and their imports
	weights:    "weights",     // reading the model
	compiled:   "compile",     // torch.compile, or loading what it made before
	captured:   "capture",     // recording CUDA graphs
	engine:     "warm_up",     // profiling, the KV cache, what is left of the engine's start
	ready:      "serve",       // the API server, to the first 200 of /health
	firstToken: "first_token", // of the first request
}

// mark is a milestone that was seen, after exec.
type mark struct {
	at     time.Duration
	source Source
	seen   bool
}

// marks are the milestones of one start.
type marks [numMilestones]mark

// first sets a milestone unless it was seen before.
func (m *marks) first(which milestone, at time.Duration, source Source) {
	if !m[which].seen {
		m[which] = mark{at, source, true}
	}
}

// last moves a milestone on: several workers reach it one after the other.
func (m *marks) last(which milestone, at time.Duration, source Source) {
	if !m[which].seen || at > m[which].at {
		m[which] = mark{at, source, true}
	}
}

// over returns the milestones with those of others in place of them where both were seen.
func (m marks) over(others marks) marks {
	for i, o := range others {
		if o.seen {
			m[i] = o
		}
	}
	return m
}

// Phase is one phase of a start.
type Phase struct {
	Name string `json:"name"`
	// Seconds is unknown where the end of the phase was not seen: it did not take place (nothing is compiled under
	// --enforce-eager), or the program does not tell. Its time then belongs to the phase after it.
	Seconds watchdog.Maybe[float64] `json:"seconds"`
	// USD is what the pod costs in that time, storage included and people excluded; unknown without a price.
	USD watchdog.Maybe[float64] `json:"usd"`
	// Source says how its end was seen; empty where it was not.
	Source Source `json:"source,omitempty"`
}

// phases cuts the time from exec to the last milestone into phases. Their known parts add up to it, whatever was seen: a
// milestone that comes before its predecessor ends a phase of no length.
func (m marks) phases() []Phase {
	out := make([]Phase, numMilestones)
	from := time.Duration(0)
	for i, at := range m {
		out[i].Name = phaseNames[i]
		if !at.seen {
			continue
		}
		to := max(at.at, from)
		out[i].Seconds, out[i].Source = watchdog.Known((to - from).Seconds()), at.source
		from = to
	}
	return out
}
