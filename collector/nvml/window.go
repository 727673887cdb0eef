//go:build linux && cgo

package nvml

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// maxSamples bounds what is kept of one device between two looks: more than eleven minutes at six samples a second.
const maxSamples = 4096

// figures are what NVML says beside utilisation.
type figures struct {
	memoryUsed, memoryTotal, watts, joules watchdog.Maybe[float64]
}

// window is what one device showed since the last look. It belongs to Source.mu.
type window struct {
	index      int
	uuid, name string

	state   watchdog.SourceState
	reason  string
	samples []uint8
	gap     bool
	// rate and memoryRate are the highest of the polls since the last look; stale says that they were handed out.
	rate, memoryRate watchdog.Maybe[float64]
	stale            bool
	period           time.Duration
	figures          figures
}

// keep adds samples. Above maxSamples each four in a row become two, their lowest and their highest in the order in
// which they came, so that neither the maximum nor the minimum of a long window is lost; its samples then no longer lie
// one period apart.
func (w *window) keep(samples []uint8) {
	for _, v := range samples {
		if len(w.samples) == maxSamples {
			w.samples = thin(w.samples)
		}
		w.samples = append(w.samples, v)
	}
}

// thin halves s in place, see keep. Its length must be a multiple of four.
func thin(s []uint8) []uint8 {
	out := s[:0]
	for i := 0; i < len(s); i += 4 {
		low, high := i, i
		for j := i + 1; j < i+4; j++ {
			if s[j] < s[low] {
				low = j
			}
			if s[j] >= s[high] {
				high = j
			}
		}
		first, second := s[min(low, high)], s[max(low, high)]
		out = append(out, first, second)
	}
	return out
}

// rates adds one poll's GetUtilizationRates.
func (w *window) rates(rate, memory watchdog.Maybe[float64]) {
	if w.stale {
		w.rate, w.memoryRate, w.stale = rate, memory, false
		return
	}
	w.rate, w.memoryRate = higher(w.rate, rate), higher(w.memoryRate, memory)
}

func higher(a, b watchdog.Maybe[float64]) watchdog.Maybe[float64] {
	if !a.Known || b.Known && b.Value > a.Value {
		return b
	}
	return a
}

// add takes one poll. Where nothing is known of the device now, what it showed before waits for the next good look.
func (w *window) add(r reading, period time.Duration) {
	w.keep(r.samples)
	w.gap = w.gap || r.gap
	w.state, w.reason, w.period, w.figures = r.state, r.reason, period, r.figures
	if r.state != watchdog.SourceOK {
		w.rate, w.memoryRate, w.stale, w.figures = watchdog.Maybe[float64]{}, watchdog.Maybe[float64]{}, false, figures{}
		return
	}
	w.rates(r.rate, r.memoryRate)
}

// into fills one device of a look and begins the next window. The samples are copied to the end of backing, which is
// returned.
func (w *window) into(d *watchdog.Device, backing []uint8) []uint8 {
	d.Index, d.UUID, d.Name, d.State, d.Reason = w.index, w.uuid, w.name, w.state, w.reason
	if w.state != watchdog.SourceOK {
		return backing
	}
	from := len(backing)
	backing = append(backing, w.samples...)
	d.Samples = backing[from:len(backing):len(backing)]
	d.SamplePeriod, d.Gap = w.period, w.gap
	d.Rate, d.MemoryRate = w.rate, w.memoryRate
	d.MemoryUsedBytes, d.MemoryTotalBytes = w.figures.memoryUsed, w.figures.memoryTotal
	d.PowerWatts, d.EnergyJoules = w.figures.watts, w.figures.joules
	w.samples, w.gap, w.stale = w.samples[:0], false, true
	return backing
}
