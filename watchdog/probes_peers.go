package watchdog

import (
	"fmt"
	"slices"
	"time"
)

const (
	// mostTalks and mostScrapers bound what is remembered of clients.
	mostTalks    = 32
	mostScrapers = 32
)

// ProbeTalk is an exchange of one client on a port of which only sockets are known, while it is owed an answer.
type ProbeTalk struct {
	Peer     string        `json:"peer"`
	Port     uint16        `json:"port"`
	At       time.Duration `json:"at_ns"`
	Received uint64        `json:"received"`
	Sent     uint64        `json:"sent"`
}

// ProbeScraper is a client that asks a server for pages, as its counters do not count it.
type ProbeScraper struct {
	Source string `json:"source"`
	Peer   string `json:"peer"`
}

// talks follows the exchanges on ports whose server counts no tokens. One is over when nobody is owed an answer any more.
func talks(open []ProbeTalk, w ProbeWindow, now time.Duration, events []probeEvent) ([]ProbeTalk, []probeEvent) {
	var next []ProbeTalk
	for _, p := range w.Peers {
		source, unasked := fmt.Sprintf("port %d", p.Port), false
		if i := slices.IndexFunc(w.Servers, func(s ProbeServer) bool { return s.Port == p.Port && s.Port != 0 }); i >= 0 {
			s := w.Servers[i]
			if s.Tokens {
				continue // its page says what was asked
			}
			source, unasked = s.URL, s.Reading == ProbeCompared && s.HTTP == Known(0.0)
		}
		talk := ProbeTalk{Peer: p.Peer, Port: p.Port, At: now - p.Age}
		if at := slices.IndexFunc(open, func(o ProbeTalk) bool { return o.Peer == p.Peer && o.Port == p.Port }); at >= 0 {
			talk = open[at]
		}
		talk.Received += p.Received
		talk.Sent += p.Sent
		switch {
		case p.Owed && len(next) < mostTalks:
			next = append(next, talk)
		case !p.Owed && !unasked && talk.Received > 0:
			events = append(events, probeEvent{
				Source: source, Peers: []string{p.Peer}, After: talk.At, By: talk.At,
				Size: ProbeSize{Requests: 1, Received: Known(float64(talk.Received)), Sent: Known(float64(talk.Sent))},
			})
		}
	}
	return next, events
}

// scrapers adds the clients that were answered by a server whose counters stood still.
func scrapers(known []ProbeScraper, w ProbeWindow) []ProbeScraper {
	next := slices.Clone(known)
	for _, s := range w.Servers {
		if s.Reading != ProbeCompared || !s.Tokens || s.Port == 0 || s.InFlight || s.moved() {
			continue
		}
		for _, p := range w.Peers {
			one := ProbeScraper{s.URL, p.Peer}
			if p.Port == s.Port && p.Received > 0 && !p.Owed && !slices.Contains(next, one) {
				next = append(next, one)
			}
		}
	}
	return next[max(0, len(next)-mostScrapers):]
}

// setApart tells scrapers from other clients in what has just ended and in what is remembered.
func setApart(beats []ProbeBeat, events []probeEvent, known []ProbeScraper) []ProbeBeat {
	apart := func(source string, peers, others []string) ([]string, []string) {
		scrapes := func(peer string) bool { return slices.Contains(known, ProbeScraper{source, peer}) }
		if !slices.ContainsFunc(peers, scrapes) {
			return peers, others
		}
		others = slices.Clone(others)
		for _, peer := range peers {
			if scrapes(peer) {
				others = append(others, peer)
			}
		}
		return slices.DeleteFunc(slices.Clone(peers), scrapes), others
	}
	for i, e := range events {
		events[i].Peers, events[i].Others = apart(e.Source, e.Peers, e.Others)
	}
	next := slices.Clone(beats)
	for i, b := range next {
		next[i].Peers, next[i].Others = apart(b.Source, b.Peers, b.Others)
	}
	return next
}
