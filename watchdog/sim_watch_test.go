package watchdog

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// watch is a watchdog that looks at a simulated pod as the loop does: ticks, two final looks, a ladder beside the ticks.
// The promises that it is held to are in sim_promises_test.go.
type watch struct {
	*sight
	rules  *Rules
	state  State
	last   Decision
	counts map[string]int
	at     time.Time
	tick   uint64
	start  int // counts the starts of the pod: its identity

	quote      Quote
	dry        bool
	guard      string // what forbids a stop at the moment
	guardFor   int
	late, wall time.Duration
	ladder     []StopReport
	ladderIn   int  // looks until the next report
	dies       bool // the accepted stop works
	leanFor    time.Duration
	trueQuiet  time.Duration
	blind      map[string]time.Duration
	quietUntil int // no arrivals before this tick
	alone      solitude
	lie        string
	failed     string
	trace      []string
}

const simBroken = 2 * time.Minute

func newWatch(rng *rand.Rand, pod int, counts map[string]int) *watch {
	w := &watch{counts: counts, at: fixtureEpoch, blind: map[string]time.Duration{}}
	w.sight = &sight{world: newWorld(rng, pod, func(what string) { counts[what]++ }), read: map[*simServer]page{}}
	w.gpuAbsent, w.socketsAbsent, w.hostAbsent = rng.IntN(6) == 0, rng.IntN(8) == 0, rng.IntN(8) == 0
	pick := func(of ...time.Duration) time.Duration { return of[rng.IntN(len(of))] }
	w.quote = fixtureQuote()
	w.quote.BreakEven = pick(time.Minute, 2*time.Minute, 4*time.Minute)
	w.rules = fixtureRules()
	w.rules.CheckInterval = pick(time.Second, 5*time.Second, 5*time.Second, 15*time.Second)
	w.rules.BrokenLimit = simBroken
	w.rules.WarnBefore = pick(0, fixtureWarn, 2*time.Minute)
	w.rules.MinRuntime = pick(0, time.Minute, 3*time.Minute)
	w.rules.GPUMode, w.rules.GPUPercent = ThresholdMode(rng.IntN(3)), 5
	w.dry = pod%5 == 2
	w.planned = w.rules.CheckInterval
	w.sidework.rules(w.rules)
	return w
}

// play plays so many ticks, or fewer where a promise was broken.
func (w *watch) play(ticks int) {
	for n := 0; n < ticks && w.failed == ""; n++ {
		w.disturb()
		elapsed := w.rules.CheckInterval + w.late
		w.look(elapsed, false)
		if w.last.Act && len(w.ladder) == 0 && w.failed == "" {
			w.finalLook()
		}
	}
}

// finalLook looks twice more, at least a second apart, and asks for the stop if both find quiet.
func (w *watch) finalLook() {
	for _, pause := range []time.Duration{w.between(time.Millisecond, 50*time.Millisecond), w.between(time.Second, 2*time.Second)} {
		if w.chance(0.02) {
			w.socketsFailed++
		}
		if signs := w.look(pause, true); !w.last.Act || w.failed != "" {
			w.counts["final look that held"]++
			return
		} else if len(signs) > 0 {
			w.fail("a stop is asked for under the signs of work %v", signs)
			return
		}
	}
	w.counts["stop asked"]++
	w.ladder, w.ladderIn, w.dies = []StopReport{{Phase: StopAsked}}, 0, w.chance(0.6)
	result := StopReport{Phase: StopAccepted, Target: "runpod", Rung: "v2_action", Detail: "accepted"}
	switch {
	case w.dry:
		result.Phase = StopWouldHave
	case w.chance(0.3):
		result = StopReport{Phase: StopRefused, Target: "runpod", Detail: "status 500", RetryAfter: time.Duration(w.IntN(2)) * 20 * time.Second}
	}
	w.ladder = append(w.ladder, result)
}

// news is the next report of the ladder.
func (w *watch) news() (report StopReport) {
	if len(w.ladder) == 0 {
		return report
	}
	if w.ladderIn > 0 {
		w.ladderIn--
		return report
	}
	report, w.ladder, w.ladderIn = w.ladder[0], w.ladder[1:], w.IntN(3)
	return report
}

