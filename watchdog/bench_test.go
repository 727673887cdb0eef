package watchdog

import (
	"testing"
	"time"
)

// BenchmarkDecide is one decision about a quiet pod with one server and eight GPUs, some time into a gap.
func BenchmarkDecide(b *testing.B) {
	rules := fixtureRules()
	s := fixtureSnapshot(1)
	s.GPU.Devices = nil
	for n := range 8 {
		s.GPU.Devices = append(s.GPU.Devices, fixtureDevice(n))
	}
	s.At = fixtureEpoch
	var state State
	for range 4 {
		s.At, s.Tick = s.At.Add(fixtureInterval), s.Tick+1
		state, _ = rules.Decide(state, s)
	}
	s.At = s.At.Add(fixtureInterval)
	var d Decision
	b.ReportAllocs()
	for b.Loop() {
		_, d = rules.Decide(state, s) // the same step again: Decide changes nothing that it is given
	}
	if d.Activity != Quiet || d.Idle < 2*time.Second {
		b.Fatalf("%+v", d)
	}
}
