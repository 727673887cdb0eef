package startup

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

// Milestone is a moment of a start. Each ends one phase.
type Milestone uint8

// The milestones, in the order in which a start goes through them.
const (
	FirstLine Milestone = iota
	Loading
	Weights
	Compiled
	Captured
	Engine
	Ready
	FirstToken
	// NumMilestones is how many there are.
	NumMilestones
)

// Names are the phases by the milestone that ends them, in the order in which a start goes through them.
var Names = [NumMilestones]string{
	FirstLine:  "boot",        // from exec to the first line: the interpreter and what it imports
	Loading:    "prepare",     // configuration, the engine's processes and their imports
	Weights:    "weights",     // reading the model
	Compiled:   "compile",     // torch.compile, or loading what it made before
	Captured:   "capture",     // recording CUDA graphs
	Engine:     "warm_up",     // profiling, the KV cache, what is left of the engine's start
	Ready:      "serve",       // the API server, to the first 200 of /health
	FirstToken: "first_token", // of the first request
}

// Mark is a milestone that was seen, after exec.
type Mark struct {
	At     time.Duration
	Source Source
	Seen   bool
}

// Marks are the milestones of one start.
type Marks [NumMilestones]Mark

// First sets a milestone unless it was seen before.
func (m *Marks) First(which Milestone, at time.Duration, source Source) {
	if !m[which].Seen {
		m[which] = Mark{at, source, true}
	}
}

// Last moves a milestone on: several workers reach it one after the other.
func (m *Marks) Last(which Milestone, at time.Duration, source Source) {
	if !m[which].Seen || at > m[which].At {
		m[which] = Mark{at, source, true}
	}
}

// Over returns the milestones with those of others in place of them where both were seen.
func (m Marks) Over(others Marks) Marks {
	for i, o := range others {
		if o.Seen {
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

// Phases cuts the time from exec to the last milestone into phases. Their known parts add up to it, whatever was seen: a
// milestone that comes before its predecessor ends a phase of no length.
func (m Marks) Phases() []Phase {
	out := make([]Phase, NumMilestones)
	from := time.Duration(0)
	for i, at := range m {
		out[i].Name = Names[i]
		if !at.Seen {
			continue
		}
		to := max(at.At, from)
		out[i].Seconds, out[i].Source = watchdog.Known((to - from).Seconds()), at.Source
		from = to
	}
	return out
}
