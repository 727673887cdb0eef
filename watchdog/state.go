package watchdog

import "time"

// State is what Decide remembers from one snapshot to the next. It is a value: Decide never changes the one it was
// given. It can be stored as JSON and taken up again by Resume.
type State struct {
	StartID string `json:"start_id"`
	// Based: this process has made a look before, so elapsed time means something.
	Based bool `json:"-"`

	Activity      Activity  `json:"activity"`
	ActivitySince time.Time `json:"activity_since"`
	LastActive    time.Time `json:"last_active"`
	// Since remembers since when each present reason has held.
	Since []Because `json:"-"`

	// Idle is the idle clock: the sum of the quiet windows of this gap.
	Idle time.Duration `json:"idle_ns"`
	// QuietRun counts known quiet windows in a row, as far as two.
	QuietRun   int           `json:"-"`
	UnknownFor time.Duration `json:"-"`
	BrokenFor  time.Duration `json:"broken_ns"`

	// Threshold is T as chosen for this gap, 0 outside one; ChosenAt is the quote that it was chosen at.
	Threshold    time.Duration `json:"threshold_ns"`
	ChosenB      time.Duration `json:"chosen_break_even_ns"`
	ChosenPriced bool          `json:"chosen_priced"`
	Warned       bool          `json:"-"`
	WarnedFor    time.Duration `json:"-"`
	ReadyFor     time.Duration `json:"ready_ns"`
	EverReady    bool          `json:"ever_ready"`
	GPUAloneFor  time.Duration `json:"-"`
	StuckFor     time.Duration `json:"-"`
	// Crashes are how long ago the server died soon after its start, each within crashWithin; ChildFailures is how many failures
	// the supervisor had told of by then.
	Crashes       []time.Duration `json:"crashes"`
	ChildFailures uint64          `json:"child_failures"`
	// CapFor is how long a cap has been announced, DrainFor how long requests were given to end under one that is reached;
	// CapNear and CapDue say that one is announced, and that the stop is due whatever the pod does.
	CapFor          time.Duration `json:"-"`
	DrainFor        time.Duration `json:"-"`
	CapNear, CapDue bool          `json:"-"`
	// Acted: the last decision was to carry out a stop.
	Acted bool `json:"-"`
	// SparedLead is the reason that led the last window in which servers were spared, and every one since.
	SparedLead   Reason        `json:"-"`
	OneSourceFor time.Duration `json:"-"`

	Servers     []ServerState     `json:"servers"`
	Devices     []DeviceState     `json:"devices"`
	Connections []ConnectionState `json:"-"`
	Ports       []PortState       `json:"ports"`
	GPU         Track             `json:"gpu"`
	Sockets     Track             `json:"sockets"`
	// Host follows the CPU alone.
	Host Track `json:"host"`
	// CPU is what the pod's processors do while it idles; Load and Intake are the last second's, in cores and in bytes a second.
	CPU          CPUBaseline    `json:"cpu"`
	Load, Intake Maybe[float64] `json:"-"`
	// Probes is what is remembered of requests, to tell a monitor's.
	Probes ProbeTracker `json:"probes"`
	// Recent are the last ten mean utilisations, for ThresholdDynamic.
	Recent []float64 `json:"-"`

	Attempt Attempt `json:"attempt"`
}

// Track follows one source: whether it has ever answered since this start, and how long it has failed.
type Track struct {
	Worked    bool          `json:"worked"`
	FailedFor time.Duration `json:"failed_ns"`
}

// follow takes the next state of a source.
func (t Track) follow(s SourceState, elapsed time.Duration) Track {
	switch s {
	case SourceOK:
		return Track{Worked: true}
	case SourceAbsent:
		return Track{}
	case SourceFailed:
		t.FailedFor += elapsed
	}
	return t
}

// word is the track's entry in the decision line's evidence.
func (t Track) word(s SourceState, r *Rules) string {
	switch {
	case s == SourceOK, s == SourceSkipped:
		return "ok"
	case s == SourceAbsent, t.gaveUp(r.StartupTimeout):
		return "absent"
	case t.dropped(r.BrokenLimit):
		return "dropped"
	}
	return "failed"
}

// dropped: it has worked, and failed for so long since that it is no longer required.
func (t Track) dropped(brokenLimit time.Duration) bool {
	return t.Worked && t.FailedFor > 0 && t.FailedFor >= brokenLimit
}

// gaveUp: it has never worked, and by now it counts as absent.
func (t Track) gaveUp(startupTimeout time.Duration) bool {
	return !t.Worked && t.FailedFor > 0 && t.FailedFor >= startupTimeout
}

// required: a window is not quiet while this source, having failed, might have seen work.
func (t Track) required(r *Rules) bool {
	return !t.dropped(r.BrokenLimit) && !t.gaveUp(r.StartupTimeout)
}

