//go:build linux && cgo

package nvml

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const period = 166_667 // µs

// from makes n samples of a value, the first at a stamp.
func from(stamp uint64, n int, value uint32) []nvml.Sample {
	s := make([]nvml.Sample, n)
	for i := range s {
		s[i].TimeStamp = stamp + uint64(i)*period
		binary.NativeEndian.PutUint32(s[i].SampleValue[:], value)
	}
	return s
}

// poll is one question to the ring and its answer.
type poll struct {
	at    time.Duration // since the first question
	took  time.Duration
	room  int // 0: as many as there are samples
	reply []nvml.Sample
	// what is expected
	after uint64
	fresh int
	gap   bool
}

func TestRing(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name  string
		polls []poll
	}{
		{"the first reply is only a baseline", []poll{
			{reply: from(1000, 60, 90), room: 72},
			{at: 5 * s, reply: from(1000+60*period, 30, 0), room: 72, after: 1000 + 59*period, fresh: 30},
		}},
		{"a ring that was empty at first has no baseline, so all that comes is new", []poll{
			{},
			{at: 5 * s, reply: from(1000, 3, 0), room: 72, fresh: 3},
		}},
		{"nothing new is no gap", []poll{
			{reply: from(1000, 60, 0), room: 72},
			{at: 5 * s, after: 1000 + 59*period},
			{at: 9 * s, after: 1000 + 59*period},
		}},
		{"polls more than 10 s apart are a gap, answered or empty", []poll{
			{reply: from(1000, 60, 0), room: 72},
			{at: 9 * s, reply: from(1000+60*period, 54, 0), room: 72, after: 1000 + 59*period, fresh: 54},
			{at: 20 * s, reply: from(1000+114*period, 66, 0), room: 72, after: 0, fresh: 66, gap: true},
			{at: 31 * s, after: 1000 + 179*period, gap: true},
		}},
		{"an answer that took long is late, although the question was not", []poll{
			{reply: from(1000, 60, 0), room: 72},
			{at: 5 * s, took: 6 * s, reply: from(1000+60*period, 60, 0), room: 72, after: 1000 + 59*period, fresh: 60, gap: true},
			{at: 12 * s, reply: from(1000+120*period, 5, 0), room: 72, after: 1000 + 119*period, fresh: 5},
		}},
		{"a full reply with a hole before it is a gap", []poll{
			{reply: from(1000, 72, 0)},
			{at: 8 * s, reply: from(1000+80*period, 72, 0), after: 1000 + 71*period, fresh: 72, gap: true},
		}},
		{"a full reply that joins on is none", []poll{
			{reply: from(1000, 72, 0)},
			{at: 8 * s, reply: from(1000+72*period, 72, 0), after: 1000 + 71*period, fresh: 72},
		}},
		{"a shorter ring is known by its sizing call", []poll{
			{reply: from(1000, 20, 0), room: 40},
			{at: 5 * s, reply: from(1000+30*period, 40, 0), room: 40, after: 1000 + 19*period, fresh: 40, gap: true},
		}},
		{"so is a longer one", []poll{
			{reply: from(1000, 100, 0), room: 120},
			{at: 8 * s, reply: from(1000+150*period, 72, 0), room: 120, after: 1000 + 99*period, fresh: 72},
		}},
		{"a hole in a ring that ran dry is none, also where sizes are exact", []poll{
			{reply: from(1000, 5, 0)},
			{at: 5 * s, after: 1000 + 4*period},
			{at: 8 * s, reply: from(1000+40*period, 5, 0), after: 1000 + 4*period, fresh: 5},
		}},
		{"a driver that ignores the stamp gives nothing twice", []poll{
			{reply: from(1000, 60, 0), room: 72},
			{at: 1 * s, reply: from(1000, 66, 0), room: 72, after: 1000 + 59*period, fresh: 6},
		}},
		{"stamps that begin anew are all new, with a gap; a long silence is what asks for them", []poll{
			{reply: from(1e12, 60, 0), room: 72},
			{at: 5 * s, after: 1e12 + 59*period},
			{at: 9 * s, after: 1e12 + 59*period},
			{at: 13 * s, reply: from(500, 30, 0), room: 72, after: 0, fresh: 30, gap: true},
			{at: 17 * s, reply: from(500+30*period, 24, 0), room: 72, after: 500 + 29*period, fresh: 24},
		}},
		{"the whole ring is asked for at most every 30 s", []poll{
			{reply: from(1000, 60, 0), room: 72},
			{at: 10 * s, after: 0},
			{at: 15 * s, after: 1000 + 59*period},
			{at: 24 * s, after: 1000 + 59*period},
			{at: 33 * s, after: 1000 + 59*period},
			{at: 40 * s, reply: from(1000, 60, 0), room: 72, after: 0},
		}},
		{"slots never written and values beyond 100 are dropped", []poll{
			{reply: from(1000, 60, 0), room: 72},
			{at: 1 * s, reply: append(make([]nvml.Sample, 3), append(from(1000+60*period, 2, 101), from(1000+62*period, 4, 7)...)...),
				room: 72, after: 1000 + 59*period, fresh: 4},
			{at: 2 * s, room: 72, after: 1000 + 65*period},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r ring
			start := time.Now()
			for i, p := range c.polls {
				asked := start.Add(p.at)
				if after := r.after(asked); after != p.after {
					t.Errorf("poll %d asks after %d, want %d", i, after, p.after)
				}
				var fresh []uint8
				var gap bool
				if p.reply == nil {
					gap = r.silent(asked, asked.Add(p.took))
				} else {
					room := max(p.room, len(p.reply))
					fresh, gap = r.accept(nvml.VALUE_TYPE_UNSIGNED_INT, p.reply, room, asked, asked.Add(p.took))
				}
				if len(fresh) != p.fresh || gap != p.gap {
					t.Errorf("poll %d: %d fresh samples, gap %v; want %d, %v", i, len(fresh), gap, p.fresh, p.gap)
				}
			}
		})
	}
}

