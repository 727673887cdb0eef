package memory

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Schema is the version of the file's layout.
const Schema = 1

// MaxBytes bounds the file.
const MaxBytes = 64 << 10

// Contents is the file.
type Contents struct {
	Schema  int       `json:"schema"`
	Version string    `json:"version"`
	Name    string    `json:"name"`
	SavedAt time.Time `json:"saved_at"`
	// Writer is random for each process: it tells a second pod on the same volume from ourselves.
	Writer string            `json:"writer"`
	State  watchdog.State    `json:"state"`
	Starts []costmodel.Start `json:"starts"`
	// Stop is the last stop that was asked for; its proof is that another start reads it.
	Stop *Stop `json:"stop"`
	// Leases are what people hold the pod by.
	Leases orders.Leases `json:"leases"`
	// Began is when this start of the pod began.
	Began Began `json:"began"`
	// Spent is what this day has cost.
	Spent Spent `json:"spent"`
	// Undone are the last stops, if they were undone.
	Undone Undone `json:"undone"`
}

// Began is the beginning of one start of the pod.
type Began struct {
	StartID string    `json:"start_id"`
	At      time.Time `json:"at"`
}

// Spent is what one day (UTC) has cost while the watchdog ran, in USD, and how much of that was idle.
type Spent struct {
	Day     time.Time `json:"day"`
	USD     float64   `json:"usd"`
	IdleUSD float64   `json:"idle_usd"`
}

// Undone is a row of stops after each of which the pod was started again within minutes, without any request.
type Undone struct {
	Count int `json:"count"`
	// Until is until when nothing is stopped because of that; zero where that is not so.
	Until time.Time `json:"until,omitzero"`
	// By is who did it last, empty where nobody knows.
	By string `json:"by"`
}

// Stop is a stop that was asked for.
type Stop struct {
	RequestedAt time.Time `json:"requested_at"`
	StartID     string    `json:"start_id"`
	Target      string    `json:"target"`
	Rung        string    `json:"rung"`
	// Result is asked, accepted, refused or overtaken.
	Result string `json:"result"`
	Detail string `json:"detail"`
	// Reason and the two costs are why: what idling had cost, and what a cold start costs.
	Reason       string                    `json:"reason"`
	IdleFor      time.Duration             `json:"idle_ns"`
	ColdStartUSD watchdog.Maybe[float64]   `json:"cold_start_usd"`
	BreakEven    time.Duration             `json:"break_even_ns"`
	ProvenAt     watchdog.Maybe[time.Time] `json:"proven_at"`
}

// Decode reads a file. Anything that is not whole and sensible is an error: half a memory is worse than none.
func Decode(b []byte) (Contents, error) {
	var c Contents
	if len(b) > MaxBytes {
		return Contents{}, fmt.Errorf("it has %d bytes, at most %d are read", len(b), MaxBytes)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return Contents{}, err
	}
	if c.Schema != Schema {
		return Contents{}, fmt.Errorf("its schema is %d, this version reads %d", c.Schema, Schema)
	}
	for _, d := range []time.Duration{c.State.Idle, c.State.BrokenFor, c.State.Threshold, c.State.ReadyFor, c.State.Attempt.For, c.State.Attempt.RetryIn} {
		if d < 0 {
			return Contents{}, errors.New("a duration in it is negative")
		}
	}
	for _, s := range c.Starts {
		if s.Ready < 0 || s.FirstToken < 0 {
			return Contents{}, errors.New("a measured start in it is negative")
		}
	}
	if c.Spent.USD < 0 || c.Spent.IdleUSD < 0 || c.Undone.Count < 0 {
		return Contents{}, errors.New("a sum in it is negative")
	}
	if c.State.Attempt.Phase > watchdog.StopWouldHave || c.State.Activity > watchdog.Quiet || c.State.Attempt.Tries < 0 {
		return Contents{}, errors.New("a state in it is not one of those that exist")
	}
	return c, nil
}

// Encode writes the contents, within MaxBytes: noise floors and the clients of probes, which are soon measured and seen again, give
// way first, and then the older starts.
func Encode(c Contents) ([]byte, error) {
	c.Schema = Schema
	c.Starts = costmodel.KeepStarts(c.Starts)
	for range 4 {
		b, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		if len(b) <= MaxBytes {
			return b, nil
		}
		devices := make([]watchdog.DeviceState, len(c.State.Devices))
		for i, d := range c.State.Devices {
			d.Floor, d.FloorFor = nil, 0
			devices[i] = d
		}
		c.State.Devices = devices
		c.State.Probes.Beats, c.State.Probes.Talks, c.State.Probes.Scrapers = nil, nil, nil
		c.Starts = c.Starts[len(c.Starts)/2:]
	}
	return nil, fmt.Errorf("the memory does not fit into %d bytes: %d servers, %d GPUs", MaxBytes, len(c.State.Servers), len(c.State.Devices))
}