// look takes one look, lets the core decide, and checks what it decided.
func (w *watch) look(elapsed time.Duration, final bool) (signs []string) {
	w.live(elapsed)
	w.lean = w.lean && !final && w.leanFor < 15*time.Second
	s, signs := w.snapshot(elapsed)
	if w.leanFor += elapsed; !w.spared {
		w.leanFor = 0
	} else {
		w.counts["page spared"]++
	}
	if !w.state.Based {
		s.Elapsed = 0 // the first look of a process
	}
	w.tick++
	w.at = w.at.Add(elapsed + w.wall)
	s.Tick, s.At, s.Final, s.WallStep, s.Quote, s.Stop = w.tick, w.at, final, w.wall, w.quote, w.news()
	s.StartID = fmt.Sprintf("start-%d", w.start)
	w.forbid(&s)
	before := w.state
	w.state, w.last = w.rules.Decide(before, s)
	w.remember(s, signs)
	w.check(before, s, signs)
	w.lean = false
	for _, b := range w.last.Reasons {
		w.lean = w.lean || b.Code == GPUActive || b.Code == ConnectionActive
		w.counts["reason "+string(b.Code)]++
	}
	w.counts["activity "+w.last.Activity.String()]++
	w.counts["verdict "+w.last.Verdict.String()]++
	w.late, w.wall = 0, 0
	if w.last.Activity == Busy && len(w.ladder) > 0 {
		w.counts["attempt given up under work"]++
		w.ladder[len(w.ladder)-1] = StopReport{Phase: StopRefused, Target: "runpod", Detail: "given up"}
	}
	if s.Stop.Phase == StopAccepted || s.Stop.Phase == StopWouldHave {
		w.afterStop(s.Stop.Phase)
	}
	return signs
}

// forbid applies the guard of the moment.
func (w *watch) forbid(s *Snapshot) {
	s.Pod.Locked = Known(w.guard == "locked")
	s.Quote.NoSaving = w.guard == "no saving"
	if w.guard == "identity unknown" {
		s.StartID = ""
	}
	w.rules.Armed, w.rules.Unarmed, w.rules.Refused = w.guard != "not armed", "no target", ""
	w.rules.TerminalGuard = time.Minute
	w.rules.Keep = func(at time.Time) (time.Time, bool) { return at.Add(time.Minute), w.guard == "hours" }
	switch w.guard {
	case "target refused":
		w.rules.Refused = "serverless"
	case "hold":
		s.People.HoldUntil, s.People.HoldBy = s.At.Add(time.Minute), "ann"
	case "undone":
		s.RevertedUntil, s.Reverted = s.At.Add(time.Minute), "two stops were undone"
	case "terminal":
		s.People.TerminalUsed, s.People.Terminal = Known(time.Second), "pts/0"
	}
}

// afterStop is what the provider's yes leads to: mostly the end of this start, and the next one under a new identity.
func (w *watch) afterStop(phase StopPhase) {
	w.counts["alone until the stop"] += w.alone.end()
	switch {
	case phase == StopWouldHave:
		w.counts["dry stop"]++
	case !w.dies:
		w.counts["accepted stop that did nothing"]++
		w.truth()
		w.quietUntil = int(w.tick) + 2 + w.IntN(12) // then work may overtake it
	default:
		w.counts["stop proven"]++
		w.truth()
		for _, s := range w.servers {
			s.restart(w.between(5*time.Second, 3*time.Minute))
		}
		w.start++
		w.resume()
		w.read = map[*simServer]page{}
		w.trueQuiet, w.ladder = 0, nil
		w.quote.BreakEven = max(w.quote.BreakEven, time.Minute)
	}
}

// resume stores the state and takes it up again, as a new process does.
func (w *watch) resume() {
	text, err := json.Marshal(w.state)
	if err != nil {
		w.fail("store the state: %v", err)
		return
	}
	var stored State
	if err := json.Unmarshal(text, &stored); err != nil {
		w.fail("read the stored state: %v", err)
		return
	}
	if w.state = Resume(stored, fmt.Sprintf("start-%d", w.start)); len(w.state.Servers) == 0 && len(w.servers) > 0 {
		w.read = map[*simServer]page{} // nothing was kept to compare with
		w.trueQuiet = 0
	}
}

func (w *watch) fail(format string, args ...any) {
	if w.failed == "" {
		w.failed = fmt.Sprintf(format, args...) + "\n" + strings.Join(w.trace, "") + describeDecision(w.last)
	}
}

// remember keeps the last looks for the report of a failure.
func (w *watch) remember(s Snapshot, signs []string) {
	d := w.last
	line := fmt.Sprintf("%4d %-9s %-7s %-5s idle=%-8s %-20s signs=%v lie=%q guard=%q stop=%d alone=%s/%s", s.Tick, s.Elapsed.Round(time.Millisecond), d.Activity, d.Verdict, d.Idle.Round(time.Millisecond), d.Reason(), signs, w.lie, w.guard, s.Stop.Phase, w.alone.passed, w.alone.allowed)
	for _, srv := range s.Servers {
		line += fmt.Sprintf(" [out=%d health=%d]", srv.Outcome, srv.Health)
	}
	for _, b := range d.Reasons {
		line += " " + b.Detail + ";"
	}
	line += fmt.Sprintf(" gpu=%d sockets=%d host=%d\n", s.GPU.State, s.Sockets.State, s.Host.State)
	w.trace = append(w.trace, line)
	if len(w.trace) > 120 {
		w.trace = slices.Delete(w.trace, 0, 40)
	}
}
