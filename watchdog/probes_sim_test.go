package watchdog

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// A call is one request of a simulated server, in seconds since the beginning.
type call struct {
	start, first, end float64
	prompt, output    float64
	real, cut         bool
}

// put is how many tokens it has put out by then.
func (c call) put(at float64) float64 {
	switch {
	case at < c.first:
		return 0
	case at >= c.end && !c.cut:
		return c.output
	}
	done := min(1, (at-c.first)/max(c.end-c.first, 0.01))
	return 1 + math.Floor(done*(c.output-1))
}

// answerLag is how much later than its request an answer ends.
const answerLag = 0.04

// callsWorld is a server under probes and real requests, and what can be seen of it.
type callsWorld struct {
	calls             []call
	sockets, load     bool
	interval          float64
	period, realEvery float64
}

func newCallsWorld(rng *rand.Rand, limit float64, reals bool) callsWorld {
	w := callsWorld{
		sockets: rng.IntN(2) == 0, load: rng.IntN(2) == 0,
		interval: []float64{0.5, 1, 2, 5, 10, 15}[rng.IntN(6)],
		period:   20 + 40*rng.Float64(), realEvery: 90,
	}
	const length = 900
	for at := w.period * rng.Float64(); at < length; at += w.period {
		first := at + 0.02 + 0.8*rng.Float64()
		w.calls = append(w.calls, call{start: at, first: first, end: first + 0.7*rng.Float64(), prompt: float64(1 + rng.IntN(int(limit/2))), output: float64(1 + rng.IntN(int(limit/2)))})
	}
	for at := 30 * rng.Float64(); reals && at < length; at += w.realEvery * rng.ExpFloat64() {
		c := call{start: at, first: at + 0.05 + 8*rng.Float64()*rng.Float64(), real: true, prompt: float64(1 + rng.IntN(300)), output: float64(1 + rng.IntN(300))}
		c.end = c.first + 20*rng.Float64()*rng.Float64()
		if c.output == 1 {
			c.end = c.first + 0.01
		}
		if c.prompt <= limit && c.output <= limit {
			c.prompt = limit + 1
		}
		if rng.IntN(5) == 0 && c.prompt > limit {
			c.cut = true
		}
		w.calls = append(w.calls, c)
	}
	return w
}

// snapshot is what the sources see at one moment.
func (w callsWorld) snapshot(at float64) Snapshot {
	s := fixtureSnapshot(1)
	s.Elapsed = time.Duration(w.interval * float64(time.Second))
	s.GPU = GPU{State: SourceAbsent}
	if !w.sockets {
		s.Sockets = Sockets{State: SourceAbsent}
	}
	server := &s.Servers[0]
	running, load, answers := 0.0, 0.0, server.HTTPRequests.Value
	for i, c := range w.calls {
		if at >= c.first {
			bump(server, PromptTokens, c.prompt)
			bump(server, PrefixQueries, c.prompt)
			bump(server, FirstTokens, 1)
			bump(server, GenerationTokens, c.put(min(at, c.end)))
		}
		if at >= c.end && !c.cut {
			bump(server, FinishedRequests, 1)
		}
		if at >= c.end+answerLag {
			answers++
		}
		if at >= c.start && at < c.end {
			load++
			if at > c.start+0.1 && c.output > 1 { // the gauges are late by a step
				running++
			}
			s.Sockets.Connections = append(s.Sockets.Connections, Connection{
				Cookie: uint64(i + 1), Port: 8000, Peer: fmt.Sprintf("10.0.0.%d:4000", i%9), Received: 300,
				SinceReceived: time.Duration((at - c.start) * float64(time.Second)), SinceSent: time.Duration((at - c.start) * float64(time.Second)),
			})
		}
	}
	if !w.sockets {
		s.Sockets.Connections = nil
	}
	server.HTTPRequests, server.Engines[0].Running = Known(answers), Known(running)
	if w.load {
		server.Load = Known(load)
	}
	return s
}

