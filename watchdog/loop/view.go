package loop

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Identity is what does not change while the watchdog runs.
type Identity struct {
	Version string
	Name    string
	StartID string
	// Config is the settings' hash, 8 hex digits.
	Config string
	DryRun bool
	Policy string
	// Wake says who starts the pod again: "manual".
	Wake   string
	Target Target
	// Armed: something can stop this pod. Unarmed says why not.
	Armed   bool
	Unarmed string
	// Ports are the served ports that the socket table is read for.
	Ports []uint16
}

// Target is what a stop would stop.
type Target struct {
	// Kind is "runpod"; empty where nothing is armed.
	Kind   string
	ID     string
	Action string
}

// Permission says what is known of our right to stop the target.
type Permission string

// The permissions.
const (
	PermissionUnproven Permission = "unproven"
	PermissionProven   Permission = "proven"
	PermissionRefused  Permission = "refused"
)

// LastStop is the last stop that was asked for, in this run or the one before.
type LastStop struct {
	RequestedAt time.Time
	Target      string
	// Result is accepted, refused, would_stop or overtaken.
	Result string
	// Proof is proven, awaited, unproven, or empty where none is expected.
	Proof  string
	Detail string
}

// Money is what this start has cost so far, as far as prices are known.
type Money struct {
	// PriceSource is "environment", "provider", or empty while no price is known.
	PriceSource string
	// Day is the UTC day that the two figures of today belong to.
	Day                   time.Time
	SpentToday, IdleToday watchdog.Maybe[float64]
	// SpentTotal and IdleTotal are in USD since the watchdog started.
	SpentTotal, IdleTotal float64
	ColdStartSamples      int
}

// Caps are the limits beyond which the pod is stopped whatever it does; unknown where none is set.
type Caps struct {
	MaxRuntime     watchdog.Maybe[time.Duration]
	MaxSpendPerDay watchdog.Maybe[float64]
}

// SourceHealth is the record of one kind of source (vllm, gpu, sockets, host).
type SourceHealth struct {
	Up          bool
	LastSuccess time.Time
	Errors      uint64
}

// DeviceTotals is what has been counted of one GPU.
type DeviceTotals struct {
	BusySeconds float64
	SampleGaps  uint64
}

// DecisionKey counts decisions.
type DecisionKey struct{ Verdict, Reason string }

// Counters are what has been counted since the watchdog started.
type Counters struct {
	Ticks, LateTicks uint64
	// TickSeconds is how long the last tick took, from the first look to the last log line.
	TickSeconds float64
	Decisions   map[DecisionKey]uint64
	Attempts    map[AttemptKey]uint64
	// Devices is keyed by UUID.
	Devices map[string]DeviceTotals
	// UnprovenFor is how long an accepted stop has been without proof.
	UnprovenFor time.Duration
}

// AttemptKey counts the answers to stop requests.
type AttemptKey struct{ Target, Result string }

// View is one tick as it is published: a value that nobody changes afterwards.
type View struct {
	Identity Identity
	Snapshot watchdog.Snapshot
	Decision watchdog.Decision
	// Verdict is the decision's verdict as it is shown: hold, warn, stop or would_stop.
	Verdict string
	// Floors are the measured noise floors in percent, by UUID.
	Floors           map[string]watchdog.Maybe[float64]
	Attempt          watchdog.Attempt
	Permission       Permission
	PermissionDetail string
	LastStop         *LastStop
	Money            Money
	Sources          map[string]SourceHealth
	// Servers is the last good reading of each URL.
	Servers  map[string]time.Time
	Counters Counters
	// Persistent: what is learned survives a stop of the pod.
	Persistent bool
	Warnings   []string
	// Leases are what people hold the pod by.
	Leases orders.Leases
	// Draining: the pod is out of its service, for a stop.
	Draining bool
	// Caps are the limits that are set.
	Caps      Caps
	StartedAt time.Time
	// Stale is after how long without a newer view the watchdog counts as stuck.
	Stale time.Duration
}
