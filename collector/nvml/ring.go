//go:build linux && cgo

package nvml

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

const (
	// ringSpan is how long the driver's ring holds a sample: "wraps around after 10 seconds" (ctrl2080gpumon.h of
	// NVIDIA's open kernel modules).
	ringSpan = 10 * time.Second
	// ringSlots is its documented length, used until a longer or shorter one has been seen.
	ringSlots = 72
	// slowestPeriod is the longest documented distance of two samples (nvml.h, nvmlUtilization_t), in microseconds.
	slowestPeriod = 1_000_000
	// dryFor is how long the ring must have had nothing new before the whole of it is asked for once, and
	// probeEvery how often. Stamps that start again from 0 (a driver was reloaded) look like an empty ring.
	dryFor     = 10 * time.Second
	probeEvery = 30 * time.Second
	// maxPercent: larger values have been seen, and mean nothing.
	maxPercent = 100
)

// ring follows the stamps of one device's ring of samples. Its stamps are microseconds of a clock that differs from
// driver to driver, so they are only compared with each other; times are ours and are passed in.
type ring struct {
	// begun: the ring has answered once. What it held then is older than the watch and is no work of ours to count.
	begun    bool
	lastSeen uint64
	// answered is when the last answered question was put; heard when it last had something new; probed when it was
	// last asked for everything.
	answered, heard, probed time.Time
	// reopened: NVML was initialised anew, or the device was lost for a while; the stamps may have begun anew, so it
	// is asked for everything until it has something.
	reopened bool
	// slots is the ring's length where the driver has shown it; 0 where not.
	slots int
	// period is the median distance of two samples in microseconds; 0 while unknown.
	period uint64
	// fresh and gaps are reused from poll to poll.
	fresh []uint8
	gaps  []uint64
}

// after is the stamp to ask with at that time.
func (r *ring) after(now time.Time) uint64 {
	switch {
	case r.reopened:
		return 0
	case r.begun && now.Sub(r.heard) >= dryFor && now.Sub(r.probed) >= probeEvery:
		r.probed = now
		return 0
	}
	return r.lastSeen
}

// silent takes the answer "nothing new". It returns whether samples may have been lost since the answer before.
// asked and came are when the question was put and when the answer came.
func (r *ring) silent(asked, came time.Time) (gap bool) {
	_, gap = r.accept(0, nil, 0, asked, came)
	return gap
}

// accept takes one reply and returns the values that were not seen before, in time order, and whether samples may have
// been lost. The slice is valid until the next call. room is what the sizing call said.
//
// Samples may be lost where more than ringSpan lies between the question before and this answer, where stamps began
// anew, or where the reply was full, see full.
func (r *ring) accept(t nvml.ValueType, reply []nvml.Sample, room int, asked, came time.Time) (fresh []uint8, gap bool) {
	first := !r.begun
	gap = !first && came.Sub(r.answered) > ringSpan
	r.begun, r.answered = true, asked
	if first {
		r.heard = asked
	}
	// A stamp of 0 is a slot that was never written.
	reply = slices.DeleteFunc(reply, func(s nvml.Sample) bool { return s.TimeStamp == 0 })
	if len(reply) == 0 {
		return nil, gap
	}
	byTime := func(a, b nvml.Sample) int { return cmp.Compare(a.TimeStamp, b.TimeStamp) }
	if !slices.IsSortedFunc(reply, byTime) {
		slices.SortFunc(reply, byTime)
	}
	if room > len(reply)+1 {
		r.slots = room // the sizing call tells the ring's length, not the reply's
	}
	r.reopened = false
	if newest := reply[len(reply)-1].TimeStamp; newest < r.lastSeen {
		r.lastSeen, gap = 0, true
	}
	seen := r.lastSeen
	from, _ := slices.BinarySearchFunc(reply, seen, func(s nvml.Sample, seen uint64) int { return cmp.Compare(s.TimeStamp, seen+1) })
	if reply = reply[from:]; len(reply) == 0 {
		return nil, gap
	}
	r.heard, r.lastSeen = asked, reply[len(reply)-1].TimeStamp
	r.measure(reply)
	if first {
		return nil, gap
	}
	gap = gap || r.full(reply, room, seen)
	r.fresh = r.fresh[:0]
	for _, s := range reply {
		if v, ok := percent(t, s.SampleValue); ok {
			r.fresh = append(r.fresh, v)
		}
	}
	return r.fresh, gap
}

// full says that a reply of new samples filled the ring and does not join on to what was seen before, so that samples
// between the two were overwritten. Some drivers answer the sizing call with the ring's length, some may answer with
// the number of new samples; the latter is always "full", so it needs as many samples as the ring is long as well. A
// ring that ran dry while the GPU idled also leaves a hole, but is not full.
func (r *ring) full(reply []nvml.Sample, room int, seen uint64) bool {
	slots, period := r.slots, r.period
	if slots == 0 {
		slots = ringSlots
	}
	if period == 0 {
		period = slowestPeriod
	}
	return seen != 0 && len(reply) >= max(slots, room) && reply[0].TimeStamp-seen > 2*period
}

// measure learns the period from the distances within one reply.
func (r *ring) measure(reply []nvml.Sample) {
	if len(reply) < 3 {
		return
	}
	r.gaps = r.gaps[:0]
	for i := 1; i < len(reply); i++ {
		r.gaps = append(r.gaps, reply[i].TimeStamp-reply[i-1].TimeStamp)
	}
	slices.Sort(r.gaps)
	r.period = r.gaps[len(r.gaps)/2]
}

// percent decodes a value by the type that NVML gave for it; false where it is no percentage.
func percent(t nvml.ValueType, raw [8]byte) (uint8, bool) {
	var v float64
	switch t {
	case nvml.VALUE_TYPE_DOUBLE:
		v = math.Float64frombits(binary.NativeEndian.Uint64(raw[:]))
	case nvml.VALUE_TYPE_UNSIGNED_LONG, nvml.VALUE_TYPE_UNSIGNED_LONG_LONG:
		v = float64(binary.NativeEndian.Uint64(raw[:]))
	case nvml.VALUE_TYPE_SIGNED_LONG_LONG:
		v = float64(int64(binary.NativeEndian.Uint64(raw[:])))
	case nvml.VALUE_TYPE_SIGNED_INT:
		v = float64(int32(binary.NativeEndian.Uint32(raw[:])))
	case nvml.VALUE_TYPE_UNSIGNED_SHORT:
		v = float64(binary.NativeEndian.Uint16(raw[:]))
	case nvml.VALUE_TYPE_UNSIGNED_INT:
		v = float64(binary.NativeEndian.Uint32(raw[:]))
	default:
		return 0, false
	}
	if !(v >= 0 && v <= maxPercent) { // a NaN is neither
		return 0, false
	}
	return uint8(math.Round(v)), true
}
