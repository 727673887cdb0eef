package serving

import (
	"math"
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// clockSlack is how far a start stamp and our clock may be apart, in seconds.
const clockSlack = 2

// refuse finds the families of one engine that hold what cannot be, between two readings, and says why in refused. vLLM leaves
// stamps at 0 that were never set, and observes the difference: when the server aborts a request that never ran (pause, sleep,
// shutdown), prefill is as long as the host has been up, and its age counts as a TTFT although no token came. An interval with
// such a thing is left out of the family, for nobody can tell which of its observations it was.
func (d *differ) refuse(aborted float64, uptime watchdog.Maybe[float64], refused *[vllm.NumFamilies]string) {
	say := func(f vllm.Family, why string) {
		if refused[f] == "" && d.families[f].count() > 0 {
			refused[f] = why
		}
	}
	for f := range vllm.OutputTokens {
		if aborted > 0 && f != vllm.InterToken {
			say(f, "the server aborted requests, and counts what they never reached")
		}
		if uptime.Known && d.families[f].highest() > uptime.Value+clockSlack {
			say(f, "something took longer than the server has run")
		}
	}
	whole := &d.families[vllm.EndToEnd]
	for _, f := range [...]vllm.Family{vllm.Queue, vllm.Prefill, vllm.Decode} {
		switch {
		case refused[vllm.EndToEnd] != "":
			say(f, "it cannot be held against the whole of the requests that it is a part of")
		case d.families[f].exceeds(whole):
			say(f, "it took longer than the requests that it is a part of")
		}
	}
}

// exceeds says that b, a part of each observation of whole, is somewhere more often above a bound than the whole is. Both are
// observed as a request finishes, so their counts are equal; a page written in between may be a few apart.
func (b *buckets) exceeds(whole *buckets) bool {
	apart := math.Abs(b.count() - whole.count())
	for i, bound := range b.bounds {
		if at, both := slices.BinarySearch(whole.bounds, bound); both && b.count()-b.counts[i] > whole.count()-whole.counts[at]+apart {
			return true
		}
	}
	return false
}
