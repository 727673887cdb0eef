package serving

import (
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Window is how all servers served over some time, by their histograms and counters.
type Window struct {
	sums
	// Resets is how often a server was found to have begun anew, since the tracker did.
	Resets int
}

// Seconds is the time that was observed: of the server that was observed longest. Time in which a server began anew is not in
// it, nor is what it did then.
func (w *Window) Seconds() float64 { return w.seconds }

// Figure is the figure of one family. PerOutputToken is of requests of more than one token; OutputTokens is in tokens.
func (w *Window) Figure(of vllm.Family) Figure {
	from := &w.families[of]
	f := from.figure()
	if of == vllm.PerOutputToken {
		f = w.perToken.figure(&from.buckets)
	}
	if f.Refused = from.refused; f.Refused > 0 && (f.Note == "" || f.Count == 0) {
		f.Note = "left out: " + from.why
	}
	return f
}

// Requests is how many requests finished.
func (w *Window) Requests() watchdog.Maybe[float64] { return seen(w.finished, w.finishedSeconds) }

// RequestsPerSecond is that over the time that was observed.
func (w *Window) RequestsPerSecond() watchdog.Maybe[float64] {
	return per(w.finished, w.finishedSeconds)
}

// OutputTokens and PromptTokens count tokens of requests that run as well.
func (w *Window) OutputTokens() watchdog.Maybe[float64] { return seen(w.outputTokens, w.tokenSeconds) }
func (w *Window) PromptTokens() watchdog.Maybe[float64] { return seen(w.promptTokens, w.tokenSeconds) }

// OutputTokensPerSecond is the servers' rate over the time that was observed.
func (w *Window) OutputTokensPerSecond() watchdog.Maybe[float64] {
	return per(w.outputTokens, w.tokenSeconds)
}

// ServingTokensPerSecond is the rate over the time in which anything was served, to the grain of the readings: what the SLA's
// rate is about. A server that nobody asks for tokens is not slow.
func (w *Window) ServingTokensPerSecond() watchdog.Maybe[float64] {
	return per(w.outputTokens, w.servingSeconds)
}

// Aborted is how many requests the servers aborted.
func (w *Window) Aborted() float64 { return w.aborted }

// Running is the batch size: the mean over the readings of all requests that ran on a server, and the most.
func (w *Window) Running() (mean, most watchdog.Maybe[float64]) { return w.running.known() }

// KVUsage is the share of KV blocks in use, 0 to 1: the mean over readings and engines, and the most on one engine.
func (w *Window) KVUsage() (mean, most watchdog.Maybe[float64]) { return w.kvUsage.known() }

// KVTokens is the most tokens that KV blocks in use had room for, on one server.
func (w *Window) KVTokens() watchdog.Maybe[float64] { return seen(w.kvTokens.max, w.kvTokens.n) }

func (g gauge) known() (mean, most watchdog.Maybe[float64]) {
	return per(g.sum, g.n), seen(g.max, g.n)
}

// seen is n, unknown where nothing was observed.
func seen(n, observed float64) watchdog.Maybe[float64] {
	if !(observed > 0) {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(n)
}

// Graded is how many first tokens came within the SLA's time, and of how many: a range where the SLA lies between two buckets.
func (w *Window) Graded(s SLA) (met Range, of float64) {
	first := &w.families[vllm.TTFT].buckets
	return first.below(s.TTFT.Seconds()), first.count()
}

// SLAPercent is the share of first tokens that came within the SLA's time; unknown where none came.
func (w *Window) SLAPercent(s SLA) watchdog.Maybe[Range] {
	met, of := w.Graded(s)
	if of == 0 {
		return watchdog.Maybe[Range]{}
	}
	return watchdog.Known(met.scaled(100 / of))
}

// Goodput is first tokens within the SLA's time, for each second that was observed. What was left out as garbage is not in it.
func (w *Window) Goodput(s SLA) watchdog.Maybe[Range] {
	met, _ := w.Graded(s)
	if !(w.seconds > 0) {
		return watchdog.Maybe[Range]{}
	}
	return watchdog.Known(met.scaled(1 / w.seconds))
}