// Whatever probes come beside it, the end of a real request is always work; and probes alone never are.
func TestRealWorkBesideProbesAlwaysCounts(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	const limit = 16
	counts := map[string]int{}
	for round := range 36 {
		rng := rand.New(rand.NewPCG(seed, uint64(round)))
		w := newCallsWorld(rng, limit, round%4 > 0)
		sc := &probeScene{scene: scene{rules: fixtureRules(), base: fixtureSnapshot(1), at: fixtureEpoch}, limit: limit, unstored: true}
		phase, masked := w.interval*rng.Float64(), false
		for look := range int(900 / w.interval) {
			at := phase + float64(look)*w.interval
			if err := sc.observe(w.snapshot(at)); err != nil {
				t.Fatal(err)
			}
			if look == 0 {
				continue
			}
			fail := func(format string, args ...any) {
				t.Fatalf("seed %d, round %d, look at %.2f s (every %.1f s, sockets %t, load %t): %s\nleft %v, %+v", seed, round, at, w.interval, w.sockets, w.load, fmt.Sprintf(format, args...), sc.left, sc.finding)
			}
			if masked && !sc.left["work"] {
				fail("an answer was cut in the look before, and is no work")
			}
			masked = false
			calm := true // no real request for a while
			for _, c := range w.calls {
				over := c.end
				if c.cut {
					over += answerLag
				}
				if !c.real {
					// What was in flight at the first look is work to its end: how long it had been is not known.
					if c.start <= phase && c.end > phase-w.interval && at < c.end+3*w.interval+pendingMost.Seconds() {
						calm = false
					}
					continue
				}
				if at >= over && at-w.interval < over && c.start > phase {
					counts["real requests that ended"]++
					if c.cut {
						counts["real requests that were cut"]++
					}
					switch {
					case sc.left["work"]:
					case c.cut && !masked:
						// A probe that ends in this look, and its answer in the next, lends its place to this one's: then that one shows.
						masked = true
						continue
					default:
						fail("the end of %+v is no work", c)
					}
				}
				if at >= c.first && at < c.end && c.start > phase && (c.prompt > limit || c.put(at) > limit) && at-w.interval < c.first {
					counts["real requests seen while they went on"]++
					if !sc.left["work"] {
						fail("%+v goes on, and is no work", c)
					}
				}
				if at >= c.start && at < c.end+3*w.interval+pendingMost.Seconds()+1 {
					calm = false
				}
			}
			if calm {
				counts["looks at probes alone"]++
				if sc.left["work"] {
					fail("probes alone are work")
				}
				for _, kind := range []string{"probes", "pending", "quiet"} {
					if sc.left[kind] {
						counts[kind]++
					}
				}
			}
		}
	}
	for _, kind := range []string{"real requests that ended", "real requests that were cut", "real requests seen while they went on", "probes", "pending"} {
		if counts[kind] < 20 {
			t.Errorf("seed %d: %d %s: %v", seed, counts[kind], kind, counts)
		}
	}
	if share := float64(counts["pending"]) / float64(counts["looks at probes alone"]); share > 0.1 {
		t.Errorf("seed %d: at %.0f %% of looks a probe was in flight: such a pod is hardly ever idle", seed, 100*share)
	}
	t.Logf("seed %d: %v", seed, counts)
}

// Requests within a tenth of one size and one period are told at the sixth; and never where distances, sizes or clients differ.
func TestSixAlikeAreRegular(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 2))
	for round := range 300 {
		period := 10 + 3590*rng.Float64()*rng.Float64()
		look := min(60, period/2.2) * rng.Float64()
		at, size := 100*rng.Float64(), float64(20+rng.IntN(1000))
		var beats []ProbeBeat
		event := func(at, look, size float64, peers ...string) probeEvent {
			after := time.Duration(math.Floor(at/max(look, 0.001))*look*1000) * time.Millisecond
			return probeEvent{
				Source: "a", Peers: peers, After: after, By: after + time.Duration(look*1000+1)*time.Millisecond,
				Size: ProbeSize{Requests: 1, Prompt: Known(size), Output: Known(size)},
			}
		}
		for n := 1; n <= 12; n++ {
			e := event(at, look, size*(0.96+0.08*rng.Float64()))
			beats = keepTime(beats, []probeEvent{e})
			if found := regular(beats, e.By); (len(found) == 1) != (n >= beatsWanted) {
				t.Fatalf("seed %d, round %d: at request %d, every %.1f s at looks every %.2f s, %d regular probes are told: %+v", seed, round, n, period, look, len(found), beats)
			} else if n >= beatsWanted && math.Abs(found[0].Period.Seconds()-period) > 0.1*period+look {
				t.Fatalf("seed %d, round %d: a period of %.1f s is told as %s", seed, round, period, found[0].Period)
			}
			at += period * (0.91 + 0.18*rng.Float64())
		}

		for name, next := range map[string]func(n int) probeEvent{
			"distances differ": func(n int) probeEvent {
				at += period * (1 + 0.6*float64(n%2))
				return event(at, 0.01, size)
			},
			"sizes differ": func(n int) probeEvent {
				at += period
				return event(at, look, size*math.Pow(1.2, float64(n)))
			},
			"clients differ": func(n int) probeEvent {
				at += period
				return event(at, look, size, fmt.Sprintf("10.0.0.%d", n))
			},
			"one look cannot be told from the next": func(int) probeEvent {
				at += 5
				return event(at, 5, size)
			},
		} {
			beats = nil
			for n := range 40 {
				e := next(n)
				beats = keepTime(beats, []probeEvent{e})
				if found := regular(beats, e.By); len(found) > 0 || len(beats) > mostBeats {
					t.Fatalf("seed %d, round %d: though %s, at request %d of %d beats these are told: %+v", seed, round, name, n, len(beats), found)
				}
			}
		}
	}
}
