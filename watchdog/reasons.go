package watchdog

// Reason is one of a closed set of codes, printed verbatim wherever decisions are shown.
type Reason string

// The reasons, in the groups in which docs/reasons.md lists them.
const (
	// work
	RequestsInFlight Reason = "requests_in_flight"
	TokensMoved      Reason = "tokens_moved"
	GPUActive        Reason = "gpu_active"
	ConnectionActive Reason = "connection_active"
	HostActive       Reason = "host_active"
	RowsReceived     Reason = "rows_received"
	ServerLoading    Reason = "server_loading"
	// unknown
	NoBaseline Reason = "no_baseline"
	SourceFail Reason = "source_failed"
	ClockStep  Reason = "clock_step"
	NoEvidence Reason = "no_evidence"
	// quiet
	BelowThreshold   Reason = "below_threshold"
	ThresholdReached Reason = "threshold_reached"
	ServerSleeping   Reason = "server_sleeping"
	ServerStalled    Reason = "server_stalled"
	GPUSpinning      Reason = "gpu_spinning"
	ProbesOnly       Reason = "probes_only"
	// broken
	ServerDead Reason = "server_dead"
	NeverReady Reason = "never_ready"
	CrashLoop  Reason = "crash_loop"
	JobDone    Reason = "job_done"
	// caps
	MaxRuntime Reason = "max_runtime"
	MaxSpend   Reason = "max_spend"
	BlindLimit Reason = "blind_limit"
	// guards
	HoldLease      Reason = "hold_lease"
	InKeepHours    Reason = "keep_hours"
	TerminalActive Reason = "terminal_active"
	MinRuntime     Reason = "min_runtime"
	Warning        Reason = "warning"
	NoSaving       Reason = "no_saving"
	// acting
	NotArmed      Reason = "not_armed"
	TargetRefused Reason = "target_refused"
	StopBackoff   Reason = "stop_backoff"
	StopReverted  Reason = "stop_reverted"
	StopUnproven  Reason = "stop_unproven"
	Overtaken     Reason = "overtaken"
)

// ReasonMeaning documents each reason for people; docs/reasons.md is generated from it.
var ReasonMeaning = []struct {
	Code    Reason
	Group   string
	Meaning string
}{
	{RequestsInFlight, "work", "a server has requests running or waiting, and they make progress"},
	{TokensMoved, "work", "a counter of requests or tokens moved since the last good reading"},
	{GPUActive, "work", "a GPU sample since the last look reached the threshold"},
	{ConnectionActive, "work", "a client is owed an answer, an answer is being streamed, or bytes flow on a port that nothing else explains, as on PORTS"},
	{HostActive, "work", "the pod's processors do CPU_BUSY more than they take to idle; or, where VLLM_URLS=none, more than 1 MB/s comes in over the network"},
	{RowsReceived, "work", "rows of requests that have just ended came in, from vLLM's spans or posted by an application"},
	{ServerLoading, "work", "the server is starting, within STARTUP_TIMEOUT; or nobody listens on PORTS yet"},
	{NoBaseline, "unknown", "nothing to compare with yet: the first look, or a counter was reset"},
	{SourceFail, "unknown", "a source that has worked before did not answer"},
	{ClockStep, "unknown", "the clock jumped, or the look came late by more than two intervals"},
	{NoEvidence, "unknown", "no source says anything about requests"},
	{BelowThreshold, "quiet", "idle, but for less long than it takes to pay"},
	{ThresholdReached, "quiet", "idle for as long as a cold start is worth"},
	{ServerSleeping, "quiet", "vLLM is in sleep mode"},
	{ServerStalled, "quiet", "requests or connections are open, but nothing has moved for BROKEN_LIMIT, neither counters nor GPU nor CPU"},
	{GPUSpinning, "quiet", "the GPU reads 100 % at idle power and without memory traffic while vLLM is quiet: a spin wait, not work"},
	{ProbesOnly, "quiet", "requests came, and none was larger than PROBE_MAX_TOKENS: a monitor's, not work"},
	{ServerDead, "broken", "the server was ready and is now dead: its port refuses, or /health says 503"},
	{NeverReady, "broken", "the server did not come up within STARTUP_TIMEOUT, and its port refuses"},
	{CrashLoop, "broken", "five starts of the server within an hour died before it was ready, or within five minutes of it"},
	{JobDone, "broken", "the program that this pod was started for has ended with 0"},
	{MaxRuntime, "cap", "the pod has run for as long as MAX_RUNTIME allows"},
	{MaxSpend, "cap", "the pod has cost today (UTC) what MAX_SPEND_PER_DAY allows"},
	{BlindLimit, "cap", "for BLIND_LIMIT nothing could be said of the pod"},
	{HoldLease, "guard", "somebody holds the pod, or has put the stop off"},
	{InKeepHours, "guard", "it is within KEEP_HOURS"},
	{TerminalActive, "guard", "a terminal was used within TERMINAL_GUARD"},
	{MinRuntime, "guard", "the server has been ready for less than MIN_RUNTIME"},
	{Warning, "guard", "a stop is announced; stop_at says when"},
	{NoSaving, "guard", "a stopped hour is not cheaper than a running one"},
	{NotArmed, "acting", "nothing is armed to stop this pod, or the identity of this start is unknown"},
	{TargetRefused, "acting", "the pod may not be stopped: locked, serverless, or not ours"},
	{StopBackoff, "acting", "a stop was refused; the next try comes later"},
	{StopReverted, "acting", "the last stops were undone within five minutes, and no request came: nothing is stopped for a day, or until one comes"},
	{StopUnproven, "acting", "a stop was accepted, and yet this pod still runs, or its proof is awaited"},
	{Overtaken, "acting", "work came after a stop was accepted: the attempt is over"},
}
