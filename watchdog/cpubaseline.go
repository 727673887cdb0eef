package watchdog

import (
	"math"
	"slices"
	"time"
)

const (
	// cpuMinute is how much quiet time makes one entry of the history: looks seconds apart say too little, as what polls runs in
	// bursts, and an hour of them would not fit into what is stored.
	cpuMinute = time.Minute
	// cpuSettle: so many quiet minutes, and so many of them with little load, before anything is believed. A pod that has just gone
	// quiet still tidies up, and a minute in whose midst work begins looks like half of it.
	cpuSettle = 5
	// cpuMinutes is the history, and how long a server must have spun before its spinning is believed to be its idling.
	cpuMinutes = 60
	// cpuSpread: of a server that spins, nine of ten minutes lie this close to each other, in cores, or cpuSpreadShare of their
	// level where that is more. A busy loop takes its cores whole; work waits now and then for a disk, a peer, its own end.
	cpuSpread      = 0.1
	cpuSpreadShare = 0.05
	// cpuMost is more cores than any machine has: what lies above was not read from one.
	cpuMost = 1 << 16
)

// CPUBaseline is what this pod's processors do while it idles. CPU_BUSY counts from there: an idle server may poll, and some spin
// (SGLang takes about a whole core for each GPU with nothing to do).
//
// It must not learn work, or a working pod is stopped. So it is learned only in windows in which all other evidence is known to
// be quiet, and beyond that:
//
//   - it is the 10th percentile of the last quiet minutes, and it never rises: load that grows, however slowly, stays above it;
//   - more than half a core (quietCPU) is believed only where a server is there that could spin, and only after an hour in
//     which the load stood still. Where no server listens, whatever computes from the start is work for as long as it lasts;
//   - it begins anew when a server comes or goes. The caller also begins anew, with the zero value, at another start of the pod.
//
// Until a baseline is known all load counts, so an error here keeps a pod running. It is a value: Learn returns the next one and
// leaves the old one as it was. The zero value knows nothing; as JSON it takes at most 1 KiB or so.
type CPUBaseline struct {
	// Minutes are the mean loads, in cores, of the last quiet minutes (at most 60), oldest first.
	Minutes []float64 `json:"minutes"`
	// CoreSeconds were used in the For that the next minute has so far.
	CoreSeconds float64       `json:"core_seconds"`
	For         time.Duration `json:"for_ns"`
	// Serving: these minutes are of a pod on which an idle server listens.
	Serving bool `json:"serving"`
	// Idle is the baseline in cores.
	Idle Maybe[float64] `json:"idle_cores"`
}

// CPULoad is what a pod's processors do for others than the watchdog: pod is the load of the whole pod and own the watchdog's
// share of it, both in cores over the same window. An unknown own is taken for none; an unknown pod is unknown.
func CPULoad(pod, own Maybe[float64]) Maybe[float64] {
	if !pod.Known {
		return pod
	}
	return Known(max(0, pod.Value-own.Or(0)))
}

// Learn takes the load, in cores without our own (CPULoad), of a window in which all evidence but the CPU was known to be quiet.
// serving says that a server which is known to be idle listens on a served port of this pod; false for pods without one.
//
// A load that cannot be one, and a window without length, change nothing. A window longer than a minute counts as one minute.
func (b CPUBaseline) Learn(load float64, elapsed time.Duration, serving bool) CPUBaseline {
	if !(load >= 0 && load <= cpuMost) || elapsed <= 0 {
		return b
	}
	if serving != b.Serving {
		b = CPUBaseline{Serving: serving}
	}
	elapsed = min(elapsed, cpuMinute)
	b.CoreSeconds += float64(load * elapsed.Seconds())
	b.For += elapsed
	if b.For < cpuMinute {
		return b
	}
	// In thousandths, so that it is short when it is stored.
	minute := math.Round(b.CoreSeconds/b.For.Seconds()*1000) / 1000
	kept := b.Minutes[max(0, len(b.Minutes)-cpuMinutes+1):]
	b.Minutes = append(slices.Clone(kept), minute)
	b.CoreSeconds, b.For = 0, 0
	if level, believed := b.level(); believed && (!b.Idle.Known || level < b.Idle.Value) {
		b.Idle = Known(level)
	}
	return b
}

// level is the 10th percentile of the history, and whether it may be what idling takes.
func (b CPUBaseline) level() (cores float64, believed bool) {
	n := len(b.Minutes)
	if n < cpuSettle {
		return 0, false
	}
	sorted := slices.Clone(b.Minutes)
	slices.Sort(sorted)
	low, high := sorted[(n-1)/10], sorted[(n-1)*9/10]
	still := high-low <= max(cpuSpread, float64(cpuSpreadShare*low))
	little := 0
	for little < n && sorted[little] <= quietCPU {
		little++
	}
	return low, low <= quietCPU && little >= cpuSettle || b.Serving && n >= cpuMinutes && still
}

// Above is by how many cores a window's load (CPULoad) stood above the idle baseline: never negative, and all of the load while
// no baseline is known. The caller compares it with CPU_BUSY.
func (b CPUBaseline) Above(load float64) float64 {
	if idle := b.Idle.Or(0); load > idle {
		return load - idle
	}
	return 0
}
