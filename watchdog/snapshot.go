package watchdog

import "time"

// SourceState says whether a source of evidence answered. The zero value is "failed": a forgotten reading is never
// taken for a quiet one.
type SourceState uint8

const (
	// SourceFailed: it should have answered in this window and did not.
	SourceFailed SourceState = iota
	// SourceOK: a good reading.
	SourceOK
	// SourceAbsent: it cannot answer here in principle (no library, no permission, no such kernel, configured away).
	SourceAbsent
	// SourceSkipped: not asked in this window, because something else had already proved work.
	SourceSkipped
)

// Snapshot is all that one look at the pod found out. A source that failed is data too.
type Snapshot struct {
	// Tick counts looks since the watchdog started, the first is 1.
	Tick uint64
	// At is the wall clock, for logs and people; no duration is computed from it.
	At time.Time
	// Elapsed is the monotonic time since the previous snapshot; 0 for the first one.
	Elapsed time.Duration
	// WallStep is how far the wall clock moved against Elapsed since the previous snapshot (signed).
	WallStep time.Duration
	// Final marks a final look: nothing short of positive quiet lets a stop through.
	Final bool

	// StartID identifies this start of the pod; empty means unknown, and then nothing is ever stopped.
	StartID string
	// Servers has one entry for each URL of VLLM_URLS, in their order; none where VLLM_URLS=none.
	Servers []Server
	GPU     GPU
	Sockets Sockets
	Host    Host
	// Rows is how many rows of requests that have just ended came in since the previous snapshot. RowPrompt and RowOutput are the most
	// tokens that any of them has; unknown where one of them does not tell.
	Rows                 uint64
	RowPrompt, RowOutput Maybe[float64]
	// Child is what a supervisor says of the server that it runs.
	Child Child
	// People is what people have asked for, and what they do in this pod.
	People People
	// RevertedUntil is until when nothing is stopped because our last stops were undone, zero where they were not; Reverted says how
	// often, and by whom where that is known.
	RevertedUntil time.Time
	Reverted      string
	// RunFor is how long this start of the pod has lasted.
	RunFor Maybe[time.Duration]
	// SpentTodayUSD is what the pod has cost since the last midnight, UTC; unknown without a price.
	SpentTodayUSD Maybe[float64]
	// Pod is what the provider's API says of this pod; unknown fields where the key may not read.
	Pod Pod
	// Quote is what idling costs against starting again, at this moment.
	Quote Quote
	// Stop is news of a stop that an earlier decision asked for.
	Stop StopReport
}

// Outcome says how far one scrape of a server came.
type Outcome uint8

const (
	// OutcomeUnreadable: something answered, but not with a page that we can read (HTML, half a page, too large,
	// a redirect, another status, a certificate that does not hold).
	OutcomeUnreadable Outcome = iota
	// OutcomeAnswered: /metrics came whole and was read.
	OutcomeAnswered
	// OutcomeRefused: nobody listens on the port. This is knowledge: no request can be in flight.
	OutcomeRefused
	// OutcomeTimeout: no answer in time. This is not knowledge.
	OutcomeTimeout
	// OutcomeSkipped: not asked in this window, because something else had already proved work.
	OutcomeSkipped
)

// Health is the answer of /health.
type Health uint8

const (
	// HealthUnknown: not asked, or no usable answer.
	HealthUnknown Health = iota
	// HealthOK: 200.
	HealthOK
	// HealthDead: 503, vLLM's word for "the engine is dead"; it overrules the gauges beside it, which are frozen.
	HealthDead
)

// Counter names one of vLLM's monotonic counters that move with work. They are read per engine and never summed over
// servers, so that one server's absence is not a reset of another.
type Counter uint8

// The counters of one engine, by the family on vLLM's page that they come from.
const (
	PromptTokens     Counter = iota // vllm:prompt_tokens_total
	GenerationTokens                // vllm:generation_tokens_total
	FinishedRequests                // vllm:request_success_total, all reasons
	FirstTokens                     // vllm:time_to_first_token_seconds_count
	InterTokens                     // vllm:inter_token_latency_seconds_count, or its older name
	EngineSteps                     // vllm:iteration_tokens_total_count
	Preemptions                     // vllm:num_preemptions_total
	PrefixQueries                   // vllm:prefix_cache_queries_total, or its older name
	NumCounters
)

