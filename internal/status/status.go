package status

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Schema is the version of the document. Fields are only ever added under it.
const Schema = 1

// Status is the document of GET /status. Every field is always present, in this order; what is unknown is null. Times
// are RFC 3339 in UTC to the second, and every duration is in seconds.
type Status struct {
	Schema     int                     `json:"schema"`
	Version    string                  `json:"version"`
	Name       watchdog.Maybe[string]  `json:"name"`
	StartID    watchdog.Maybe[string]  `json:"start_id"`
	Now        time.Time               `json:"now"`
	Config     watchdog.Maybe[string]  `json:"config"`
	Persistent watchdog.Maybe[bool]    `json:"persistent"`
	Armed      watchdog.Maybe[bool]    `json:"armed"`
	DryRun     watchdog.Maybe[bool]    `json:"dry_run"`
	Warnings   []string                `json:"warnings"`
	Target     Target                  `json:"target"`
	Activity   watchdog.Maybe[string]  `json:"activity"`
	Since      Time                    `json:"activity_since"`
	Verdict    watchdog.Maybe[string]  `json:"verdict"`
	Reason     watchdog.Maybe[string]  `json:"reason"`
	Reasons    []Reason                `json:"reasons"`
	Idle       watchdog.Maybe[float64] `json:"idle_seconds"`
	Threshold  watchdog.Maybe[float64] `json:"threshold_seconds"`
	BreakEven  watchdog.Maybe[float64] `json:"break_even_seconds"`
	Policy     watchdog.Maybe[string]  `json:"policy"`
	Wake       watchdog.Maybe[string]  `json:"wake"`
	StopAt     Time                    `json:"stop_at"`
	// PostponedUntil is the moment before which somebody wants no stop. Holds are sorted by their ends.
	PostponedUntil Time   `json:"postponed_until"`
	Holds          []Hold `json:"holds"`
	Caps           Caps   `json:"caps"`
	// Draining: the pod is out of its service, because it is about to be stopped.
	Draining watchdog.Maybe[bool] `json:"draining"`
	// RevertedUntil is until when nothing is stopped because the last stops were undone; null where they were not.
	RevertedUntil Time `json:"reverted_until"`
	// ServerLog are the last lines of a server that is broken, or whose job is done, oldest first, where we run it.
	ServerLog []string        `json:"server_log"`
	Money     Money           `json:"money"`
	Sources   Sources         `json:"sources"`
	Serving   serving.Summary `json:"serving"`
	LastStop  *LastStop       `json:"last_stop"`
}

// Time is an instant that may be unknown.
type Time = watchdog.Maybe[time.Time]

// Target is what a stop would stop.
type Target struct {
	Kind       watchdog.Maybe[string] `json:"kind"`
	ID         watchdog.Maybe[string] `json:"id"`
	Action     watchdog.Maybe[string] `json:"action"`
	Permission watchdog.Maybe[string] `json:"permission"`
	Detail     watchdog.Maybe[string] `json:"detail"`
}

// Reason is one reason of the verdict, the deciding one first.
type Reason struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Since  Time   `json:"since"`
}

// Capped: the verdict is a cap's, which no hold keeps off.
func (s Status) Capped() bool {
	return s.Reason.Value == string(watchdog.MaxRuntime) || s.Reason.Value == string(watchdog.MaxSpend)
}

// Hold is one lease that keeps the pod.
type Hold struct {
	Until Time                   `json:"until"`
	By    watchdog.Maybe[string] `json:"by"`
	Why   watchdog.Maybe[string] `json:"why"`
}

// Caps are the limits that stop the pod whatever it does, null where none is set, and what runs against the first of them: how long
// this start of the pod has lasted. What runs against the other is Money's SpentToday.
type Caps struct {
	MaxRuntime     watchdog.Maybe[float64] `json:"max_runtime_seconds"`
	RunFor         watchdog.Maybe[float64] `json:"run_seconds"`
	MaxSpendPerDay watchdog.Maybe[float64] `json:"max_spend_per_day_usd"`
}

// Money is what the pod costs.
type Money struct {
	PriceUSDPerHour     watchdog.Maybe[float64] `json:"price_usd_per_hour"`
	PriceSource         watchdog.Maybe[string]  `json:"price_source"`
	SpentToday          watchdog.Maybe[float64] `json:"spent_today_usd"`
	IdleToday           watchdog.Maybe[float64] `json:"idle_today_usd"`
	Saved               Saved                   `json:"saved_usd"`
	ColdStart           watchdog.Maybe[float64] `json:"cold_start_seconds"`
	ColdStartSamples    watchdog.Maybe[int]     `json:"cold_start_samples"`
	USDPerMillionTokens watchdog.Maybe[float64] `json:"usd_per_million_tokens_24h"`
}

// Saved compares what was spent with other ways to run the pod.
type Saved struct {
	NeverStop watchdog.Maybe[float64] `json:"never_stop"`
	Fixed10m  watchdog.Maybe[float64] `json:"fixed_10m"`
}

// Sources is the evidence. Each state is ok, absent, failed or dropped.
type Sources struct {
	VLLM []Server `json:"vllm"`
	// GPU has one entry for each device. Where no device can be seen at all, it has a single one without a uuid, whose
	// state says whether the GPU is absent or failed.
	GPU     []GPU   `json:"gpu"`
	Sockets Sockets `json:"sockets"`
	Host    Host    `json:"host"`
}

// Server is one server of VLLM_URLS.
type Server struct {
	URL         string                 `json:"url"`
	State       string                 `json:"state"`
	Version     watchdog.Maybe[string] `json:"version"`
	LastSuccess Time                   `json:"last_success"`
}

// GPU is one device.
type GPU struct {
	UUID         watchdog.Maybe[string]  `json:"uuid"`
	Name         watchdog.Maybe[string]  `json:"name"`
	State        string                  `json:"state"`
	PercentMax   watchdog.Maybe[float64] `json:"percent_max"`
	FloorPercent watchdog.Maybe[float64] `json:"floor_percent"`
}

// Sockets is the kernel's table of connections to the served ports.
type Sockets struct {
	State     watchdog.Maybe[string]  `json:"state"`
	Ports     []uint16                `json:"ports"`
	LastPeer  watchdog.Maybe[string]  `json:"last_peer"`
	LastBytes watchdog.Maybe[float64] `json:"last_bytes_seconds_ago"`
}

// Host is the pod's own cgroup.
type Host struct {
	State     watchdog.Maybe[string]  `json:"state"`
	CPUCores  watchdog.Maybe[float64] `json:"cpu_cores"`
	Terminals watchdog.Maybe[int]     `json:"terminals"`
}

// LastStop is the last stop that was asked for.
type LastStop struct {
	RequestedAt Time                   `json:"requested_at"`
	Target      watchdog.Maybe[string] `json:"target"`
	Result      watchdog.Maybe[string] `json:"result"`
	Detail      watchdog.Maybe[string] `json:"detail"`
	Proof       watchdog.Maybe[string] `json:"proof"`
	Grade       watchdog.Maybe[string] `json:"grade"`
	NextRequest Time                   `json:"next_request_at"`
}
