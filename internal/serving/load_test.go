package serving

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// vLLM's upper bounds, as its pages have them, and others that a newer version might have.
var (
	vllmBounds = [vllm.NumFamilies][]float64{
		vllm.TTFT:           {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560},
		vllm.InterToken:     {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80},
		vllm.PerOutputToken: {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80},
		vllm.EndToEnd:       {.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680},
		vllm.OutputTokens:   {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000},
	}
	otherBounds = []float64{.0025, .005, .01, .1, .5, .8, 1, 2, 2.5, 4, 10, 60, 240, 480, 960, 4000}
)

func init() {
	for _, f := range []vllm.Family{vllm.Queue, vllm.Prefill, vllm.Decode} {
		vllmBounds[f] = vllmBounds[vllm.EndToEnd]
	}
}

// simulated is one server of a load. Its clock is in seconds since the load began.
type simulated struct {
	name    string
	began   float64
	stamped bool // its page has a start stamp
	started float64
	bounds  func(vllm.Family) []float64
	engines []*simulatedEngine
	// What happened since the last reading.
	restarted bool
	last      float64
	read      bool
	firstWas  float64
}

type simulatedEngine struct {
	vllm.ServedEngine
	events []event
	// since is what was observed since the last reading; broken are the families that were broken on it.
	since  [vllm.NumFamilies][]float64
	broken [vllm.NumFamilies]bool
	// What the window must leave out of the interval.
	garbage                    [vllm.NumFamilies]bool
	tokens, prompted, finished float64
}

// event is what an engine observes at an instant, of a request that arrived before.
type event struct {
	at, arrived float64
	do          func(*simulatedEngine)
}

// truth is what the window must say, by what the load did between readings that count.
type truth struct {
	values                     [vllm.NumFamilies][]float64
	tokens, prompted, finished float64
	seconds                    map[string]float64
	singlesUncounted           bool
}

func (s *simulated) reset(at float64) {
	s.started = at
	for _, e := range s.engines {
		e.ServedEngine = vllm.ServedEngine{ID: e.ID}
		for f := range vllm.NumFamilies {
			bounds := append(slices.Clone(s.bounds(f)), math.Inf(1))
			e.Histograms[f] = vllm.Histogram{State: vllm.HistogramGood, Bounds: bounds, Counts: make([]float64, len(bounds))}
		}
		e.PromptTokens, e.GenerationTokens, e.Finished, e.Aborted = watchdog.Known(0.0), watchdog.Known(0.0), watchdog.Known(0.0), watchdog.Known(0.0)
		// Requests in flight die with it.
		e.events = slices.DeleteFunc(e.events, func(v event) bool { return v.arrived <= at })
	}
}

func (e *simulatedEngine) observe(f vllm.Family, v float64) {
	h := &e.Histograms[f]
	for i, bound := range h.Bounds {
		if v <= bound {
			h.Counts[i]++
		}
	}
	h.Sum += v
	e.since[f] = append(e.since[f], v)
}

// request schedules all that one request does.
func (e *simulatedEngine) request(random *rand.Rand, arrival, scale float64) {
	any := func(of float64) float64 { return of * math.Exp(3*random.NormFloat64()) }
	front, queue, prefill := any(.003), any(scale*.1), any(scale)
	if random.IntN(2) == 0 {
		queue = any(1e-5)
	}
	prompt, n := float64(1+random.IntN(500)), 1+random.IntN(12)
	if random.IntN(5) == 0 {
		n = 1
	}
	ttft := min(front+queue+prefill, 250)
	at := arrival + ttft
	e.events = append(e.events, event{at, arrival, func(e *simulatedEngine) {
		e.observe(vllm.TTFT, ttft)
		e.PromptTokens.Value += prompt
		e.GenerationTokens.Value++
		e.prompted += prompt
		e.tokens++
	}})
	decode, tpot := 0.0, 0.0
	for range n - 1 {
		gap := min(any(scale*.05), 20)
		decode += gap
		at += gap
		e.events = append(e.events, event{at, arrival, func(e *simulatedEngine) {
			e.observe(vllm.InterToken, gap)
			e.GenerationTokens.Value++
			e.tokens++
		}})
	}
	if n > 1 {
		tpot = decode / float64(n-1)
	}
	e.events = append(e.events, event{at + 1e-9, arrival, func(e *simulatedEngine) {
		e.observe(vllm.EndToEnd, ttft+decode+any(.0001))
		e.observe(vllm.Queue, min(queue, ttft))
		e.observe(vllm.Prefill, min(prefill, ttft))
		e.observe(vllm.Decode, decode)
		e.observe(vllm.PerOutputToken, tpot)
		e.observe(vllm.OutputTokens, float64(n))
		e.Finished.Value++
		e.finished++
	}})
}

