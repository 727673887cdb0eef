package costmodel

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// longestHeadStart is how much older than the watchdog the container's first process may be for its age to count as
// the beginning of this start. Beyond it, somebody ran the watchdog later by hand, and the age says nothing.
const longestHeadStart = 2 * time.Minute

// longestFirstToken bounds what a first token can add to a start: a value beyond it is a fault of the page.
const longestFirstToken = 10 * time.Minute

// longestStart is how long a start may take where Begun does not say.
const longestStart = 30 * time.Minute

// usualAfter is how many later requests make a usual time to the first token.
const usualAfter = 5

// Begun says how this run of the watchdog began.
type Begun struct {
	// NewIdentity: the pod was started or resumed since the last run.
	NewIdentity bool
	// ContainerRestarted: the same identity, but the container's first process is another one.
	ContainerRestarted bool
	// ContainerAge is the age of the container's first process at the first look; unknown where it cannot be read.
	ContainerAge watchdog.Maybe[time.Duration]
	// Timeout is STARTUP_TIMEOUT: a server that is not ready by then has failed to start, and what comes later is no
	// measure of a start. 0 is half an hour.
	Timeout time.Duration
}

// StartMeter measures starts: it is told every look, and answers with a Start when a server has become ready. A server
// that was up at the first look gives none, and a start that fails gives none.
type StartMeter struct {
	begun   Begun
	looked  bool
	running bool // a start is being measured
	kind    StartKind
	elapsed time.Duration
	up      bool
	// since the server came up: the TTFT histogram's first request and the later ones
	waiting      bool
	firstSeconds float64
	haveFirst    bool
}

// NewStartMeter begins with the knowledge of how this run began.
func NewStartMeter(b Begun) *StartMeter { return &StartMeter{begun: b} }

// Look takes one snapshot. done is a start that just ended; extra is what the first token of the last measured start
// took beyond the usual, once that is known.
func (m *StartMeter) Look(s watchdog.Snapshot) (done watchdog.Maybe[Start], extra watchdog.Maybe[time.Duration]) {
	ready, seen := false, false
	for _, srv := range s.Servers {
		ready = ready || srv.Ready()
		seen = seen || srv.Outcome != watchdog.OutcomeSkipped
	}
	if !seen {
		m.elapsed += s.Elapsed
		return done, extra
	}
	first := !m.looked
	m.looked = true
	switch {
	case first && !ready:
		m.begin()
	case first:
		m.up = true
	case m.running:
		m.elapsed += s.Elapsed
	case ready:
		m.up = true
	case m.up && down(s):
		m.kind, m.elapsed, m.running, m.up, m.waiting = ServerRestart, 0, true, false, false
	}
	if m.running && m.elapsed > m.timeout() {
		m.running = false // a pod that stood without a server for hours did not take hours to start
		m.up = ready
	}
	if m.running && ready {
		done = watchdog.Known(Start{Kind: m.kind, At: s.At, Ready: m.elapsed})
		m.running, m.up, m.waiting, m.haveFirst = false, true, true, false
	}
	if m.waiting {
		extra = m.firstToken(s)
	}
	return done, extra
}

func (m *StartMeter) timeout() time.Duration {
	if m.begun.Timeout > 0 {
		return m.begun.Timeout
	}
	return longestStart
}

// begin decides what kind of start this is and when it began.
func (m *StartMeter) begin() {
	m.running, m.elapsed = true, 0
	switch {
	case m.begun.NewIdentity:
		m.kind = PodStart
	case m.begun.ContainerRestarted:
		m.kind = ContainerRestart
	default:
		// The watchdog alone was restarted while no server was up: when that began is not known, so it is no sample.
		m.running = false
		return
	}
	if age := m.begun.ContainerAge; age.Known && age.Value <= longestHeadStart {
		m.elapsed = age.Value
	}
}

// down tells a server that is gone from one that was merely slow to answer.
func down(s watchdog.Snapshot) bool {
	for _, srv := range s.Servers {
		if srv.Outcome == watchdog.OutcomeRefused || srv.Health == watchdog.HealthDead {
			return true
		}
	}
	return false
}

// firstToken compares the time to the first token of the first request with that of the requests after it. It looks at
// the server's own histogram, so a request hours after the start adds what its first token took, not the hours.
func (m *StartMeter) firstToken(s watchdog.Snapshot) (extra watchdog.Maybe[time.Duration]) {
	var count, sum float64
	for _, srv := range s.Servers {
		for _, e := range srv.Engines {
			count += e.Counters[watchdog.FirstTokens].Or(0)
			sum += e.FirstTokenSecondsSum.Or(0)
		}
	}
	switch {
	case count == 1 && !m.haveFirst:
		m.firstSeconds, m.haveFirst = sum, true
	case count > 1 && !m.haveFirst:
		m.waiting = false // several first tokens between two looks: which was the first cannot be told
	case m.haveFirst && count >= 1+usualAfter:
		m.waiting = false
		usual := (sum - m.firstSeconds) / (count - 1)
		over := m.firstSeconds - usual
		if over > 0 && over <= longestFirstToken.Seconds() {
			return watchdog.Known(time.Duration(over * float64(time.Second)))
		}
	}
	return extra
}
