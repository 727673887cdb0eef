package fakepod

import (
	"fmt"
	"time"
)

// Clock is the pod's time of day, which runs Speed times as fast as ours.
type Clock struct {
	// Real is the real instant at which the pod's clock shows Begin.
	Real time.Time
	// Begin is a time of day, since the midnight that the day began with.
	Begin time.Duration
	// Speed is how many pod seconds pass in one real second, above 0.
	Speed float64
}

// At is the pod's time of day at a real instant.
func (c Clock) At(real time.Time) time.Duration { return c.Begin + c.Pod(real.Sub(c.Real)) }

// Instant is the real instant at which the pod's clock shows this time of day.
func (c Clock) Instant(at time.Duration) time.Time { return c.Real.Add(c.Scaled(at - c.Begin)) }

// Pod is how much pod time passes in a real duration.
func (c Clock) Pod(real time.Duration) time.Duration {
	return time.Duration(float64(real) * c.Speed)
}

// Scaled is the real duration in which so much pod time passes.
func (c Clock) Scaled(pod time.Duration) time.Duration {
	return time.Duration(float64(pod) / c.Speed)
}

// Label writes a time of day as a clock does; hours go on from 0 after midnight.
func Label(at time.Duration) string {
	minutes := int(at / time.Minute)
	return fmt.Sprintf("%02d:%02d", minutes/60%24, minutes%60)
}
