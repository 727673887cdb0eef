package watchdog

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// The simulated world is a pod as it really is, without any of the watchdog's ideas about it: servers that load, work,
// hang, die and are restarted, clients that ask, wait and give up, and GPUs that compute while they do. sim_sources_test.go
// says what can be seen of it, sim_watch_test.go lets the watchdog look and holds it to the truth.

type phase uint8

const (
	loading phase = iota
	serving
	hanging // the process stands still, its port still accepts
	dead    // the engine died, the API server says 503
	gone    // nobody listens
)

// request is one request in flight.
type request struct {
	cookie        uint64
	age           time.Duration // since it came
	done          time.Duration // of its computation
	prefill, all  time.Duration // until its first token, until its last
	patience      time.Duration // the client leaves then; 0 is never
	compiling     bool          // its kernels are compiled first: nothing moves until its first token
	stream        bool
	sent          uint64
	sinceSent     time.Duration
	sentNow       bool // since the last look
	left          bool // the client is gone, the socket is in CLOSE_WAIT
	prefixQueried bool
	prompt        float64
	monitors      bool // a monitor's, no larger than a probe
}

// pending: nothing of an answer was sent yet.
func (q *request) pending() bool { return !q.left && q.sent == 0 }

// simServer is one server as it is.
type simServer struct {
	url      string
	port     uint16
	phase    phase
	since    time.Duration // in this phase
	until    time.Duration // it ends then, 0 is never
	epoch    int           // counts its starts
	stamp    float64       // start stamp; 0 with several API servers
	tracked  bool          // /load says the truth
	noStats  bool          // --disable-log-stats
	asleep   bool
	counters [NumCounters]float64
	http     float64
	real     page // what of it is not of probes that do not count
	requests []*request
	// lies
	stuckRunning, stuckLoad float64
	stuckSocket             uint64 // a client that sent half a request and vanished
}

// compute is a stretch of a window in which the GPU computes, from its beginning.
type compute struct {
	from, to time.Duration
	monitors bool
}

// row is the span of a request on its way.
type row struct {
	left           time.Duration
	prompt, output float64
	monitors       bool
}

// world is one pod.
type world struct {
	*rand.Rand
	servers    []*simServer
	gpus       int
	arrivals   float64 // requests a second and server
	nextCookie uint64
	monitored  bool // somebody scrapes every 15 s
	monitor    bool // and does so now
	sinceProbe time.Duration
	spans      bool  // the servers send a span for each request, some seconds after its end
	late       []row // those that are on their way
	sidework   sidework

	// what happened in the window that was lived last
	computes []compute
	cpu      time.Duration
	probes   []probe
	rows     []row // that came since the last look
	moved    bool  // some request was computed, counted or ended: the truth about work
	count    func(string)
}

// probe is one scrape or health check from outside.
type probe struct {
	server *simServer
	cookie uint64
	ago    time.Duration // before the look
}

func newWorld(rng *rand.Rand, pod int, count func(string)) *world {
	w := &world{Rand: rng, gpus: 1 + rng.IntN(2), monitored: rng.IntN(2) == 0, spans: rng.IntN(3) == 0, count: count}
	w.monitor = w.monitored
	w.sidework.begin(w, pod)
	for n := range w.sidework.servers {
		s := &simServer{url: fmt.Sprintf("http://127.0.0.1:%d", 8000+n), port: uint16(8000 + n), stamp: 1.7e9 + float64(n)}
		s.tracked, s.noStats = rng.IntN(3) == 0, rng.IntN(8) == 0 && !w.sidework.excused
		if rng.IntN(3) == 0 {
			s.stamp, s.tracked = 0, false
		}
		w.servers = append(w.servers, s)
		s.enter(loading, w.between(5*time.Second, 100*time.Second))
	}
	return w
}

func (w *world) between(a, b time.Duration) time.Duration {
	return a + time.Duration(w.Int64N(int64(b-a)))
}

func (w *world) chance(p float64) bool { return w.Float64() < p }

func (s *simServer) enter(p phase, until time.Duration) { s.phase, s.since, s.until = p, 0, until }

// restart makes another process of it: what it counted and whom it served is gone.
func (s *simServer) restart(loads time.Duration) {
	s.enter(loading, loads)
	s.epoch++
	s.counters, s.http, s.requests, s.real = [NumCounters]float64{}, 0, nil, page{}
	s.stuckRunning, s.stuckLoad, s.stuckSocket, s.asleep = 0, 0, 0, false
	if s.stamp > 0 {
		s.stamp++
	}
}

// live lets one window pass.
func (w *world) live(elapsed time.Duration) {
	w.computes, w.cpu, w.probes, w.moved = w.computes[:0], 0, w.probes[:0], false
	w.late = slices.DeleteFunc(w.late, func(r row) bool {
		if r.left > elapsed {
			return false
		}
		w.count("row of a request")
		w.rows = append(w.rows, r)
		return true
	})
	for i := range w.late {
		w.late[i].left -= elapsed
	}
	w.sidework.live(w, elapsed)
	for _, s := range w.servers {
		s.since += elapsed
		if s.until > 0 && s.since >= s.until {
			w.endPhase(s)
		}
		if s.phase == loading {
			w.cpu += elapsed * 2
		}
		if s.phase != serving && s.phase != hanging {
			continue
		}
		for n := w.poisson(w.arrivals * elapsed.Seconds()); n > 0; n-- {
			s.requests = append(s.requests, w.arrive(w.between(1, elapsed+2)))
		}
		s.requests = slices.DeleteFunc(s.requests, func(q *request) bool { return w.serve(s, q, elapsed) })
	}
	w.probe(elapsed)
}

