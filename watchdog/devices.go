package watchdog

import (
	"fmt"
	"slices"
	"time"
)

const (
	// floorLeast and floorMost are the bounds in which the measured noise floor is held, in percent.
	floorLeast, floorMost = 3, 7
	// floorUnmeasured is the threshold until then.
	floorUnmeasured = 5
	// floorLooks and floorTime are how much quiet makes a floor; floorKept looks are remembered.
	floorLooks, floorKept = 12, 64
	floorTime             = time.Minute
	// dynamicLooks is the window of the seed's rule, dynamicLeast its floor, in percent.
	dynamicLooks = 10
	dynamicLeast = 3
	// spinPercent, spinTime, spinMemory, spinPower: a spin wait reads at least 95 % in every sample of a minute, moves
	// no memory (1 % is what the counter rounds to), and draws at most a fifth more than the loaded and idle GPU.
	spinPercent = 95
	spinTime    = time.Minute
	// spinStep is the most that one look adds: memory traffic and power are read at its end only.
	spinStep   = spinTime / 4
	spinMemory = 1
	spinPower  = 1.2
	// wattsWeight is the weight of a new look in the mean of the idle power; wattsLooks make it a baseline.
	wattsWeight = 0.1
	wattsLooks  = 12
)

// gpus is what the GPUs say about one window.
type gpus struct {
	finding
	max       Maybe[float64]
	threshold float64
}

// calmness says what the sources that know requests made of a window, while the GPUs are judged.
type calmness struct {
	// undisturbed: no server that might hide a request, and no sign of one. Only then can a spin be told from work.
	undisturbed bool
	// asked: the servers were asked, too. Only then is a floor or an idle power measured.
	asked bool
}

// devices reads the GPUs.
func (r *Rules) devices(p []DeviceState, recent []float64, g GPU, calm calmness, elapsed time.Duration) ([]DeviceState, []float64, gpus) {
	var out gpus
	out.threshold = r.threshold(p, recent)
	if g.State == SourceAbsent {
		return nil, nil, out
	}
	if g.State == SourceFailed && len(g.Devices) == 0 {
		out.missing = "GPU: " + g.Reason
		return p, recent, out
	}
	next := make([]DeviceState, 0, len(g.Devices))
	mean, answered := 0.0, 0
	for _, d := range g.Devices {
		n := deviceState(p, d.UUID)
		if d.State == SourceAbsent {
			continue
		}
		low, top, known := bounds(d)
		if d.State != SourceOK || !known {
			if out.missing == "" {
				out.missing = fmt.Sprintf("GPU %d (%s): %s", d.Index, d.UUID, d.Reason)
			}
			n.SpinFor = 0
			next = append(next, n)
			continue
		}
		answered++
		if !out.max.Known || top > out.max.Value {
			out.max = Known(top)
		}
		mean = max(mean, average(d))
		n = n.spin(d, low, calm.undisturbed, elapsed)
		busy := top >= out.threshold
		switch {
		case busy && n.SpinFor >= spinTime:
			out.notes = append(out.notes, Because{Code: GPUSpinning,
				Detail: fmt.Sprintf("GPU %d reads %.0f %% at %.0f W (idle: %.0f W) without memory traffic", d.Index, top, d.PowerWatts.Or(0), n.IdleWatts)})
		case busy:
			out.hard = append(out.hard, Because{Code: GPUActive,
				Detail: fmt.Sprintf("GPU %d reached %.0f %%, work begins at %.0f %%", d.Index, top, out.threshold)})
		case d.Gap:
			out.missing = fmt.Sprintf("GPU %d: samples were lost between two looks", d.Index)
		}
		if calm.undisturbed && calm.asked {
			n = n.measure(d, top, busy, elapsed)
		}
		next = append(next, n)
	}
	if answered > 0 {
		recent = append(slices.Clone(recent), mean)
		recent = recent[max(0, len(recent)-dynamicLooks):]
	}
	out.quiet = g.State == SourceOK && answered > 0 && len(out.hard) == 0 && out.missing == ""
	if g.State == SourceFailed && out.missing == "" {
		out.missing = "GPU: " + g.Reason
	}
	return next, recent, out
}

// threshold is the utilisation that counts as work, in percent.
func (r *Rules) threshold(p []DeviceState, recent []float64) float64 {
	switch r.GPUMode {
	case ThresholdFixed:
		return r.GPUPercent
	case ThresholdDynamic:
		if len(recent) < dynamicLooks {
			return floorUnmeasured
		}
		sum := 0.0
		for _, v := range recent {
			sum += v
		}
		return max(dynamicLeast, sum/float64(len(recent))*0.1)
	}
	t, measured := 0.0, false
	for _, d := range p {
		if f, ok := d.NoiseFloor(); ok {
			// A sample at the floor is noise, so work begins one percent above it.
			t, measured = max(t, min(floorMost, max(floorLeast, f+1))), true
		}
	}
	if !measured {
		return floorUnmeasured
	}
	return t
}

// NoiseFloor is the 95th percentile of the highest samples of quiet looks, in percent; ok is false until there are
// enough of them.
func (d DeviceState) NoiseFloor() (percent float64, ok bool) {
	if len(d.Floor) < floorLooks || d.FloorFor < floorTime {
		return 0, false
	}
	sorted := slices.Clone(d.Floor)
	slices.Sort(sorted)
	return float64(sorted[(len(sorted)-1)*95/100]), true
}

// bounds are the lowest and the highest utilisation of the window: of the samples, and of the rate beside them.
func bounds(d Device) (low, top float64, known bool) {
	low, top = d.Rate.Or(0), d.Rate.Or(0)
	if len(d.Samples) > 0 {
		low, top = float64(slices.Min(d.Samples)), max(top, float64(slices.Max(d.Samples)))
	}
	return low, top, d.Rate.Known || len(d.Samples) > 0
}

func average(d Device) float64 {
	if len(d.Samples) == 0 {
		return d.Rate.Or(0)
	}
	sum := 0.0
	for _, s := range d.Samples {
		sum += float64(s)
	}
	return sum / float64(len(d.Samples))
}

func deviceState(p []DeviceState, uuid string) DeviceState {
	for _, d := range p {
		if d.UUID == uuid {
			return d
		}
	}
	return DeviceState{UUID: uuid}
}

// measure learns the noise floor and the idle power from a look at which vLLM was known to be quiet.
func (d DeviceState) measure(g Device, top float64, busy bool, elapsed time.Duration) DeviceState {
	if d.SpinFor == 0 {
		kept := d.Floor[max(0, len(d.Floor)-floorKept+1):]
		d.Floor = append(slices.Clone(kept), uint8(min(100, top)))
		d.FloorFor = min(d.FloorFor+elapsed, floorTime)
	}
	if w := g.PowerWatts; w.Known && !busy {
		if d.IdleWindows == 0 {
			d.IdleWatts = w.Value
		}
		d.IdleWatts += float64(wattsWeight * (w.Value - d.IdleWatts))
		d.IdleWindows = min(d.IdleWindows+1, wattsLooks)
	}
	return d
}

// spin follows how long the device has looked like a spin wait.
func (d DeviceState) spin(g Device, low float64, calm bool, elapsed time.Duration) DeviceState {
	looks := calm && low >= spinPercent &&
		g.MemoryRate.Known && g.MemoryRate.Value <= spinMemory &&
		d.IdleWindows >= wattsLooks && g.PowerWatts.Known && g.PowerWatts.Value <= float64(d.IdleWatts*spinPower)
	if !looks {
		d.SpinFor = 0
		return d
	}
	d.SpinFor += min(elapsed, spinStep)
	return d
}
