package watchdog

import (
	"strings"
	"time"
)

// A monitor that sends real requests keeps a pod awake for ever. Two things are made of what each look tells about requests:
// whether regular probes come, and from whom, which is always told; and, where somebody said how large a probe is, whether all
// that a window shows is no more than probes.
//
// The counters of a server are sums over requests. So a bound holds for every single one of them only if it holds for what is
// left of the sum when each of the others was as small as a request can be: one token. Requests are judged when they are over;
// while one is in flight that has shown no more than a probe so far, nothing is known yet.

// ProbeJudgement says what is made of one source's signs of work. The zero value lets them count.
type ProbeJudgement uint8

const (
	// ProbesNone: its signs of work, if it has any, count.
	ProbesNone ProbeJudgement = iota
	// ProbesPending: so far nothing larger than a probe, and it is not over yet. This is neither work nor quiet.
	ProbesPending
	// ProbesAlone: everything was as small as a probe, and is over.
	ProbesAlone
)

// ProbeReading says how far a server's counters can be compared with the last good reading. The zero value says nothing.
type ProbeReading uint8

const (
	// ProbeUnread: skipped, failed, or not of a server that counts.
	ProbeUnread ProbeReading = iota
	// ProbeDown: nobody is served there.
	ProbeDown
	// ProbeFresh: read, but there is nothing that it could be compared with: the first reading, or counters that began anew.
	ProbeFresh
	// ProbeCompared: what its counters moved by since the last good reading is known.
	ProbeCompared
)

// ProbeWindow is what one look tells about requests.
type ProbeWindow struct {
	// Elapsed is the monotonic time since the look before.
	Elapsed time.Duration
	// Servers has one entry for each server, always in the same order.
	Servers []ProbeServer
	// Peers are the clients whose connections moved bytes or are owed an answer.
	Peers []ProbePeer
	GPU   ProbeGPU
	// Rows are rows of requests that came in; RowPrompt and RowOutput are the most tokens that any of them has.
	Rows                 uint64
	RowPrompt, RowOutput Maybe[float64]
}

// ProbeServer is one server's part of a window.
type ProbeServer struct {
	URL string
	// Port is the served port where the server is on this machine, else 0.
	Port    uint16
	Reading ProbeReading
	// Tokens: its page counts tokens, so the bytes of its connections say nothing more about requests.
	Tokens bool
	// Engines is what each engine's counters moved by.
	Engines []ProbeCount
	// HTTP is how many answers to requests ended; unknown where the page does not say.
	HTTP Maybe[float64]
	// InFlight: gauges, /load or a connection that has been owed an answer for a second say that a request is in flight.
	// Owed: a connection is owed an answer, however briefly.
	InFlight, Owed bool
}

// ProbeCount is what one engine's counters moved by.
type ProbeCount struct {
	Engine string `json:"engine"`
	// Prompt are the tokens of prompts, or those that were looked up in the prefix cache where these are more; Output are
	// generated tokens. Unknown where the page does not count them.
	Prompt Maybe[float64] `json:"prompt"`
	Output Maybe[float64] `json:"output"`
	// Finished are the requests that ended, First those that got their first token.
	Finished float64 `json:"finished"`
	First    float64 `json:"first"`
	// Moved: some counter of the engine moved.
	Moved bool `json:"moved"`
}

// ProbePeer is what one client's connections to one port moved in a window.
type ProbePeer struct {
	// Peer is the client's address, without its port.
	Peer string
	Port uint16
	// Received and Sent are the bytes that the server got from it and sent to it.
	Received, Sent uint64
	// Age is how long ago the last data came from it.
	Age time.Duration
	// Owed: one of its connections is owed an answer.
	Owed bool
}

// ProbeGPU is the GPUs' part of a window.
type ProbeGPU struct {
	// Read: some device answered. Busy: one reached the threshold.
	Read, Busy bool
	// BusyFor is how long the busiest one was at or above the threshold, unknown where samples do not bound that.
	BusyFor Maybe[time.Duration]
	// Period is the distance of two samples.
	Period time.Duration
	// Leading: only samples of the first two seconds of the window reached the threshold.
	Leading bool
}