// spoil schedules one of the things that vLLM's pages lie about (or breaks the page).
func (e *simulatedEngine) spoil(random *rand.Rand, at float64) {
	const hostUptime = 7000
	finish := func(e *simulatedEngine, ttft, queue, prefill, tokens float64) {
		e.observe(vllm.EndToEnd, 1.25)
		e.observe(vllm.Queue, queue)
		e.observe(vllm.Prefill, prefill)
		e.observe(vllm.Decode, 0)
		e.observe(vllm.PerOutputToken, 0)
		e.observe(vllm.OutputTokens, tokens)
		e.Finished.Value++
		e.finished++
	}
	kinds := []func(*simulatedEngine){
		func(e *simulatedEngine) { // a request that the server aborted before it ran
			e.observe(vllm.TTFT, 1.25)
			finish(e, 1.25, 1e-5, hostUptime, 0)
			e.Aborted.Value++
			for f := range vllm.OutputTokens {
				e.garbage[f] = e.garbage[f] || f != vllm.InterToken
			}
		},
		func(e *simulatedEngine) { // a stamp that was never set, without an abort
			finish(e, 1.25, 1e-5, hostUptime, 1)
			e.garbage[vllm.Prefill] = true
		},
		func(e *simulatedEngine) { // a negative queue time
			finish(e, 1.25, -1e5, .001, 1)
			e.garbage[vllm.Queue] = true
		},
	}
	e.events = append(e.events, event{at, at, kinds[random.IntN(len(kinds))]})
}

