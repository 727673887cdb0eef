package watchdog

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// hopeless: the servers are gone, and what starts them has ended or starts them in vain, so none of them is coming.
func (n State) hopeless(s Snapshot, srv servers) bool {
	return srv.alive+srv.skipped == 0 && srv.gone == len(s.Servers) && (s.Child.Done || len(n.Crashes) >= crashFew)
}

// wreck says why the pod serves nobody and will not by itself; its code is empty where that cannot be said. A server that lives
// speaks against all of it.
func (r *Rules) wreck(n State, s Snapshot, srv servers) Because {
	// Who does not answer may be answering others. A server that is known to be dead is another matter: whatever else does not answer,
	// nothing on this pod has moved for BROKEN_LIMIT when it is stopped.
	gone := srv.gone == len(s.Servers)
	switch {
	case srv.alive+srv.skipped > 0:
		return Because{}
	case n.listens():
		return Because{} // another server is there, which may be the one that people use
	case s.Child.Done && gone:
		return Because{Code: JobDone, Detail: "what this pod was started for has ended with 0"}
	case len(n.Crashes) >= crashFew && gone:
		return Because{Code: CrashLoop, Detail: fmt.Sprintf("%d starts within %s died before the server was ready, or within %s of it%s", len(n.Crashes), crashWithin, crashSoon, s.Child.lastStatus())}
	case srv.down != "" && !r.comesAgain(s.Child, srv):
		return Because{Code: ServerDead, Detail: srv.down + s.Child.lastStatus()}
	case !n.EverReady && len(srv.overdue) > 0 && gone:
		return Because{Code: NeverReady, Detail: fmt.Sprintf("%s has not been ready within %s%s", strings.Join(srv.overdue, ", "), r.StartupTimeout, s.Child.lastStatus())}
	}
	return Because{}
}

// comesAgain: the supervisor has started the server anew since it went down, and it may be loading still. A process that lives on
// after its engine has died does not.
func (r *Rules) comesAgain(c Child, srv servers) bool {
	return c.Running && c.RunningFor < r.StartupTimeout && c.RunningFor <= srv.downFor
}

func (c Child) lastStatus() string {
	if !c.Known || c.Failures == 0 {
		return ""
	}
	return fmt.Sprintf("; its last exit status was %d", c.Status)
}

// brokenLimit is how long a wreck must stand still before the pod is stopped. Nobody will ask for more of a job that is done: there
// it is as long as the warning, and the warning.
func (r *Rules) brokenLimit(why Reason) time.Duration {
	if why == JobDone {
		return max(2*r.WarnBefore, 3*r.CheckInterval)
	}
	return r.BrokenLimit
}

// standsStill: neither CPU nor network nor GPU, those of them that can be read, say that something is being done, as a download or
// the loading of a model.
func (r *Rules) standsStill(n State, s Snapshot, g gpus, c processors) bool {
	switch {
	case cpuFailed(s), c.computes(), c.intake.Or(0) > quietIntake:
		return false
	case g.missing != "" && s.GPU.State != SourceAbsent && n.GPU.required(r):
		return false
	}
	return true
}

// crashes follows the deaths of the server soon after its start: by its supervisor's count where there is one, else by what is
// seen of it.
func (n State) crashes(p State, s Snapshot) State {
	out := make([]time.Duration, 0, len(p.Crashes))
	for _, age := range p.Crashes {
		if age += s.Elapsed; age < crashWithin {
			out = append(out, age)
		}
	}
	died := 0
	switch {
	case s.Child.Known:
		n.ChildFailures = s.Child.Failures
		if more := s.Child.Failures - min(p.ChildFailures, s.Child.Failures); p.Based && more > 0 {
			died = int(min(more, crashFew))
			if slices.ContainsFunc(p.Servers, func(s ServerState) bool { return s.ReadyFor >= crashSoon }) {
				died-- // the first of them had served for long
			}
		}
	default:
		for _, now := range n.Servers {
			was := serverState(p.Servers, now.URL)
			again := was.Mark.Set && now.Mark.Set && was.Mark.StartedAt != now.Mark.StartedAt
			if was.Ready && !was.Down && was.ReadyFor < crashSoon && (now.Down || again) {
				died++
			}
		}
	}
	for range died {
		out = append(out, 0)
	}
	n.Crashes = out[max(0, len(out)-2*crashFew):]
	return n
}

// readyFor follows how long this start of a server has been ready.
func (s ServerState) readyFor(was ServerState, r Server, elapsed time.Duration) time.Duration {
	switch {
	case s.Down, !s.Ready:
		return 0
	case was.Mark.Set && s.Mark.Set && was.Mark.StartedAt != s.Mark.StartedAt, !was.Ready, was.Down && r.Ready():
		return 0
	}
	return was.ReadyFor + elapsed
}
