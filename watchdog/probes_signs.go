package watchdog

import (
	"slices"
	"strings"
	"time"
)

// probeWindow tells what a snapshot says about requests. p is the state before it; t and threshold are what the socket table and
// the GPUs' threshold were found to be in this window.
func probeWindow(p State, s Snapshot, t traffic, threshold float64) ProbeWindow {
	w := ProbeWindow{
		Elapsed: s.Elapsed, Rows: s.Rows, RowPrompt: s.RowPrompt, RowOutput: s.RowOutput,
		Peers: probePeers(p.Connections, s.Sockets, p.Based),
		GPU:   probeGPU(s.GPU, threshold, s.Elapsed),
	}
	for _, reading := range s.Servers {
		w.Servers = append(w.Servers, probeServer(serverState(p.Servers, reading.URL), reading, t))
	}
	return w
}

func probeServer(was ServerState, s Server, t traffic) ProbeServer {
	out := ProbeServer{URL: s.URL, Port: s.Port, Tokens: slices.ContainsFunc(was.Mark.Engines, func(m EngineMark) bool { return m.Counters[PromptTokens].Known })}
	for _, o := range t.owing {
		if s.Port != 0 && o.port == s.Port {
			out.Owed, out.InFlight = true, out.InFlight || o.age >= owedLimit
		}
	}
	switch {
	case s.Outcome == OutcomeRefused, s.Health == HealthDead:
		out.Reading = ProbeDown
		return out
	case !s.Ready():
		return out
	}
	running, waiting, _ := gauges(s)
	// A gauge beside a tracked /load of 0 is late, or frozen.
	late := was.LoadSeen && s.Load == Known(0.0) && s.StartedAt > 0 && waiting == 0
	out.InFlight = out.InFlight || running+waiting > 0 && !late || s.Load.Or(0) > 0
	if !was.Mark.Set || compare(was.Mark, s).reset {
		out.Reading = ProbeFresh
		return out
	}
	out.Reading = ProbeCompared
	if s.HTTPRequests.Known {
		out.HTTP = Known(max(0, s.HTTPRequests.Value-was.Mark.HTTPRequests.Or(0)))
	}
	for _, e := range s.Engines {
		out.Tokens = out.Tokens || e.Counters[PromptTokens].Known
		out.Engines = append(out.Engines, probeCount(engineMark(was.Mark.Engines, e.ID), e))
	}
	return out
}

// probeCount is what one engine's counters moved by.
func probeCount(was Counters, e Engine) ProbeCount {
	by := func(c Counter) float64 { return max(0, e.Counters[c].Or(0)-was[c].Or(0)) }
	out := ProbeCount{Engine: e.ID, Finished: by(FinishedRequests), First: by(FirstTokens)}
	if e.Counters[PromptTokens].Known {
		out.Prompt = Known(max(by(PromptTokens), by(PrefixQueries)))
	}
	if e.Counters[GenerationTokens].Known {
		out.Output = Known(by(GenerationTokens))
	}
	for c := range NumCounters {
		out.Moved = out.Moved || by(c) > 0
	}
	return out
}

// probePeers sums the connections up by client and port. A first look cannot say when the bytes of an old connection moved.
func probePeers(p []ConnectionState, s Sockets, based bool) (peers []ProbePeer) {
	if s.State != SourceOK {
		return nil
	}
	for _, c := range s.Connections {
		was, seen := find(p, c.Cookie)
		came, went := c.Received-min(c.Received, was.Received), c.Sent-min(c.Sent, was.Sent)
		if !seen && !based {
			came, went = 0, 0
		}
		waits := !c.HalfClosed && owed(c, was, seen, came, went)
		if came+went == 0 && !waits {
			continue
		}
		name := c.Peer
		if at := strings.LastIndex(name, ":"); at >= 0 {
			name = strings.Trim(name[:at], "[]")
		}
		i := slices.IndexFunc(peers, func(o ProbePeer) bool { return o.Peer == name && o.Port == c.Port })
		if i < 0 {
			if len(peers) == mostTalks {
				continue
			}
			i, peers = len(peers), append(peers, ProbePeer{Peer: name, Port: c.Port, Age: c.SinceReceived})
		}
		peers[i].Received += came
		peers[i].Sent += went
		peers[i].Age = min(peers[i].Age, c.SinceReceived)
		peers[i].Owed = peers[i].Owed || waits
	}
	return peers
}

// probeGPU says how long the GPUs were at or above the threshold.
func probeGPU(g GPU, threshold float64, elapsed time.Duration) ProbeGPU {
	out := ProbeGPU{BusyFor: Known(time.Duration(0)), Leading: true}
	for _, d := range g.Devices {
		_, top, known := bounds(d)
		if d.State != SourceOK || !known {
			continue
		}
		out.Read = true
		if top < threshold {
			continue
		}
		out.Busy = true
		period := d.SamplePeriod
		if period <= 0 && len(d.Samples) > 0 {
			period = elapsed / time.Duration(len(d.Samples))
		}
		busy, last := 0, -1
		for i, sample := range d.Samples {
			if float64(sample) >= threshold {
				busy, last = busy+1, i
			}
		}
		bounded := busy < len(d.Samples) && !d.Gap && period > 0
		if late := d.Rate.Or(0) >= threshold; late {
			busy, last = busy+1, len(d.Samples)
		}
		// Where all samples are busy they may go on, and where some are lost nothing is known; but a short window holds no more than itself.
		short := !d.Gap && elapsed > 0 && elapsed < burstTail
		out.Leading = out.Leading && (bounded && time.Duration(last)*period < burstTail || short)
		out.Period = max(out.Period, period)
		if !bounded || !out.BusyFor.Known {
			out.BusyFor = Maybe[time.Duration]{}
			continue
		}
		out.BusyFor = Known(max(out.BusyFor.Value, time.Duration(busy)*period))
	}
	return out
}

// excuse takes out of a window the signs of work that are no more than probes. Connections that are owed an answer stay: a final
// look holds on them.
func (f ProbeFinding) excuse(w ProbeWindow, srv servers, t traffic, g gpus) (servers, traffic, gpus) {
	srv.findings = slices.Clone(srv.findings)
	srv.hard, srv.soft = nil, nil
	excused := map[uint16]bool{}
	for i := range srv.findings {
		if i < len(f.Servers) && f.Servers[i] != ProbesNone {
			srv.findings[i].hard, srv.findings[i].soft = nil, nil
			excused[w.Servers[i].Port] = w.Servers[i].Port != 0
		}
		srv.hard = append(srv.hard, srv.findings[i].hard...)
		srv.soft = append(srv.soft, srv.findings[i].soft...)
	}
	srv.hard = append(srv.hard, f.Late...)
	t.soft = slices.DeleteFunc(slices.Clone(t.soft), func(s sign) bool { return excused[s.port] })
	if f.GPU != ProbesNone {
		g.hard, g.quiet = nil, g.missing == ""
	}
	return srv, t, g
}
