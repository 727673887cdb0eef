package watchdog

import (
	"slices"
	"time"
)

// sight is what can be seen of a world. Faults last for so many windows.
type sight struct {
	*world
	gpuAbsent, socketsAbsent, hostAbsent bool

	gpuFailed, gpuLost, gap, ringEmpty int
	socketsFailed, hostFailed          int
	pageFailed                         int
	pageOutcome                        Outcome
	spinning                           bool
	// lean: GPU or sockets proved work in the window before; if they prove it again, the pages are spared
	lean, spared bool

	read map[*simServer]page
	// planned is the time between two looks.
	planned time.Duration
}

func (v *sight) wasRead(url string) bool {
	for s := range v.read {
		if s.url == url {
			return true
		}
	}
	return false
}

// page is what was last read of a server.
type page struct {
	epoch    int
	counters [NumCounters]float64
	http     float64
}

// snapshot is one look. signs are the signs of real work that this look shows, found from the truth and from nothing
// else; whoever is given this snapshot and calls it quiet is wrong.
func (v *sight) snapshot(elapsed time.Duration) (s Snapshot, signs []string) {
	s = Snapshot{StartID: fixtureStart, Elapsed: elapsed, GPU: v.gpu(elapsed, &signs), Sockets: v.sockets(&signs), Host: v.host(elapsed, &signs), Rows: uint64(len(v.rows))}
	for i, r := range v.rows {
		if i == 0 {
			s.RowPrompt, s.RowOutput = Known(0.0), Known(0.0)
		}
		s.RowPrompt.Value, s.RowOutput.Value = max(s.RowPrompt.Value, r.prompt), max(s.RowOutput.Value, r.output)
		if !r.monitors {
			signs = append(signs, "rows")
		}
	}
	v.rows = nil
	v.spared = v.lean && !v.sidework.excused && (proven(s) || v.chance(0.03))
	for _, server := range v.servers {
		s.Servers = append(s.Servers, v.page(server, &signs))
	}
	for _, left := range []*int{&v.gpuFailed, &v.gpuLost, &v.gap, &v.ringEmpty, &v.socketsFailed, &v.hostFailed, &v.pageFailed} {
		*left = max(0, *left-1)
	}
	return s, signs
}

// proven says that GPU or sockets show work without any page.
func proven(s Snapshot) bool {
	for _, d := range s.GPU.Devices {
		if len(d.Samples) > 0 && slices.Max(d.Samples) >= floorUnmeasured {
			return true
		}
	}
	return slices.ContainsFunc(s.Sockets.Connections, func(c Connection) bool {
		return !c.HalfClosed && c.SinceReceived-c.SinceSent >= time.Second && c.SinceSent < time.Second
	})
}

func (v *sight) gpu(elapsed time.Duration, signs *[]string) GPU {
	switch {
	case v.gpuAbsent:
		return GPU{State: SourceAbsent, Reason: "no NVML library"}
	case v.gpuFailed > 0:
		return GPU{State: SourceFailed, Reason: "no answer"}
	}
	g := GPU{State: SourceOK}
	for n := range v.gpus {
		d := fixtureDevice(n)
		d.Samples = nil
		if n == 0 {
			top := v.samples(&d, elapsed)
			if top >= 10 && !v.spinning && v.gpuLost == 0 {
				*signs = append(*signs, "gpu")
			}
		} else {
			d.Samples = []uint8{uint8(v.IntN(3))}
		}
		if n == 0 && v.gpuLost > 0 {
			d = Device{UUID: d.UUID, State: SourceFailed, Reason: "lost"}
			g.State, g.Reason = SourceFailed, "GPU 0 is lost"
		}
		g.Devices = append(g.Devices, d)
	}
	return g
}

// samples fills in one sample for each second of the window: the share of it in which the GPU computed, or noise. It returns the
// highest that can be seen of real work, in percent.
func (v *sight) samples(d *Device, elapsed time.Duration) (real float64) {
	for at := time.Duration(0); at+time.Second <= elapsed; at += time.Second {
		share, counts := time.Duration(0), time.Duration(0)
		for _, c := range v.computes {
			part := max(0, min(c.to, at+time.Second)-max(c.from, at))
			if share += part; !c.monitors {
				counts += part
			}
		}
		if v.ringEmpty == 0 {
			real = max(real, float64(min(100, counts*100/time.Second)))
		}
		percent := min(100, uint8(min(share, time.Second)*100/time.Second))
		if percent < 3 {
			percent = uint8(v.IntN(3))
		}
		d.Samples = append(d.Samples, percent)
	}
	percent := 0.0
	for _, c := range v.computes {
		if c.to >= elapsed {
			percent = 80
			if !c.monitors {
				real = max(real, percent)
			}
		}
	}
	if v.spinning {
		percent = 100
		for i := range d.Samples {
			d.Samples[i] = 100
		}
	}
	d.Rate, d.MemoryRate, d.PowerWatts = Known(percent), Known(percent/2), Known(60+percent)
	if v.spinning {
		d.MemoryRate, d.PowerWatts = Known(0.0), Known(62.0)
	}
	if v.ringEmpty > 0 {
		d.Samples = nil
	}
	d.Gap = v.gap > 0
	return real
}

