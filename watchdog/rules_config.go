package watchdog

import "time"

// ThresholdMode says how the GPU utilisation that counts as work is found.
type ThresholdMode uint8

// The modes of IDLE_THRESHOLD.
const (
	// ThresholdAuto: 5 % until the noise floor has been measured on this pod, then just above that floor, in 3 to 7 %.
	ThresholdAuto ThresholdMode = iota
	// ThresholdFixed: the number that was given.
	ThresholdFixed
	// ThresholdDynamic: a tenth of the mean of the last ten looks, at least 3 %.
	ThresholdDynamic
)

// Rules is what Decide goes by; it is fixed while the watchdog runs. Every duration must be positive or zero.
type Rules struct {
	// CheckInterval is the planned distance of two looks.
	CheckInterval time.Duration
	// StartupTimeout: a server that is not ready by then is no longer "loading".
	StartupTimeout time.Duration
	// BrokenLimit: for so long may a source fail, or a sign of work stand still, before it stops counting.
	BrokenLimit time.Duration
	// MinRuntime: no stop before the server has been ready for that long.
	MinRuntime time.Duration
	// WarnBefore: a stop is announced that long before it comes, at most half the threshold; 0 is no announcement.
	WarnBefore time.Duration
	// MaxRuntime is the longest that one start of the pod may last, MaxSpendPerDay what it may cost from one midnight to the next
	// (UTC), in USD; 0 is no cap.
	MaxRuntime     time.Duration
	MaxSpendPerDay float64
	// BlindLimit: a pod of which nothing could be said for so long is stopped; 0 leaves it at an alarm.
	BlindLimit time.Duration
	// TerminalGuard: no stop while a terminal was used within it; 0 is no guard.
	TerminalGuard time.Duration
	// Keep says whether the pod is kept at an instant of the wall clock, and until when (the zero time: no end in sight); nil keeps
	// never. It is KeepHours.Until.
	Keep func(at time.Time) (until time.Time, keep bool)
	// Threshold is the policy: how long idleness must last for a stop to pay.
	Threshold func(Quote) time.Duration

	GPUMode ThresholdMode
	// GPUPercent is the threshold of ThresholdFixed.
	GPUPercent float64

	// CPUBusy is how many cores above the pod's idle baseline are work; 0 leaves the CPU a witness for requests that stand still.
	CPUBusy float64
	// Ports are the TCP ports beside the servers' whose traffic is work.
	Ports []uint16
	// ProbeMaxTokens: a request of at most so many tokens, in its prompt and in its answer, is a monitor's and no work; 0 has none.
	ProbeMaxTokens int

	// Armed: there is something that can stop this pod. Unarmed says why not.
	Armed   bool
	Unarmed string
	// Refused says why this pod must not be stopped at all (serverless worker); empty where it may.
	Refused string
}

const (
	// minuteOfFailure: an outage shorter than this is not worth a person's attention.
	minuteOfFailure = time.Minute
	// proofWait: a pod that is still here so long after the provider accepted its stop was not stopped.
	proofWait = 30 * time.Second
	// finalApart is the least distance of the two final looks.
	finalApart = time.Second
	// retryFirst and retryMost bound the distance of two attempts to stop; it doubles in between.
	retryFirst = 5 * time.Second
	retryMost  = 5 * time.Minute
	// clockStepLimit: a wall clock that moves so far against the monotonic one was set, or the machine was suspended.
	clockStepLimit = 5 * time.Second
	// owedLimit: a scrape or health check is owed for milliseconds; what has been owed for a second is a request.
	owedLimit = time.Second
	// firstMove: a request to a server that lives moves a counter, the GPU or the CPU within this time; a first request
	// that compiled its kernels was seen to move nothing but the CPU for 17 s.
	firstMove = 20 * time.Second
	// quietCPU: above half a core, something is being computed.
	quietCPU = 0.5
	// drainMost is how long requests in flight get to end, once a cap is reached and its warning has stood for its time.
	drainMost = 2 * time.Minute
	// crashSoon and crashWithin: a server that dies so soon after it was ready, or before, crashFew times within that time, will not
	// come up by itself.
	crashSoon   = 5 * time.Minute
	crashWithin = time.Hour
	crashFew    = 5
	// quietIntake is how much may come in over the network, in bytes a second, while nothing is being downloaded.
	quietIntake = 1e6
	// breakEvenShift: a threshold is chosen anew within a gap when B has moved by that share.
	breakEvenShift = 0.05
)