// Counters holds the values of one engine's counters; a family that is not on the page is unknown.
type Counters [NumCounters]Maybe[float64]

// Engine is one engine's part of a page.
type Engine struct {
	// ID is the label engine; "0" where the version has no such label.
	ID       string
	Counters Counters
	// Running and Waiting are gauges; unknown where they are not on the page.
	Running, Waiting Maybe[float64]
	// KVUsage is the share of KV blocks in use, 0 to 1.
	KVUsage Maybe[float64]
	// Awake is false when the engine sleeps.
	Awake Maybe[bool]
	// FirstTokenSecondsSum is the sum of the TTFT histogram, in seconds.
	FirstTokenSecondsSum Maybe[float64]
}

// Server is one reading of one server.
type Server struct {
	URL string
	// Port is the served port where the server is on this machine, 0 where it is elsewhere.
	Port uint16
	// Outcome is about /metrics.
	Outcome Outcome
	// Detail says what was wrong, for people; it holds no secret and no query string.
	Detail string
	Health Health
	// Version is vLLM's own, empty where unknown.
	Version string
	// EngineSeries: the page has series of vllm:. HTTPSeries: it has http_requests_total.
	EngineSeries, HTTPSeries bool
	// Engines, sorted by ID; taken from the counters, since gauges of an engine without a request may be missing.
	Engines []Engine
	// HTTPRequests is the sum of http_requests_total over POST handlers other than "none" and statuses other than 4xx.
	HTTPRequests Maybe[float64]
	// Mute: its page came, and then it did not answer to /health or /load in time. What it does cannot be said from the page alone:
	// that is how a first request looks that has just begun to compile.
	Mute bool
	// Load is the answer of /load, summed over nothing: one API server's own count.
	Load Maybe[float64]
	// StartedAt is process_start_time_seconds or the oldest _created of the page, 0 where it has none: a change is a
	// new epoch even where no counter fell.
	StartedAt float64
	// Took is how long the scrape took.
	Took time.Duration
}

// Ready says that the server answered and did not call itself dead.
func (s Server) Ready() bool { return s.Outcome == OutcomeAnswered && s.Health != HealthDead }

// GPU is what NVML said of all the devices that count (GPUS).
type GPU struct {
	State SourceState
	// Reason says why it is absent or failed.
	Reason  string
	Devices []Device
}

// Device is one GPU in one window.
type Device struct {
	UUID, Name string
	Index      int
	// State is failed for a lost GPU; the other devices may still be good.
	State  SourceState
	Reason string
	// Samples are the utilisation samples since the last look, in percent (0 to 100), in time order. Empty with Gap
	// false means that the driver's ring had nothing new.
	Samples []uint8
	// SamplePeriod is the median distance of two samples; 0 where unknown.
	SamplePeriod time.Duration
	// Gap: samples may have been lost between the last look and this one.
	Gap bool
	// Rate and MemoryRate are GetUtilizationRates: percent of the last sample period in which a kernel ran, and in
	// which memory was read or written.
	Rate, MemoryRate Maybe[float64]
	MemoryUsedBytes  Maybe[float64]
	MemoryTotalBytes Maybe[float64]
	PowerWatts       Maybe[float64]
	EnergyJoules     Maybe[float64]
}

// Sockets is the kernel's table of the connections on the served ports.
type Sockets struct {
	State  SourceState
	Reason string
	// Listening are the served ports that have a listener in this network namespace.
	Listening []uint16
	// Connections are the servers' ends, established or half closed, ours excluded.
	Connections []Connection
	// PassiveOpens is the namespace's count of accepted connections; for logs only.
	PassiveOpens Maybe[uint64]
}

// Connection is the server's end of one TCP connection.
type Connection struct {
	// Cookie is the kernel's identity of the socket.
	Cookie uint64
	Port   uint16
	// Peer is the client's address and port.
	Peer string
	// Received and Sent are bytes since the connection began.
	Received, Sent uint64
	// SinceReceived and SinceSent are the ages of the last data each way. SinceSent starts at the connection's birth.
	SinceReceived, SinceSent time.Duration
	// HalfClosed: the client has closed its side (CLOSE_WAIT): nobody waits for an answer.
	HalfClosed bool
}