// ProbeTracker is what is remembered of requests from one look to the next. It is a value: Observe never changes the one it was
// given. It can be stored as JSON and taken up again; the zero value knows nothing yet.
type ProbeTracker struct {
	// Clock is the sum of all windows; it dates requests.
	Clock    time.Duration  `json:"clock_ns"`
	Accounts []ProbeAccount `json:"accounts"`
	Talks    []ProbeTalk    `json:"talks"`
	Beats    []ProbeBeat    `json:"beats"`
	// Scrapers are clients that were seen on a port while nothing was asked there.
	Scrapers []ProbeScraper `json:"scrapers"`
	// GPUQuiet: at the last look the GPU was read, and below the threshold. Else it has been at or above it for so long, as far as
	// samples say.
	GPUQuiet   bool          `json:"gpu_quiet"`
	GPUBusyFor time.Duration `json:"gpu_busy_ns"`
	// Tail is how long samples of the GPU may still be of probes that have ended.
	Tail time.Duration `json:"tail_ns"`
}

// ProbeFinding is what Observe found out about one window.
type ProbeFinding struct {
	// Servers has the judgement of each server, in the order of the window.
	Servers   []ProbeJudgement
	GPU, Rows ProbeJudgement
	// Late is work that was taken for a probe in flight at earlier looks, and that no counter of this window shows.
	Late []Because
	// Pending says what is not over yet; empty where nothing is. Such a window is not quiet, and a final look holds.
	Pending string
	// Detail says what does not count; empty where nothing was excused.
	Detail string
	// Regular are the regular probes that go on, always the same for the same history.
	Regular []RegularProbe
}

// worded says what does not count, and who sent it, where that is known.
func (f ProbeFinding) worded() string {
	if len(f.Regular) == 0 {
		return f.Detail
	}
	return f.Detail + "; " + f.regularly()
}

// regularly names the regular probes.
func (f ProbeFinding) regularly() string {
	names := make([]string, len(f.Regular))
	for i, p := range f.Regular {
		names[i] = p.String()
	}
	return strings.Join(names, ", ")
}

// Observe takes the next window and judges it. maxTokens is the most tokens that a probe has, in its prompt and in its answer;
// with 0 or less every request counts, and regular probes are only told.
func (t ProbeTracker) Observe(w ProbeWindow, maxTokens int) (ProbeTracker, ProbeFinding) {
	limit := float64(max(maxTokens, 0))
	w.Elapsed = max(w.Elapsed, 0)
	n := ProbeTracker{Clock: t.Clock + w.Elapsed}
	f := ProbeFinding{Servers: make([]ProbeJudgement, len(w.Servers))}
	var events []probeEvent
	seen := burst{sure: true}
	for i, s := range w.Servers {
		account, out := accountOf(t.Accounts, s.URL, t.Clock).take(s, w, n.Clock, limit)
		n.Accounts = append(n.Accounts, account)
		f.Servers[i] = out.judgement
		if out.late != "" {
			f.Late = append(f.Late, Because{Code: RequestsInFlight, Detail: out.late})
		}
		if out.event.Size.Requests > 0 {
			events = append(events, out.event)
		}
		seen = seen.with(out)
	}
	n.Scrapers = scrapers(t.Scrapers, w)
	beats := setApart(t.Beats, events, n.Scrapers)
	n.Talks, events = talks(t.Talks, w, n.Clock, events)
	n.Beats = keepTime(beats, events)
	f.Regular = regular(n.Beats, n.Clock)

	if limit > 0 {
		f.GPU = seen.judge(w.GPU, w.Elapsed, t)
		if w.Rows > 0 && w.RowPrompt.Known && w.RowOutput.Known && w.RowPrompt.Value <= limit && w.RowOutput.Value <= limit {
			f.Rows = ProbesAlone
		}
	}
	n.GPUQuiet = w.GPU.Read && !w.GPU.Busy
	if w.GPU.Busy {
		n.GPUBusyFor = t.GPUBusyFor + w.GPU.BusyFor.Or(w.Elapsed)
	}
	if n.Tail = max(0, t.Tail-w.Elapsed); seen.ended && seen.sure {
		n.Tail = burstTail
	}
	if seen.pending {
		f.Pending = "a request in flight, so far no larger than a probe"
	}
	f.Detail = seen.detail(f)
	return n, f
}