func (v *sight) sockets(signs *[]string) Sockets {
	switch {
	case v.socketsAbsent:
		return Sockets{State: SourceAbsent, Reason: "not permitted"}
	case v.socketsFailed > 0:
		return Sockets{State: SourceFailed, Reason: "no answer"}
	}
	out := Sockets{State: SourceOK}
	for _, s := range v.servers {
		if s.phase == loading || s.phase == gone {
			continue
		}
		out.Listening = append(out.Listening, s.port)
		works := s.phase == serving && !s.asleep
		for _, q := range s.requests {
			c := Connection{Cookie: q.cookie, Port: s.port, Peer: "10.0.0.1:4000", Received: 348, Sent: q.sent, SinceReceived: q.age, SinceSent: q.age, HalfClosed: q.left}
			if q.sent > 0 {
				c.SinceSent = q.sinceSent
			}
			out.Connections = append(out.Connections, c)
			switch {
			case v.unknownYet(q):
			case works && q.pending() && q.age >= owedLimit:
				*signs = append(*signs, "owed")
			case works && q.sentNow && !q.left && q.age-q.sinceSent >= owedLimit:
				*signs = append(*signs, "stream")
			}
		}
		if s.stuckSocket > 0 {
			out.Connections = append(out.Connections, Connection{Cookie: s.stuckSocket, Port: s.port, Peer: "10.0.0.9:1", Received: 12, SinceReceived: time.Hour, SinceSent: time.Hour})
		}
	}
	v.sidework.connections(v, &out, signs)
	for _, p := range v.probes {
		c := Connection{Cookie: p.cookie, Port: p.server.port, Peer: "10.0.0.2:9090", Received: 200, SinceReceived: p.ago, SinceSent: p.ago}
		if p.server.phase != hanging && p.ago > 8*time.Millisecond {
			c.Sent, c.SinceSent = 50_000, p.ago-8*time.Millisecond
		}
		out.Connections = append(out.Connections, c)
	}
	if len(out.Listening) == 0 {
		return Sockets{State: SourceAbsent, Reason: "no listener"}
	}
	return out
}

func (v *sight) host(elapsed time.Duration, signs *[]string) Host {
	switch {
	case v.hostAbsent:
		return Host{State: SourceAbsent, Reason: "no cgroup"}
	case v.hostFailed > 0:
		return Host{State: SourceFailed, Reason: "no such file"}
	}
	if v.sidework.computes(elapsed) {
		*signs = append(*signs, "job")
	}
	own := 0.01 * v.Float64()
	return Host{State: SourceOK, CPUCores: Known(0.05 + own + v.cpu.Seconds()/max(elapsed.Seconds(), 0.001)), OwnCores: Known(own)}
}

func (v *sight) page(s *simServer, signs *[]string) Server {
	out := Server{URL: s.url, Port: s.port}
	switch {
	case v.spared:
		out.Outcome = OutcomeSkipped
		return out
	case s.phase == loading, s.phase == gone:
		out.Outcome, out.Detail = OutcomeRefused, "nobody listens there"
		return out
	case s.phase == hanging:
		out.Outcome, out.Detail = OutcomeTimeout, "no whole answer"
		return out
	case v.pageFailed > 0:
		out.Outcome, out.Detail = v.pageOutcome, "no page"
		return out
	}
	out.Outcome, out.Health, out.StartedAt = OutcomeAnswered, HealthOK, s.stamp
	out.HTTPSeries, out.HTTPRequests, out.Load = true, Known(s.http), Known(0.0)
	if s.tracked {
		out.Load = Known(float64(s.unfinished()) + s.stuckLoad)
	}
	running, untouched, small := s.stuckRunning, true, 0.0
	for _, q := range s.requests {
		if q.done >= 250*time.Millisecond && q.all > q.prefill && !(q.compiling && q.done < q.prefill) && !q.left {
			running++
			if v.unknownYet(q) {
				small++
			}
		}
	}
	e := Engine{ID: "0", Awake: Known(!s.asleep)}
	for c, v := range s.counters {
		e.Counters[c] = Known(v)
		untouched = untouched && v == 0
	}
	if !untouched || running > 0 || s.stamp > 0 {
		e.Running, e.Waiting = Known(running), Known(0.0)
	}
	if !s.noStats {
		out.EngineSeries, out.Engines = true, []Engine{e}
	}
	if s.phase == dead {
		out.Health = HealthDead
		return out
	}
	v.pageSigns(s, running-s.stuckRunning-small, signs)
	return out
}

// pageSigns are the signs of real work on a page that came whole from a server that lives.
func (v *sight) pageSigns(s *simServer, running float64, signs *[]string) {
	now := s.real
	now.epoch = s.epoch
	if v.sidework.excused {
		now.http = 0 // an answer beside a probe in flight is work when that has ended
	}
	if s.noStats {
		now.counters = [NumCounters]float64{}
	}
	before, was := v.read[s]
	v.read[s] = now
	if was && before.epoch != now.epoch {
		before = page{}
	}
	if was && (now.http > before.http || now.counters != before.counters) {
		*signs = append(*signs, "counters")
	}
	if running > 0 && !s.noStats && !s.asleep {
		*signs = append(*signs, "gauge")
	}
	known := func(q *request) bool { return !q.left && !v.unknownYet(q) }
	if s.tracked && slices.ContainsFunc(s.requests, known) && !s.asleep {
		*signs = append(*signs, "load")
	}
}