// until lets an engine live until an instant.
func (e *simulatedEngine) until(from, to float64) {
	slices.SortStableFunc(e.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, v := range e.events {
		if v.at > from && v.at <= to {
			v.do(e)
		}
	}
}

// page is what a server shows.
func (s *simulated) page() *vllm.Serving {
	out := &vllm.Serving{Good: true}
	if s.stamped {
		out.StartedAt = float64(epochOf(s.started).UnixNano()) / 1e9
	}
	for _, e := range s.engines {
		out.Engines = append(out.Engines, e.ServedEngine)
	}
	return out
}

var loadBegan = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

func epochOf(seconds float64) time.Time {
	return loadBegan.Add(time.Duration(seconds * float64(time.Second)))
}

// text is the page as a server writes it.
func text(s *vllm.Serving) string {
	var b strings.Builder
	if s.StartedAt != 0 {
		fmt.Fprintf(&b, "process_start_time_seconds %v\n", s.StartedAt)
	}
	names := [vllm.NumFamilies]string{
		"time_to_first_token_seconds", "inter_token_latency_seconds", "request_time_per_output_token_seconds", "e2e_request_latency_seconds",
		"request_queue_time_seconds", "request_prefill_time_seconds", "request_decode_time_seconds", "request_generation_tokens",
	}
	for _, e := range s.Engines {
		label := fmt.Sprintf(`engine="%s",model_name="m"`, e.ID)
		fmt.Fprintf(&b, "vllm:prompt_tokens_total{%s} %v\nvllm:generation_tokens_total{%s} %v\n", label, e.PromptTokens.Value, label, e.GenerationTokens.Value)
		fmt.Fprintf(&b, "vllm:request_success_total{%s,finished_reason=\"abort\"} %v\nvllm:request_success_total{%s,finished_reason=\"stop\"} %v\n",
			label, e.Aborted.Value, label, e.Finished.Value-e.Aborted.Value)
		for f, h := range e.Histograms {
			for i, bound := range h.Bounds {
				le := "+Inf"
				if !math.IsInf(bound, 1) {
					le = fmt.Sprint(bound)
				}
				n := fmt.Sprint(h.Counts[i])
				if h.State == vllm.HistogramBroken && i == 0 {
					n = "NaN"
				}
				fmt.Fprintf(&b, "vllm:%s_bucket{%s,le=%q} %s\n", names[f], label, le, n)
			}
			fmt.Fprintf(&b, "vllm:%s_count{%s} %v\nvllm:%s_sum{%s} %v\n", names[f], label, h.Counts[len(h.Counts)-1], names[f], label, h.Sum)
		}
	}
	return b.String()
}

// random load: servers with engines, requests of every size, restarts and garbage, read now and then by a tracker.
func randomLoad(t *testing.T, seed uint64, tracker *Tracker) truth {
	random := rand.New(rand.NewPCG(seed, 4))
	want := truth{seconds: map[string]float64{}}
	const length = 400.0
	scale := math.Exp(math.Log(1e-3) + random.Float64()*math.Log(1e4))
	var servers []*simulated
	for i := range 1 + random.IntN(3) {
		s := &simulated{name: fmt.Sprintf("http://127.0.0.1:%d", 8000+i), stamped: random.IntN(3) > 0}
		other := random.IntN(5) == 0
		s.bounds = func(f vllm.Family) []float64 {
			if other && f != vllm.OutputTokens {
				return otherBounds
			}
			return vllmBounds[f]
		}
		for id := range 1 + random.IntN(3) {
			e := &simulatedEngine{ServedEngine: vllm.ServedEngine{ID: fmt.Sprint(id)}}
			for range random.IntN(20) {
				e.request(random, random.Float64()*length, scale)
			}
			if random.IntN(6) == 0 {
				e.spoil(random, random.Float64()*length)
			}
			s.engines = append(s.engines, e)
		}
		s.reset(-100)
		servers = append(servers, s)
	}
	for at := random.Float64() * 20; at < length; at += 1 + random.ExpFloat64()*25 {
		for _, s := range servers {
			if random.IntN(10) > 0 {
				s.readAt(t, at, random, tracker, &want)
			}
		}
	}
	return want
}

// readAt lets a server live until an instant, restarts it on the way sometimes, and has it read.
func (s *simulated) readAt(t *testing.T, at float64, random *rand.Rand, tracker *Tracker, want *truth) {
	from := s.began
	if random.IntN(12) == 0 {
		middle := from + (at-from)*random.Float64()
		s.live(from, middle)
		s.reset(middle)
		s.restarted, from = true, middle
	}
	s.live(from, at)
	s.began = at

	page := s.page()
	for i := range page.Engines {
		// The page may be broken in one family, which changes nothing in the engine.
		if random.IntN(60) == 0 {
			e := &page.Engines[i]
			f := random.IntN(int(vllm.NumFamilies))
			e.Histograms[f].State = vllm.HistogramBroken
		}
	}
	first := 0.0
	for _, e := range s.engines {
		first += e.Histograms[vllm.TTFT].Count()
	}
	if s.restarted && !s.stamped && first >= s.firstWas {
		tracker.Read(s.name, epochOf(at), &vllm.Serving{Gone: true}) // nothing else could tell
	}
	if random.IntN(40) == 0 { // through the text of a page
		var parsed vllm.Serving
		if err := vllm.ParseServing([]byte(text(page)), "", &parsed); err != nil {
			t.Fatal(err)
		}
		page = &parsed
	}
	tracker.Read(s.name, epochOf(at), page)
	counts := s.read && !s.restarted
	if counts {
		want.seconds[s.name] += epochOf(at).Sub(epochOf(s.last)).Seconds()
	}
	for i, e := range s.engines {
		e.settle(&page.Engines[i], counts, want)
	}
	s.read, s.restarted, s.last, s.firstWas = true, false, at, first
}

func (s *simulated) live(from, to float64) {
	for _, e := range s.engines {
		e.until(from, to)
	}
}

// settle adds what an engine did since the last reading to the truth, where the window must know it.
func (e *simulatedEngine) settle(page *vllm.ServedEngine, counts bool, want *truth) {
	if counts {
		want.tokens += e.tokens
		want.prompted += e.prompted
		want.finished += e.finished
	}
	var broken, left [vllm.NumFamilies]bool
	for f := range e.since {
		broken[f] = page.Histograms[f].State == vllm.HistogramBroken
		left[f] = broken[f] || e.broken[f] || e.garbage[f]
	}
	if left[vllm.EndToEnd] { // nothing to hold its parts against
		left[vllm.Queue], left[vllm.Prefill], left[vllm.Decode] = true, true, true
	}
	for f := range e.since {
		if counts && !left[f] {
			want.values[f] = append(want.values[f], e.since[f]...)
		}
	}
	if counts && left[vllm.OutputTokens] && !left[vllm.PerOutputToken] && len(e.since[vllm.PerOutputToken]) > 0 {
		want.singlesUncounted = true
	}
	if counts && !left[vllm.PerOutputToken] && !left[vllm.OutputTokens] {
		// Requests of one token have no such time.
		all := want.values[vllm.PerOutputToken]
		kept := all[:len(all)-len(e.since[vllm.PerOutputToken])]
		for i, v := range e.since[vllm.PerOutputToken] {
			if e.since[vllm.OutputTokens][i] > 1 {
				kept = append(kept, v)
			}
		}
		want.values[vllm.PerOutputToken] = kept
	}
	e.broken = broken
	e.since, e.garbage = [vllm.NumFamilies][]float64{}, [vllm.NumFamilies]bool{}
	e.tokens, e.prompted, e.finished = 0, 0, 0
}
