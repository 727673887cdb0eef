package loop

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestAnIdlePodIsStoppedOnceAfterTwoFinalLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.run(t, 85*time.Second)
		asked := st.provider.times()
		if len(asked) != 1 {
			t.Fatalf("stop was asked for %d times, want once: %v", len(asked), asked)
		}
		if at := asked[0]; at < 60*time.Second || at > 60*time.Second+3*5*time.Second+2*time.Second {
			t.Errorf("stop was asked for after %s, want a minute, the final look and at most three ticks", at)
		}
		var finals []time.Duration
		for _, look := range st.pod.lookAges() {
			if look >= 60*time.Second && look <= asked[0] {
				finals = append(finals, look)
			}
		}
		if len(finals) != 3 || finals[2]-finals[1] < time.Second {
			t.Errorf("looks before the stop at %v, want the tick's and two final ones at least a second apart", finals)
		}
		if got := st.loop.Deciding().Reasons[0].Code; got != watchdog.ThresholdReached {
			t.Errorf("whoever is asked is told %s, want what led to the stop, not what the ticks say since", got)
		}
		if got := st.memory.kept().Stop; got == nil || got.Result != "accepted" || got.Rung != "v2_action" {
			t.Errorf("memory holds stop %+v, want it accepted by v2_action", got)
		}
	})
}

func TestWorkBetweenTheFinalLooksHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.pod.busy = func(age time.Duration) bool { return age > 60*time.Second+500*time.Millisecond && age < 62*time.Second }
		st.run(t, 100*time.Second)
		if asked := st.provider.times(); len(asked) != 0 {
			t.Fatalf("stop was asked for at %v although work came between the final looks", asked)
		}
		if stop := st.memory.kept().Stop; stop != nil {
			t.Errorf("memory still holds the stop that never was: %+v", stop)
		}
		last := st.decisions()[len(st.decisions())-1]
		if last["activity"] != "quiet" || last["verdict"] != "hold" {
			t.Errorf("after the work the pod is %v/%v, want quiet/hold with a new gap", last["activity"], last["verdict"])
		}
	})
}

func TestAnAcceptedStopThatDoesNotComeIsTriedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.run(t, 10*time.Minute)
		asked := st.provider.times()
		if len(asked) < 5 {
			t.Fatalf("stop was asked for %d times in ten minutes: %v", len(asked), asked)
		}
		for i := 1; i < len(asked); i++ {
			least := proofTime + min(5*time.Second<<(i-1), 5*time.Minute)
			if gap := asked[i] - asked[i-1]; gap < least || gap > least+15*time.Second {
				t.Errorf("try %d came %s after the one before, want %s and at most three ticks more", i+1, gap, least)
			}
		}
		v := st.loop.Latest()
		if v.Counters.UnprovenFor < 8*time.Minute {
			t.Errorf("unproven for %s, want since the first acceptance", v.Counters.UnprovenFor)
		}
		if st.logs.FilterMessage("alarm").FilterField(alarmField(watchdog.AlarmUnproven)).Len() == 0 {
			t.Error("no alarm says that the stop is unproven")
		}
	})
}

func TestWorkAfterAcceptanceEndsTheAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.pod.busy = func(age time.Duration) bool { return age > 70*time.Second && age < 76*time.Second }
		st.run(t, 2*time.Minute)
		if asked := st.provider.times(); len(asked) != 1 {
			t.Fatalf("stop was asked for at %v, want once: work overtook it", asked)
		}
		if got := st.memory.kept().Stop; got == nil || got.Result != "overtaken" {
			t.Errorf("memory holds %+v, want the stop overtaken", got)
		}
		found := false
		for _, d := range st.decisions() {
			found = found || d["reason"] == "overtaken"
		}
		if !found {
			t.Error("no decision line names overtaken")
		}
	})
}

