package watchdog

import "time"

// Activity is what one window was. The zero value is unknown.
type Activity uint8

// The four activities.
const (
	Unknown Activity = iota
	Busy
	Broken
	Quiet
)

var activityNames = [...]string{"unknown", "busy", "broken", "quiet"}

func (a Activity) String() string { return activityNames[a] }

// Verdict is what to do. The zero value holds.
type Verdict uint8

// The verdicts.
const (
	Hold Verdict = iota
	Warn
	Stop
)

var verdictNames = [...]string{"hold", "warn", "stop"}

func (v Verdict) String() string { return verdictNames[v] }

// Because is a reason with its detail for people and the instant since which it has held.
type Because struct {
	Code   Reason    `json:"code"`
	Detail string    `json:"detail"`
	Since  time.Time `json:"since"`
}

// Evidence says of each kind of source whether it counted: ok, absent, failed or dropped.
type Evidence struct {
	VLLM    string `json:"vllm"`
	GPU     string `json:"gpu"`
	Sockets string `json:"sockets"`
	Host    string `json:"host"`
}

// Alarm is something that a person should look at. It is raised as long as the decision carries it.
type Alarm struct {
	// Code is stable, one of the Alarm constants.
	Code string
	// Text says what is wrong, with which value, and what to do.
	Text string
}

// Decision is what was decided about one snapshot, with every number that it rests on.
type Decision struct {
	Tick     uint64
	At       time.Time
	Final    bool
	Verdict  Verdict
	Activity Activity
	// ActivitySince is the instant at which this activity began.
	ActivitySince time.Time
	// Reasons has the deciding reason first.
	Reasons []Because
	// Act: carry out the stop now. Only ever set with Stop; in the loop it leads to the final look and the ladder.
	Act bool

	// Capped: the stop is a cap's, which work does not hold.
	Capped bool
	// Tail is what the server wrote last, where the decision is about its end; a line each.
	Tail []string

	// Idle is the sum of quiet windows of this gap.
	Idle time.Duration
	// UnknownFor is how long the present stretch of unknown windows has lasted.
	UnknownFor time.Duration
	// Threshold is T; unknown outside a gap.
	Threshold Maybe[time.Duration]
	Quote     Quote
	// StopAt is the earliest instant at which a stop can come if nothing happens; unknown where none is in sight.
	StopAt Maybe[time.Time]
	// Until is when the deciding rule ends by itself; unknown where it does not.
	Until Maybe[time.Time]

	Running, Waiting Maybe[float64]
	// TokensDelta is the sum over all engines of prompt and generated tokens since the last good reading.
	TokensDelta Maybe[float64]
	// ConnectionBytes is what moved on the served ports in this window, in both directions, our own excluded.
	ConnectionBytes Maybe[uint64]
	// Owed says who waits for an answer, however briefly; empty where nobody does. A stop that no rule asks for must look at it, too.
	Owed string
	// Peer is the client that sent or got bytes last; empty where none did.
	Peer string
	// GPUPercentMax is the highest sample of the window over all devices.
	GPUPercentMax Maybe[float64]
	// GPUThresholdPercent is the utilisation that counts as work.
	GPUThresholdPercent float64
	CPUCores            Maybe[float64]
	Evidence            Evidence
	Alarms              []Alarm
}

// Reason is the deciding reason.
func (d Decision) Reason() Reason {
	if len(d.Reasons) == 0 {
		return NoEvidence
	}
	return d.Reasons[0].Code
}

// StopIn is the time left until StopAt, never negative.
func (d Decision) StopIn() Maybe[time.Duration] {
	if !d.StopAt.Known {
		return Maybe[time.Duration]{}
	}
	return Known(max(0, d.StopAt.Value.Sub(d.At)))
}