// Host is what the pod's own cgroup says.
type Host struct {
	State  SourceState
	Reason string
	// CPUCores is the mean number of cores that the pod used since the last look, our own included.
	CPUCores Maybe[float64]
	// OwnCores is the watchdog's own share of them.
	OwnCores Maybe[float64]
	// ReceivedBytesPerSecond is the network namespace's intake since the last look, loopback excluded.
	ReceivedBytesPerSecond Maybe[float64]
}

// Child is the server as its supervisor tells of it; the zero value has none.
type Child struct {
	// Known: there is a supervisor.
	Known bool
	// Running: its process lives, for RunningFor by now.
	Running    bool
	RunningFor time.Duration
	// Done: it ended with exit status 0, and is not started again.
	Done bool
	// Failures counts the starts of it that ended otherwise; Status is the exit status of the last one that ended.
	Failures uint64
	Status   int
	// Tail is what it wrote last, a line each, oldest first, for people. It holds no secret that is known.
	Tail []string
}

// People is what people have asked for, and what they do in this pod.
type People struct {
	// HoldUntil is the end of the longest hold; zero where there is none. HoldBy and HoldWhy say whose it is, and what for.
	HoldUntil       time.Time
	HoldBy, HoldWhy string
	// PostponedUntil is until when the next stop was put off; zero where it was not.
	PostponedUntil time.Time
	// TerminalUsed is how long ago a terminal was last used; unknown where there is none, or none can be seen. Terminal names it.
	TerminalUsed Maybe[time.Duration]
	Terminal     string
	// TerminalsOpen is how many terminals there are, used or not.
	TerminalsOpen Maybe[int]
}

// Pod is the provider's view of this pod.
type Pod struct {
	// Refused says why a stop would be refused now; empty where it would not, or nobody knows.
	Refused string
	// PriceUSDPerHour is what the provider charges while it runs.
	PriceUSDPerHour Maybe[float64]
	// Locked: the provider refuses to stop it.
	Locked Maybe[bool]
	// Status is the provider's word.
	Status string
}

// Quote is what costmodel says about this moment.
type Quote struct {
	// PriceUSDPerHour and SavingUSDPerHour are r and s of the cost model; unknown without a price.
	PriceUSDPerHour  Maybe[float64]
	SavingUSDPerHour Maybe[float64]
	// ColdStart is C: from wanting the pod to its first answer.
	ColdStart time.Duration
	// ColdStartUSD is K, what one cold start costs, people's wait included; unknown without a price.
	ColdStartUSD Maybe[float64]
	// BreakEven is B; meaningless where NoSaving.
	BreakEven time.Duration
	// BillBreakEven is B for the bill alone, without what a cold start costs people (p = 0).
	BillBreakEven time.Duration
	// NoSaving: a stopped hour is not cheaper than a running one, so idleness is no reason to stop.
	NoSaving bool
	// Policy names the rule that Threshold plays.
	Policy string
}

// StopPhase says how far an attempt to stop the pod came.
type StopPhase uint8

const (
	// StopNone: no attempt, or nothing new of it.
	StopNone StopPhase = iota
	// StopAsked: the ladder is being climbed.
	StopAsked
	// StopAccepted: the provider said yes. Proof is our own end.
	StopAccepted
	// StopUnprovenWait: it was accepted, the time for its proof is over, and the pod still runs; the next try comes later.
	// Decide sets it, the shell never reports it.
	StopUnprovenWait
	// StopRefused: every rung of the ladder said no.
	StopRefused
	// StopWouldHave: DRY_RUN; nothing was asked.
	StopWouldHave
)

// StopReport is the outcome of one attempt.
type StopReport struct {
	Phase StopPhase
	// Target and Rung name what was asked: "runpod" and "v2_action", say.
	Target, Rung string
	Detail       string
	// RetryAfter is what the provider asked us to wait, 0 where it did not.
	RetryAfter time.Duration
}