func TestWorkWhileTheLadderIsClimbedAbandonsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.provider.takes = time.Minute
		st.pod.busy = func(age time.Duration) bool { return age > 64*time.Second && age < 70*time.Second }
		st.run(t, 90*time.Second)
		if len(st.provider.ended) != 1 {
			t.Fatalf("the ladder was abandoned %d times, want once: a request ran", len(st.provider.ended))
		}
	})
}

func TestDryRunNeverAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dry := &fakeProvider{answer: watchdog.StopReport{Phase: watchdog.StopWouldHave, Target: "runpod"}}
		st := newStage(func(c *Config) { c.Identity.DryRun, c.Stopper = true, dry })
		dry.began = st.pod.began
		st.run(t, 10*time.Minute)
		if n := len(dry.times()); n != 1 {
			t.Errorf("the dry stopper was asked %d times in one gap, want once", n)
		}
		ticks := 0
		for _, d := range st.decisions() {
			if d["verdict"] == "stop" {
				t.Errorf("a dry run logged the verdict stop: %v", d)
			}
			if d["verdict"] == "would_stop" && d["at"] == "tick" {
				ticks++
			}
		}
		if ticks == 0 || ticks > 3 {
			t.Errorf("would_stop stands on %d lines of ticks, want one and its heartbeats", ticks)
		}
	})
}

func TestAHungDiskDoesNotKeepAPodAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.memory.hung = true
		st.run(t, 90*time.Second)
		asked := st.provider.times()
		if len(asked) != 1 || asked[0] > 60*time.Second+3*5*time.Second+7*time.Second {
			t.Fatalf("with a hung disk stop was asked for at %v, want once, five seconds later at most", asked)
		}
		if st.logs.FilterMessage("stop goes on without its memory").Len() != 1 {
			t.Error("the log does not say that the memory was not waited for")
		}
	})
}

func TestNothingArmedNeverStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) {
			c.Stopper, c.Rules.Armed, c.Rules.Unarmed = nil, false, "no provider"
		})
		st.run(t, 5*time.Minute)
		v := st.loop.Latest()
		if v.Decision.Reason() != watchdog.NotArmed || v.Decision.Verdict != watchdog.Hold {
			t.Errorf("decision is %s/%s, want hold/not_armed", v.Decision.Verdict, v.Decision.Reason())
		}
		if v.Decision.Idle < 4*time.Minute {
			t.Errorf("idle clock reads %s, want it to run all the same", v.Decision.Idle)
		}
	})
}

func TestTheClockGoesOnAfterARestartOfTheWatchdogAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newStage(nil)
		first.run(t, 42*time.Second)
		kept := first.memory.kept()
		time.Sleep(20 * time.Second) // the watchdog is away
		second := newStage(func(c *Config) { c.Kept = kept })
		second.run(t, 6*time.Second)
		if got := second.loop.Latest().Decision.Idle; got != 45*time.Second {
			t.Errorf("idle clock reads %s, want 40 s from before and 5 s of now, nothing of the time away", got)
		}
		other := newStage(func(c *Config) { c.Kept, c.Identity.StartID = kept, "start-2" })
		other.run(t, 6*time.Second)
		if got := other.loop.Latest().Decision.Idle; got != 5*time.Second {
			t.Errorf("idle clock of a resumed pod reads %s, want 5 s", got)
		}
	})
}

func TestANewStartProvesTheLastStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := memory.Contents{Stop: &memory.Stop{RequestedAt: time.Now().Add(-time.Hour), StartID: "start-0", Target: "runpod", Result: "accepted", Reason: "threshold_reached"}}
		st := newStage(func(c *Config) { c.Kept = kept })
		st.run(t, time.Second)
		if got := st.loop.Latest().LastStop; got == nil || got.Proof != "proven" {
			t.Errorf("last stop is %+v, want it proven", got)
		}
		same := newStage(func(c *Config) { c.Kept, c.Identity.StartID = kept, "start-0" })
		same.run(t, time.Second)
		if got := same.loop.Latest().LastStop; got == nil || got.Proof == "proven" {
			t.Errorf("last stop is %+v under the same identity, want it unproven", got)
		}
	})
}

func TestAColdStartIsMeasuredAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) {
			c.Rules.CheckInterval = time.Second
			c.Begun = costmodel.Begun{NewIdentity: true, ContainerAge: watchdog.Known(500 * time.Hour)}
		})
		loading := &loadingPod{fakePod: st.pod, ready: 7 * time.Second}
		st.loop.Looker = loading
		st.run(t, 20*time.Second)
		starts := st.memory.kept().Starts
		if len(starts) != 1 || starts[0].Kind != costmodel.PodStart || starts[0].Ready < 7*time.Second || starts[0].Ready > 8*time.Second {
			t.Fatalf("measured starts %+v, want one pod start of 7 s, at most a tick longer", starts)
		}
	})
}

// loadingPod refuses until its server is ready.
type loadingPod struct {
	*fakePod
	ready time.Duration
}

func (p *loadingPod) Look(ctx context.Context, ask askType) watchdog.Snapshot {
	s := p.fakePod.Look(ctx, ask)
	if time.Since(p.began) < p.ready {
		s.Servers = []watchdog.Server{{URL: s.Servers[0].URL, Outcome: watchdog.OutcomeRefused}}
	}
	return s
}

func TestAPriceFromTheProviderArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) {
			c.Price = watchdog.Maybe[float64]{}
			c.Provider = pricedLater{time.Now().Add(90 * time.Second)}
			c.Rules.Threshold = func(watchdog.Quote) time.Duration { return time.Hour }
		})
		st.run(t, 3*time.Minute)
		var priced, unpriced int
		for _, d := range st.decisions() {
			if d["price_usd_per_hour"] == nil {
				unpriced++
			} else {
				priced++
			}
		}
		if unpriced == 0 || priced != 1 {
			t.Errorf("%d lines without a price and %d with one, want some and exactly one when it arrives", unpriced, priced)
		}
		if got := st.loop.Latest().Money.PriceSource; got != "provider" {
			t.Errorf("price source is %q, want provider", got)
		}
	})
}

type pricedLater struct{ from time.Time }

func (p pricedLater) Describe(context.Context) (watchdog.Pod, Permission, string) {
	if time.Now().Before(p.from) {
		return watchdog.Pod{}, PermissionUnproven, "the key may not read"
	}
	return watchdog.Pod{PriceUSDPerHour: watchdog.Known(2.0)}, PermissionUnproven, ""
}

// A retry is a stop of its own: a provider that ends us before its answer is read leaves it to the next start, which must find that it
// was asked for.
func TestARetryIsInTheMemoryBeforeItIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.provider.answer = watchdog.StopReport{Phase: watchdog.StopRefused, Target: "runpod", Detail: "500"}
		var at []string
		st.provider.at = func() { at = append(at, st.memory.kept().Stop.Result) }
		st.run(t, 2*time.Minute)
		if len(at) < 2 || slices.ContainsFunc(at, func(result string) bool { return result != "asked" }) {
			t.Errorf("when it was asked, the memory held stops %q, want each asked", at)
		}
		if got := st.memory.kept().Stop.Result; got != "refused" {
			t.Errorf("in the end it holds one that is %q, want refused", got)
		}
	})
}

// The age of a start is told by what has passed, and the stored beginning follows a clock that was set meanwhile.
func TestTheBeginningFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) {
			c.Kept.Began = memory.Began{StartID: "start-1", At: time.Now().Add(-time.Hour)}
		})
		st.loop.kept.Began.At = time.Now().Add(-9 * time.Hour) // as if the clock had been set by eight hours since
		st.loop.keep(false)
		if got := time.Since(st.memory.kept().Began.At); got != time.Hour {
			t.Errorf("the start is stored as %s old, want the hour that has passed", got)
		}
	})
}
