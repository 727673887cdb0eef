package watchdog

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	simTicks = flag.Int("ticks", 150_000, "simulated ticks; a million is the full run")
	simSeed  = flag.Uint64("seed", 0, "seed of the simulation; 0 takes a new one")
	simPod   = flag.Int("pod", -1, "play this pod of the seed only")
)

// ticksPerPod is how long one pod is simulated; stops and resumes are within it.
const ticksPerPod = 5000

// mustHappen are the faults, lies and fates that a run has to contain, beside every activity, verdict and reason.
var mustHappen = []string{
	"cold start", "restart by hand", "one-token request", "request that compiles first", "aborted request", "streamed request",
	"scrape by a monitor", "page spared", "row of a request", "sleep mode", "break-even that moved", "price that came or went",
	"fault GPU does not answer", "fault GPU lost", "fault samples lost", "fault ring empty", "fault socket table does not answer",
	"fault CPU cannot be read", "fault page does not come", "fault late tick", "fault wall clock stepped", "fault watchdog killed",
	"fault engine died", "fault server gone", "fault server hangs",
	"lie stuck gauge", "lie stuck load", "lie stuck socket", "lie spin", "lie hang", "lie sleep",
	"guard hold", "guard hours", "guard terminal", "guard undone", "guard locked", "guard identity unknown", "guard no saving", "guard not armed", "guard target refused",
	"request of a monitor", "job on the CPU", "request on PORTS", "page left open that had the last word", "pod without vLLM",
	"left alone", "alone until the stop", "final look that held", "stop asked", "stop proven", "dry stop",
	"accepted stop that did nothing", "attempt given up under work",
}

// notSimulated are the reasons that no simulated pod can have: caps stop under work, which is what the simulation forbids, and
// there is no supervisor. Their timelines are in guards_test.go and broken_test.go.
var notSimulated = []Reason{MaxRuntime, MaxSpend, BlindLimit, JobDone, NeverReady, CrashLoop}

// Pods of every kind are simulated, with faults and lies at random: none is ever stopped under observable work, the
// clock never says more than the true quiet time, and each that is left alone is stopped in time.
func TestSimulatedPods(t *testing.T) {
	seed, ticks := *simSeed, *simTicks
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	if testing.Short() {
		ticks = min(ticks, 60_000)
	}
	counts := map[string]int{}
	for _, m := range ReasonMeaning {
		if !slices.Contains(notSimulated, m.Code) {
			counts["reason "+string(m.Code)] = 0
		}
	}
	for _, name := range activityNames {
		counts["activity "+name] = 0
	}
	for _, name := range verdictNames {
		counts["verdict "+name] = 0
	}
	for _, what := range mustHappen {
		counts[what] = 0
	}
	for pod := range (ticks + ticksPerPod - 1) / ticksPerPod {
		if *simPod >= 0 && pod != *simPod {
			continue
		}
		w := newWatch(rand.New(rand.NewPCG(seed, uint64(pod))), pod, counts)
		w.play(ticksPerPod)
		if w.failed != "" {
			t.Fatalf("go test ./watchdog -run TestSimulatedPods -ticks %d -seed %d -pod %d\n%s", ticks, seed, pod, w.failed)
		}
	}
	var table strings.Builder
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&table, "%8d  %s\n", counts[what], what)
		if counts[what] == 0 && *simPod < 0 {
			t.Errorf("seed %d: %q never happened in %d ticks", seed, what, ticks)
		}
	}
	t.Logf("seed %d, %d ticks\n%s", seed, ticks, table.String())
}
