package watchdog

import (
	"fmt"
	"slices"
	"time"
)

const (
	// pendingMost is how long a request in flight may pass for a probe that is not over yet.
	pendingMost = 10 * time.Second
	// mostProbePeers bounds how many clients are remembered of one window, or of one request.
	mostProbePeers = 8
)

// ProbeAccount sums up what one server's counters moved by since no request was in flight on it: the requests that come to
// their end together.
type ProbeAccount struct {
	URL string `json:"url"`
	// From is when the account was opened, by the tracker's clock: the good reading before which all others had ended.
	From    time.Duration `json:"from_ns"`
	Engines []ProbeCount  `json:"engines"`
	// HTTP are the answers that ended. Credit is how many of those of the account before may end in the first reading of this one:
	// an answer ends after its request.
	HTTP   float64 `json:"http"`
	Credit float64 `json:"credit"`
	// Pending: a request was in flight at an earlier look, and has been for PendingFor since. Held: at some look that was taken
	// for a probe, so it was neither work nor quiet.
	Pending    bool          `json:"pending"`
	PendingFor time.Duration `json:"pending_ns"`
	Held       bool          `json:"held"`
	// Midway: a request was in flight when the account was opened. What it had shown by then is not in it, and may have been long.
	Midway bool `json:"midway"`
	// Peers are the clients that sent something meanwhile.
	Peers []string `json:"peers"`
}

// outcomeOfAccount is what one reading makes of an account.
type outcomeOfAccount struct {
	judgement ProbeJudgement
	// unsure: the server had more than probes, or may have had.
	unsure bool
	// late is work that was held back, and that nothing in this window shows.
	late string
	// count sums up what was judged.
	count ProbeCount
	event probeEvent
}

func accountOf(accounts []ProbeAccount, url string, now time.Duration) ProbeAccount {
	for _, a := range accounts {
		if a.URL == url {
			return a
		}
	}
	return ProbeAccount{URL: url, From: now}
}

// take adds a reading and judges what has come together. limit is the size of a probe in tokens, 0 where there are none.
func (a ProbeAccount) take(s ProbeServer, w ProbeWindow, now time.Duration, limit float64) (ProbeAccount, outcomeOfAccount) {
	fresh := ProbeAccount{URL: a.URL, From: now}
	switch s.Reading {
	case ProbeUnread:
		return a, outcomeOfAccount{unsure: true}
	case ProbeDown:
		return fresh, outcomeOfAccount{}
	case ProbeFresh:
		fresh.Midway = s.InFlight
		return fresh, outcomeOfAccount{unsure: true}
	}
	a = a.plus(s, w.Peers)
	count, small := a.sum(), limit > 0 && !a.Midway && a.small(limit)
	if a.Pending {
		a.PendingFor += w.Elapsed
	}
	moved := count.Moved || a.HTTP > 0
	unexplained := a.HTTP > count.Finished+a.Credit // an answer ended, and its request is not among those that did
	cut := count.First > count.Finished             // a first token without an end
	over := a.PendingFor > pendingMost && !s.InFlight
	if (s.InFlight || moved && (s.Owed || cut && !unexplained)) && !over {
		a.Pending = true
		if !small || unexplained || a.PendingFor > pendingMost {
			return a, outcomeOfAccount{unsure: true}
		}
		a.Held = true
		return a, outcomeOfAccount{judgement: ProbesPending, count: count}
	}

	// Nothing is in flight any more: the account is closed.
	held := a.Held && !s.moved() // what is counted now shows in no counter of this window
	switch {
	case !moved && !a.Held:
		return fresh, outcomeOfAccount{}
	case !moved:
		return fresh, outcomeOfAccount{unsure: true, late: a.URL + ": a request was in flight that ended without a trace"}
	case cut && over:
		out := outcomeOfAccount{unsure: true}
		if a.Held {
			out.late = a.URL + ": a request got its first token and never ended"
		}
		return fresh, out
	case count.Moved && count.Finished == 0, unexplained:
		out := outcomeOfAccount{unsure: true}
		if held {
			out.late = fmt.Sprintf("%s: of %.0f answers only %.0f were of requests that ended", a.URL, a.HTTP, count.Finished)
		}
		return fresh, out
	}
	out := outcomeOfAccount{unsure: true, count: count}
	if count.Finished > 0 {
		out.event = probeEvent{
			Source: a.URL, Peers: a.Peers, After: a.From, By: now,
			Size: ProbeSize{Requests: count.Finished, Prompt: count.Prompt, Output: count.Output},
		}
	}
	if small || limit == 0 {
		fresh.Credit = min(count.Finished, max(0, count.Finished+a.Credit-a.HTTP))
	}
	if small {
		out.judgement, out.unsure = ProbesAlone, false
	}
	return fresh, out
}

// plus adds a reading.
func (a ProbeAccount) plus(s ProbeServer, peers []ProbePeer) ProbeAccount {
	a.Engines, a.Peers = slices.Clone(a.Engines), slices.Clone(a.Peers)
	for _, e := range s.Engines {
		i := slices.IndexFunc(a.Engines, func(c ProbeCount) bool { return c.Engine == e.Engine })
		if i < 0 {
			a.Engines = append(a.Engines, e)
			continue
		}
		a.Engines[i] = a.Engines[i].plus(e)
	}
	a.HTTP += s.HTTP.Or(0)
	for _, p := range peers {
		if s.Port != 0 && p.Port == s.Port && p.Received > 0 && len(a.Peers) < mostProbePeers && !slices.Contains(a.Peers, p.Peer) {
			a.Peers = append(a.Peers, p.Peer)
		}
	}
	return a
}

// plus adds two counts. What one of them does not know, the sum does not know either.
func (c ProbeCount) plus(o ProbeCount) ProbeCount {
	c.Prompt, c.Output = sumOf(c.Prompt, o.Prompt), sumOf(c.Output, o.Output)
	c.Finished += o.Finished
	c.First += o.First
	c.Moved = c.Moved || o.Moved
	return c
}

func sumOf(a, b Maybe[float64]) Maybe[float64] {
	if !a.Known || !b.Known {
		return Maybe[float64]{}
	}
	return Known(a.Value + b.Value)
}

// sum sums the engines up.
func (a ProbeAccount) sum() ProbeCount {
	var sum ProbeCount
	for i, e := range a.Engines {
		if i == 0 {
			sum = e
			continue
		}
		sum = sum.plus(e)
	}
	sum.Engine = ""
	return sum
}

// small says that no request in the account can have had more than limit tokens in its prompt or in its answer. Of what an
// engine's requests had together, each has at least one token of prompt, and each that got a first token one of output.
func (a ProbeAccount) small(limit float64) bool {
	for _, e := range a.Engines {
		if !e.Moved {
			continue
		}
		if !e.Prompt.Known || !e.Output.Known {
			return false
		}
		if e.Prompt.Value-max(0, e.Finished-1) > limit || e.Output.Value-max(0, min(e.First, e.Finished)-1) > limit {
			return false
		}
	}
	return true
}

func (s ProbeServer) moved() bool {
	return s.HTTP.Or(0) > 0 || slices.ContainsFunc(s.Engines, func(e ProbeCount) bool { return e.Moved })
}