func TestRingSortsByTime(t *testing.T) {
	var r ring
	now := time.Now()
	r.accept(nvml.VALUE_TYPE_UNSIGNED_INT, from(1000, 2, 0), 72, now, now)
	reply := slices.Concat(from(1000+4*period, 1, 40), from(1000+2*period, 1, 20), from(1000+3*period, 1, 30))
	fresh, _ := r.accept(nvml.VALUE_TYPE_UNSIGNED_INT, reply, 72, now, now)
	if !slices.Equal(fresh, []uint8{20, 30, 40}) {
		t.Errorf("have %v", fresh)
	}
	if r.period != period {
		t.Errorf("a period of %d µs, want %d", r.period, period)
	}
}

func TestPercent(t *testing.T) {
	raw := func(bits uint64) (b [8]byte) {
		binary.NativeEndian.PutUint64(b[:], bits)
		return b
	}
	for _, c := range []struct {
		kind nvml.ValueType
		bits uint64
		want uint8
		ok   bool
	}{
		{nvml.VALUE_TYPE_DOUBLE, math.Float64bits(41.6), 42, true},
		{nvml.VALUE_TYPE_DOUBLE, math.Float64bits(math.NaN()), 0, false},
		{nvml.VALUE_TYPE_DOUBLE, math.Float64bits(-1), 0, false},
		{nvml.VALUE_TYPE_UNSIGNED_INT, 100, 100, true},
		{nvml.VALUE_TYPE_UNSIGNED_INT, 101, 0, false},
		{nvml.VALUE_TYPE_UNSIGNED_INT, 0xffffffff_00000005, 5, true}, // the union's other half is not ours
		{nvml.VALUE_TYPE_UNSIGNED_LONG_LONG, 0xffffffff_00000005, 0, false},
		{nvml.VALUE_TYPE_SIGNED_INT, 0xffffffff, 0, false},
		{nvml.VALUE_TYPE_SIGNED_LONG_LONG, math.MaxUint64, 0, false},
		{nvml.VALUE_TYPE_UNSIGNED_SHORT, 0xffff_0003, 3, true},
		{nvml.VALUE_TYPE_COUNT, 5, 0, false},
	} {
		if v, ok := percent(c.kind, raw(c.bits)); v != c.want || ok != c.ok {
			t.Errorf("type %d of %#x: have %d, %v; want %d, %v", c.kind, c.bits, v, ok, c.want, c.ok)
		}
	}
}

// However long nobody looks, the memory is bounded and neither extreme is lost.
func TestWindowIsBounded(t *testing.T) {
	var w window
	one := make([]uint8, 7)
	for i := range 3000 {
		for j := range one {
			one[j] = 50
		}
		switch i {
		case 100:
			one[3] = 93
		case 2000:
			one[5] = 2
		}
		w.keep(one)
		if len(w.samples) > maxSamples {
			t.Fatalf("%d samples are kept", len(w.samples))
		}
	}
	if slices.Max(w.samples) != 93 || slices.Min(w.samples) != 2 {
		t.Errorf("the extremes are %d and %d, want 93 and 2", slices.Max(w.samples), slices.Min(w.samples))
	}
	if high, low := slices.Index(w.samples, 93), slices.Index(w.samples, 2); high > low {
		t.Errorf("the order in time is lost")
	}
	if c := cap(w.samples); c > 2*maxSamples {
		t.Errorf("%d bytes are held", c)
	}
}

// What one poll showed comes with the next good look, whatever the polls after it said, and comes once.
func TestWindowWaitsForAGoodLook(t *testing.T) {
	good := standing{state: watchdog.SourceOK}
	known := watchdog.Known[float64]
	var w window
	w.add(reading{standing: good, samples: []uint8{80}, gap: true, rate: known(80), memoryRate: known(3)}, time.Second)
	w.add(reading{standing: good, samples: []uint8{0}, rate: known(0), memoryRate: known(9)}, time.Second)
	w.add(reading{standing: standing{watchdog.SourceFailed, "lost"}, samples: []uint8{7}}, time.Second)
	var d watchdog.Device
	if backing := w.into(&d, nil); len(backing) != 0 || d.State != watchdog.SourceFailed || d.Reason != "lost" || d.Rate.Known || d.Gap {
		t.Errorf("a failed look shows %+v", d)
	}
	w.add(reading{standing: good, samples: []uint8{1}, rate: known(5), memoryRate: known(1)}, time.Second)
	w.add(reading{standing: good, rate: known(2), memoryRate: known(4)}, time.Second)
	d = watchdog.Device{}
	w.into(&d, make([]uint8, 3, 10))
	if !slices.Equal(d.Samples, []uint8{80, 0, 7, 1}) || !d.Gap || d.Rate != known(5) || d.MemoryRate != known(4) {
		t.Errorf("the good look shows %+v", d)
	}
	w.add(reading{standing: good, rate: known(1), memoryRate: known(0)}, time.Second)
	d = watchdog.Device{}
	w.into(&d, nil)
	if len(d.Samples) != 0 || d.Gap || d.Rate != known(1) || d.MemoryRate != known(0) {
		t.Errorf("the next look shows %+v", d)
	}
}

func TestThin(t *testing.T) {
	have := thin([]uint8{1, 9, 2, 3, 7, 0, 5, 5, 4, 4, 4, 4})
	if want := []uint8{1, 9, 7, 0, 4, 4}; !slices.Equal(have, want) {
		t.Errorf("have %v, want %v", have, want)
	}
}
