//go:build linux && cgo

package nvml

import (
	"fmt"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// device is one GPU that counts. All but its window belongs to the worker.
type device struct {
	index      int
	uuid, name string
	// handle is nil where the GPU cannot be asked in this session: fixed says why.
	handle nvml.Device
	fixed  standing
	// off are the calls that do not work on this GPU in this session.
	off  [numCalls]bool
	ring ring
	// chosen is the name in GPUS that it was found by; empty under GPUS=all. It holds although a loss shifts indices.
	chosen string
	// worked: it has told its utilisation since the watchdog started.
	worked    bool
	figures   figures
	figuresAt time.Time

	window window // guarded by Source.mu
}

// standing is a state with its reason.
type standing struct {
	state  watchdog.SourceState
	reason string
}

const (
	migReason    = "MIG: utilisation is not reported"
	singleReason = "utilisation by single samples only"
)

// reading is what one poll of one device found.
type reading struct {
	standing
	samples          []uint8 // valid until the next poll of the device
	gap              bool
	rate, memoryRate watchdog.Maybe[float64]
	figures          figures
}

// poller asks the devices of one session.
type poller struct {
	lib *library
	// figuresEvery is Config.FiguresEvery.
	figuresEvery time.Duration
	// disabled hears of each call that is given up on a device.
	disabled func(d *device, c call, code nvml.Return)
}

// poll asks one device. Samples that were read before a loss shows are kept: the ring gives them only once.
func (p *poller) poll(d *device) reading {
	if d.handle == nil {
		return reading{standing: d.fixed}
	}
	now := time.Now()
	r := reading{}
	r.standing = p.ask(d, now, &r)
	if r.state != watchdog.SourceOK {
		d.figuresAt, d.ring.reopened = time.Time{}, true
		return r
	}
	d.worked = true
	if d.figuresAt.IsZero() || now.Sub(d.figuresAt) >= p.figuresEvery {
		if why, ok := p.readFigures(d); !ok {
			r.standing, d.figuresAt, d.ring.reopened = why, time.Time{}, true
			return r
		}
		d.figuresAt = now
	}
	r.figures = d.figures
	return r
}

// ask reads the utilisation, both ways that there are.
func (p *poller) ask(d *device, now time.Time, r *reading) standing {
	samples, why := p.samples(d, now, r)
	if samples == lost || samples == faulty {
		return why
	}
	rates, why := p.rates(d, r)
	switch {
	case rates == lost:
		return why
	case samples == answered:
		return standing{state: watchdog.SourceOK}
	case rates == faulty:
		return why
	case samples == impossible && rates == answered:
		return standing{watchdog.SourceOK, singleReason}
	case samples == impossible && rates == impossible:
		d.fixed = p.mute(d)
		d.handle = nil
		return d.fixed
	}
	return standing{watchdog.SourceFailed, d.String() + " had no answer about its utilisation"}
}

// mute judges a device that cannot tell its utilisation at all in this session.
func (p *poller) mute(d *device) standing {
	switch {
	case p.lib.mig(d.index, d.handle):
		return standing{watchdog.SourceAbsent, migReason}
	case d.worked:
		return standing{watchdog.SourceFailed, d.String() + " no longer tells its utilisation"}
	}
	return standing{watchdog.SourceAbsent, d.String() + " does not tell its utilisation: not supported or not permitted here"}
}

// outcome is how a call went.
type outcome uint8

const (
	answered   outcome = iota
	nothing            // it had nothing to tell at this moment
	impossible         // it will not work in this session
	faulty             // it failed for a reason of its own; what other calls say still holds
	lost               // the device, or all of NVML, is gone
)

// judge sorts the code of a call; why is set where it is faulty or lost.
func (p *poller) judge(d *device, c call, code nvml.Return) (o outcome, why standing) {
	switch {
	case code == nvml.SUCCESS:
		return answered, standing{}
	case notNow(code):
		return nothing, standing{}
	case neverHere(code):
		p.giveUp(d, c, code)
		return impossible, standing{}
	}
	why = standing{watchdog.SourceFailed, fmt.Sprintf("%v: %v: %s", d, c, codeText(code))}
	if gone(code) {
		return lost, why
	}
	return faulty, why
}

func (p *poller) giveUp(d *device, c call, code nvml.Return) {
	if !d.off[c] {
		d.off[c] = true
		p.disabled(d, c, code)
	}
}

func (p *poller) samples(d *device, now time.Time, r *reading) (outcome, standing) {
	if d.off[callSamples] {
		return impossible, standing{}
	}
	t, samples, code := p.lib.samples(d.index, d.handle, d.ring.after(now))
	switch code {
	case nvml.SUCCESS:
		// go-nvml allocates as many as the sizing call said, and cuts the slice to what came.
		r.samples, r.gap = d.ring.accept(t, samples, cap(samples), now, time.Now())
		return answered, standing{}
	case nvml.ERROR_NOT_FOUND, nvml.ERROR_NO_DATA:
		r.gap = d.ring.silent(now, time.Now())
		return answered, standing{}
	case nvml.ERROR_UNKNOWN:
		if !d.ring.begun { // sandboxes that do not know this control answer so, while single samples work
			p.giveUp(d, callSamples, code)
			return impossible, standing{}
		}
	}
	return p.judge(d, callSamples, code)
}

func (p *poller) rates(d *device, r *reading) (outcome, standing) {
	if d.off[callRates] {
		return impossible, standing{}
	}
	u, code := p.lib.rates(d.index, d.handle)
	o, why := p.judge(d, callRates, code)
	if o == answered && u.Gpu <= maxPercent {
		r.rate = watchdog.Known(float64(u.Gpu))
	}
	if o == answered && u.Memory <= maxPercent {
		r.memoryRate = watchdog.Known(float64(u.Memory))
	}
	return o, why
}

// readFigures reads what is no evidence by itself: a call that does not answer leaves its figure unknown. false means
// that the device is lost.
func (p *poller) readFigures(d *device) (why standing, ok bool) {
	d.figures = figures{}
	f := &d.figures
	for _, c := range [...]call{callMemory, callPower, callEnergy} {
		if d.off[c] {
			continue
		}
		var code nvml.Return
		switch c {
		case callMemory:
			var m nvml.Memory
			if m, code = p.lib.memory(d.index, d.handle); code == nvml.SUCCESS {
				f.memoryUsed, f.memoryTotal = watchdog.Known(float64(m.Used)), watchdog.Known(float64(m.Total))
			}
		case callPower:
			var milliwatts uint32
			if milliwatts, code = p.lib.power(d.index, d.handle); code == nvml.SUCCESS {
				f.watts = watchdog.Known(float64(milliwatts) / 1000)
			}
		case callEnergy:
			var millijoules uint64
			if millijoules, code = p.lib.energy(d.index, d.handle); code == nvml.SUCCESS {
				f.joules = watchdog.Known(float64(millijoules) / 1000)
			}
		}
		if o, why := p.judge(d, c, code); o == lost {
			return why, false
		}
	}
	return standing{}, true
}

// String names the device for people.
func (d *device) String() string {
	if d.index < 0 {
		return "GPU " + d.uuid
	}
	return fmt.Sprintf("GPU %d (%s)", d.index, d.uuid)
}
