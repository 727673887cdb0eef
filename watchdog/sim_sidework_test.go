package watchdog

import "time"

// simLimit is PROBE_MAX_TOKENS of the pods on which a monitor's requests are no work.
const simLimit = 16

// simPort is the port of the other server, which is not vLLM.
const simPort = 8188

// sidework is what goes on in a simulated pod beside what vLLM is asked for: monitors that send real requests, jobs on the CPU, and
// another server, of which only its socket is seen.
type sidework struct {
	servers int // how many vLLMs there are
	// monitor asks the first server for a token each period; excused: PROBE_MAX_TOKENS says that this is no work.
	monitor, excused bool
	period, since    time.Duration
	// cpuBusy is CPU_BUSY. A job computes for so long on so many cores, and did in the window before, too.
	cpuBusy      float64
	jobFor       time.Duration
	cores        float64
	began, ended bool
	// other: there is another server. calls are what it is asked.
	other bool
	calls []*call2
}

// call2 is a connection of the other server.
type call2 struct {
	cookie         uint64
	received, sent uint64
	came, went     time.Duration // ago
	answer         time.Duration // it is answered then; 0: it was
	moved          bool
	closes         bool
}

// begin gives each kind of pod its turn.
func (k *sidework) begin(w *world, pod int) {
	k.servers = 1 + w.IntN(4)/2
	switch pod % 8 {
	case 0:
		k.monitor, k.excused, k.period = true, true, w.between(20*time.Second, 90*time.Second)
	case 1:
		k.monitor, k.period = true, w.between(time.Minute, 20*time.Minute)
	case 2:
		k.cpuBusy = 1
	case 3:
		k.other = true
	case 4:
		w.count("pod without vLLM")
		k.servers = 0
		k.other, k.cpuBusy = w.IntN(2) == 0, float64(w.IntN(2))
		w.spans = false
	}
}

// live lets a window pass.
func (k *sidework) live(w *world, elapsed time.Duration) {
	if k.since += elapsed; k.monitor && k.since >= k.period && k.servers > 0 {
		k.since = 0
		if s := w.servers[0]; s.phase == serving || s.phase == hanging {
			w.count("request of a monitor")
			w.nextCookie++
			q := &request{cookie: w.nextCookie, age: -w.between(1, elapsed+2), prompt: 7, prefill: w.between(20*time.Millisecond, 60*time.Millisecond), monitors: k.excused}
			q.all = q.prefill + time.Duration(w.IntN(8))*50*time.Millisecond
			s.requests = append(s.requests, q)
		}
	}
	k.began, k.ended = false, false
	switch {
	case k.cpuBusy == 0:
	case k.jobFor > 0:
		w.cpu += time.Duration(k.cores * float64(elapsed))
		k.jobFor -= elapsed
		k.ended = k.jobFor <= 0
	case w.arrivals > 0 && w.chance(0.01):
		w.count("job on the CPU")
		k.began, k.jobFor, k.cores = true, w.between(time.Second, 20*time.Minute), 1+3*w.Float64()
	}
	if k.other {
		k.serve(w, elapsed)
	}
}

// computes: in all of a window that is long enough to say so, a job computed.
func (k *sidework) computes(elapsed time.Duration) bool {
	return k.cpuBusy > 0 && !k.began && (k.jobFor > 0 || k.ended) && elapsed >= cpuSpan
}

// serve lets the other server work for a window.
func (k *sidework) serve(w *world, elapsed time.Duration) {
	kept := k.calls[:0]
	for _, c := range k.calls {
		if c.closes {
			continue
		}
		c.came, c.went, c.moved = c.came+elapsed, c.went+elapsed, false
		if c.answer > 0 {
			// It computes until then, on the CPU and on the GPU.
			w.cpu += min(elapsed, c.answer)
			w.computes = append(w.computes, compute{0, min(elapsed, c.answer), false})
			if c.answer -= elapsed; c.answer <= 0 {
				c.sent, c.went, c.moved, c.closes = c.sent+500, -c.answer, true, w.chance(0.8)
				c.answer = 0
			}
		} else if c.closes = w.chance(0.005); !c.closes && w.chance(0.01) && w.arrivals > 0 {
			w.count("page left open that had the last word")
			c.received, c.came, c.moved = c.received+20, 0, true
		}
		kept = append(kept, c)
	}
	k.calls = kept
	if w.arrivals > 0 && w.chance(0.02) {
		w.count("request on PORTS")
		w.nextCookie++
		ago := w.between(0, elapsed)
		c := &call2{cookie: w.nextCookie, received: 300, came: ago, went: ago, answer: w.between(time.Millisecond, 5*time.Minute), moved: true}
		k.calls = append(k.calls, c)
	}
}

func (k *sidework) connections(v *sight, out *Sockets, signs *[]string) {
	if !k.other {
		return
	}
	out.Listening = append(out.Listening, simPort)
	for _, c := range k.calls {
		out.Connections = append(out.Connections, Connection{Cookie: c.cookie, Port: simPort, Peer: "10.0.0.7:1", Received: c.received, Sent: c.sent, SinceReceived: c.came, SinceSent: c.went})
		switch {
		case c.moved:
			*signs = append(*signs, "bytes")
		case c.answer > 0 && c.came >= owedLimit:
			*signs = append(*signs, "waits")
		}
	}
}

// unknownYet: so far nothing tells the request from a monitor's: it is one, or it has only been in flight for a while.
func (v *sight) unknownYet(q *request) bool {
	if !v.sidework.excused {
		return false
	}
	return q.monitors || q.compiling && q.age < pendingMost+3*v.planned
}

// quietens stops what would keep a pod awake that is left alone.
func (k *sidework) quietens() {
	k.jobFor, k.monitor = 0, k.monitor && k.excused
}

// rules gives the watchdog what it is told of all this.
func (k *sidework) rules(r *Rules) {
	if k.excused {
		r.ProbeMaxTokens = simLimit
	}
	if k.other {
		r.Ports = []uint16{simPort}
	}
	r.CPUBusy = k.cpuBusy
}