func (w *world) endPhase(s *simServer) {
	switch s.phase {
	case loading:
		w.count("cold start")
		s.enter(serving, 0)
	case dead:
		s.enter(gone, w.between(5*time.Second, time.Minute))
		s.requests = nil
	default:
		w.count("restart by hand")
		s.restart(w.between(5*time.Second, time.Minute))
	}
}

// arrive makes a request that came so long before the end of the window that is being lived.
func (w *world) arrive(ago time.Duration) *request {
	w.nextCookie++
	q := &request{cookie: w.nextCookie, age: -ago, prompt: 100, prefill: w.between(50*time.Millisecond, 2*time.Second)}
	q.all = q.prefill + w.between(time.Second, time.Minute)
	switch w.IntN(5) {
	case 0:
		w.count("one-token request")
		q.all = q.prefill
	case 1:
		w.count("request that compiles first")
		q.compiling = true
		q.prefill += w.between(11*time.Second, 17*time.Second)
		q.all = q.prefill + w.between(time.Second, 10*time.Second)
	case 2:
		w.count("aborted request")
		q.patience = w.between(time.Second, 30*time.Second)
	case 3:
		w.count("streamed request")
		q.stream = true
	}
	return q
}

// serve lets one request live through a window; it answers whether the request is over.
func (w *world) serve(s *simServer, q *request, elapsed time.Duration) (over bool) {
	from := time.Duration(0)
	if q.age < 0 { // it came within this window, -age before its end
		from, q.age = max(0, elapsed+q.age), 0
	}
	active := elapsed - from
	q.age += active
	q.sinceSent += active
	q.sentNow = false
	if q.left {
		return true
	}
	working := s.phase == serving && !s.asleep
	if q.patience > 0 && q.age >= q.patience || !working && q.age > 10*time.Minute {
		q.left = true
		if working {
			s.counts(q, func(p *page) { p.http++ }) // the response ended, as far as the server knows
			w.moved = true
		}
		return false
	}
	if !working {
		return false
	}
	before := q.done
	q.done = min(q.all, q.done+active)
	short := q.prompt < 10 // it is looked up and computed in one step
	if !q.prefixQueried && !q.compiling && (!short || q.done >= q.prefill) {
		q.prefixQueried = true
		s.counts(q, func(p *page) { p.counters[PrefixQueries] += q.prompt })
	}
	begin := before
	if q.compiling {
		// The CPU compiles, and nothing else knows.
		w.cpu += min(q.done, q.prefill) - min(before, q.prefill)
		begin = max(before, min(q.prefill, q.done))
	}
	if q.done > begin {
		w.computes = append(w.computes, compute{from + begin - before, from + q.done - before, q.monitors})
		w.cpu += (q.done - begin) / 2
	}
	w.moved = true
	if before < q.prefill && q.done >= q.prefill {
		s.counts(q, func(p *page) {
			p.counters[PromptTokens] += q.prompt
			p.counters[FirstTokens]++
			p.counters[GenerationTokens]++
			p.counters[EngineSteps]++
		})
	}
	if tokens := float64((q.done - max(before, q.prefill)) / (50 * time.Millisecond)); tokens > 0 {
		s.counts(q, func(p *page) {
			p.counters[GenerationTokens] += tokens
			p.counters[InterTokens] += tokens
			p.counters[EngineSteps] += tokens
		})
		if q.stream {
			q.sent += uint64(tokens) * 200
			q.sentNow, q.sinceSent = true, time.Millisecond
		}
	}
	if q.done < q.all {
		return false
	}
	s.counts(q, func(p *page) {
		p.counters[FinishedRequests]++
		p.http++
	})
	if w.spans {
		w.late = append(w.late, row{w.between(0, 6*time.Second), q.prompt, 1 + float64((q.all-q.prefill)/(50*time.Millisecond)), q.monitors})
	}
	return true
}

// counts lets the server count something of a request.
func (s *simServer) counts(q *request, count func(*page)) {
	all := page{counters: s.counters, http: s.http}
	count(&all)
	s.counters, s.http = all.counters, all.http
	if !q.monitors {
		count(&s.real)
	}
}

func (w *world) probe(elapsed time.Duration) {
	if !w.monitor {
		return
	}
	if w.sinceProbe += elapsed; w.sinceProbe < 15*time.Second {
		return
	}
	w.sinceProbe = 0
	for _, s := range w.servers {
		if s.phase == serving || s.phase == hanging || s.phase == dead {
			w.count("scrape by a monitor")
			w.nextCookie++
			w.probes = append(w.probes, probe{s, w.nextCookie, w.between(0, elapsed+1)})
		}
	}
}

func (w *world) poisson(mean float64) (n int) {
	for p := w.ExpFloat64(); p < mean; p += w.ExpFloat64() {
		n++
	}
	return n
}

func (s *simServer) unfinished() (n int) {
	for _, q := range s.requests {
		if !q.left {
			n++
		}
	}
	return n
}