// ServerState is what is remembered of one server.
type ServerState struct {
	URL string `json:"url"`
	// Mark is the last good reading: what the next one is compared with.
	Mark ServerMark `json:"mark"`
	// Ready: it has answered once since this start of the pod.
	Ready bool `json:"ready"`
	// Waited is how long it was waited for, before it was first ready.
	Waited time.Duration `json:"waited_ns"`
	// Spoke: something answered on its port, but never with a page of vLLM.
	Spoke bool `json:"spoke"`
	// ReadyFor is how long this start of it has been ready.
	ReadyFor time.Duration `json:"ready_for_ns"`
	// Down: it was ready and refuses or is dead now.
	Down bool `json:"down"`
	// DownFor is how long ago it may have gone down at most, 0 where it is not.
	DownFor time.Duration `json:"down_ns"`
	Track   Track         `json:"track"`
	// MuteFor is how long it has answered with its page alone.
	MuteFor time.Duration `json:"mute_ns"`
	// LoadSeen: /load was above 0 in this epoch, so its 0 means something.
	LoadSeen bool `json:"load_seen"`
	// UnbackedFor is how long the gauge has said "running" while a tracked /load said 0 and nothing moved.
	UnbackedFor time.Duration `json:"unbacked_ns"`
	// StillFor is how long its gauges, connections or bytes have stood for work while nothing moved.
	StillFor time.Duration `json:"still_ns"`
}

// foreign: something has answered there all the time, but never with a page of vLLM.
func (s ServerState) foreign(r *Rules) bool {
	return !s.Ready && s.Spoke && s.Waited >= r.StartupTimeout
}

// ServerMark is one server's counters at one moment.
type ServerMark struct {
	Set          bool           `json:"set"`
	StartedAt    float64        `json:"started_at"`
	Engines      []EngineMark   `json:"engines"`
	HTTPRequests Maybe[float64] `json:"http_requests"`
	// InFlight is how many requests its gauges or /load showed, whichever were more.
	InFlight float64 `json:"in_flight"`
}

// EngineMark is one engine's counters at one moment.
type EngineMark struct {
	ID       string   `json:"id"`
	Counters Counters `json:"counters"`
}

// DeviceState is what is remembered of one GPU.
type DeviceState struct {
	UUID string `json:"uuid"`
	// Floor are the highest samples of the last looks at which vLLM was known to be quiet, oldest first.
	Floor []uint8 `json:"floor"`
	// FloorFor is how long the floor has been measured.
	FloorFor time.Duration `json:"floor_ns"`
	// IdleWatts is the power while loaded and idle (exponential mean), over IdleWindows looks.
	IdleWatts   float64 `json:"idle_watts"`
	IdleWindows int     `json:"idle_windows"`
	// SpinFor is how long every sample has been at the top without memory traffic and at idle power.
	SpinFor time.Duration `json:"spin_ns"`
}

// ConnectionState is what is remembered of one connection, by its cookie.
type ConnectionState struct {
	Cookie         uint64
	Received, Sent uint64
	// OwedFor is how long it has been owed an answer.
	OwedFor time.Duration
}

// Attempt is a stop that was asked for, until it is proven by our own end or overtaken by work.
type Attempt struct {
	Phase StopPhase `json:"phase"`
	// Tries counts the attempts of this gap.
	Tries int `json:"tries"`
	// For is how long the present phase has lasted.
	For time.Duration `json:"for_ns"`
	// RetryIn is how long to wait before the next try.
	RetryIn time.Duration `json:"retry_in_ns"`
	// Unproven: some stop was accepted and this pod lives on. It stays until a stop is proven.
	Unproven bool `json:"unproven"`
	// Refused: the last answer was a no. It stays while the next try is being made.
	Refused bool   `json:"refused"`
	Target  string `json:"target"`
	Rung    string `json:"rung"`
	Detail  string `json:"detail"`
}

// Resume makes a stored state fit for a new process. Under another identity, or an unknown one, nothing of it holds: a
// resumed pod begins at zero. Under the same one the idle clock stands where it was stored; the time away is not
// credited, and the first look compares every counter with the stored ones.
func Resume(stored State, startID string) State {
	if startID == "" || stored.StartID != startID {
		return State{StartID: startID}
	}
	stored.Based = false
	switch stored.Attempt.Phase {
	case StopAsked:
		// It was killed while asking: the answer may have been yes, so wait for the proof, and then ask again.
		stored.Attempt.Phase, stored.Attempt.For = StopAccepted, 0
	case StopWouldHave:
		// That was said by a dry run, which this process need not be.
		stored.Attempt = Attempt{Unproven: stored.Attempt.Unproven}
	}
	return stored
}
