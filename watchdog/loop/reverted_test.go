package loop

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// life is one start of a pod that begins so long after the last one ended, and lasts until its stop was accepted or that long.
func life(t *testing.T, id string, kept memory.Contents, after, most time.Duration, change func(*stage)) *stage {
	t.Helper()
	time.Sleep(after)
	st := newStage(func(c *Config) { c.Kept, c.Identity.StartID = kept, id })
	if change != nil {
		change(st)
	}
	st.loop.Introduce(t.Context())
	defer st.begin(t)()
	for began := time.Now(); time.Since(began) < most; time.Sleep(time.Second) {
		if stop := st.memory.kept().Stop; stop != nil && stop.StartID == id && stop.Result == "accepted" {
			break
		}
	}
	return st
}

// stopped says whether this life ended with a stop.
func stopped(st *stage) bool { return len(st.provider.times()) > 0 }

func by(who string, err error) func(*stage) {
	return func(st *stage) {
		st.loop.WhoUndid = func(context.Context) (string, error) { return who, err }
	}
}

func TestTwoStopsThatWereUndoneDisarmForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := life(t, "start-1", memory.Contents{}, 0, 2*time.Minute, nil)
		second := life(t, "start-2", first.memory.kept(), 30*time.Second, 2*time.Minute, by("ann with kubectl-scale", nil))
		if !stopped(first) || !stopped(second) {
			t.Fatal("one undone stop is no row yet, and the pod was not stopped")
		}
		third := life(t, "start-3", second.memory.kept(), 30*time.Second, 10*time.Minute, by("keda", nil))
		v := third.loop.Latest()
		if stopped(third) || v.Decision.Reason() != watchdog.StopReverted {
			t.Fatalf("after two stops that were undone: %s, stop asked for at %v", v.Decision.Reason(), third.provider.times())
		}
		if detail := v.Decision.Reasons[0].Detail; !strings.Contains(detail, "2 stops in a row") || !strings.Contains(detail, "keda") || strings.Contains(detail, "ann") {
			t.Errorf("the reason is %q, want how many and who did it last", detail)
		}
		if until := v.Snapshot.RevertedUntil; until.Sub(third.pod.began) != 24*time.Hour {
			t.Errorf("disarmed until %s, want a day from this start", until)
		}
		if told := third.people.of(notify.StopReverted); len(told) != 1 || !strings.Contains(told[0].Text, "keda") {
			t.Errorf("told %+v, want once, with who did it", told)
		}
		// The watchdog alone is started again: the same holds, and nobody is asked anew.
		again := life(t, "start-3", third.memory.kept(), time.Minute, 5*time.Minute, by("somebody who touched it since", nil))
		if v := again.loop.Latest(); stopped(again) || v.Decision.Reason() != watchdog.StopReverted || strings.Contains(v.Decision.Reasons[0].Detail, "since") {
			t.Errorf("after a restart of the watchdog: %s (%s)", v.Decision.Reason(), v.Decision.Reasons[0].Detail)
		}
		later := life(t, "start-3", again.memory.kept(), 24*time.Hour, 5*time.Minute, nil)
		if !stopped(later) {
			t.Errorf("a day later nothing is stopped: %s", later.loop.Latest().Decision.Reason())
		}
	})
}

func TestARequestLiftsTheDisarming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := memory.Contents{Undone: memory.Undone{Count: 2, Until: time.Now().Add(time.Hour), By: "keda"}}
		st := life(t, "start-1", kept, 0, 5*time.Minute, func(st *stage) {
			st.pod.busy = func(age time.Duration) bool { return age > 2*time.Minute && age < 2*time.Minute+10*time.Second }
		})
		if asked := st.provider.times(); len(asked) != 1 || asked[0] < 3*time.Minute {
			t.Errorf("stop was asked for at %v, want once, a minute of idleness after the request", asked)
		}
		if u := st.memory.kept().Undone; u != (memory.Undone{}) {
			t.Errorf("the memory still holds %+v", u)
		}
	})
}

func TestARequestBetweenTwoStopsBreaksTheRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := life(t, "start-1", memory.Contents{}, 0, 2*time.Minute, nil)
		second := life(t, "start-2", first.memory.kept(), 30*time.Second, 3*time.Minute, func(st *stage) {
			st.pod.busy = func(age time.Duration) bool { return age > 20*time.Second && age < 30*time.Second }
		})
		third := life(t, "start-3", second.memory.kept(), 30*time.Second, 3*time.Minute, nil)
		if !stopped(first) || !stopped(second) || !stopped(third) {
			t.Errorf("stopped %v, %v, %v; want all three: the second start was meant", stopped(first), stopped(second), stopped(third))
		}
	})
}

func TestAStartAfterSixMinutesUndoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := life(t, "start-1", memory.Contents{}, 0, 2*time.Minute, nil)
		second := life(t, "start-2", first.memory.kept(), 30*time.Second, 2*time.Minute, nil)
		if n := second.memory.kept().Undone.Count; n != 1 {
			t.Fatalf("%d stops undone, want one", n)
		}
		third := life(t, "start-3", second.memory.kept(), 6*time.Minute, 2*time.Minute, nil)
		if n := third.memory.kept().Undone.Count; n != 0 || !stopped(third) {
			t.Errorf("%d stops undone after a start six minutes later, stopped %v; want none, and the stop", n, stopped(third))
		}
	})
}

func TestWhatAPersonStoppedTheyMayStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := memory.Contents{}
		for _, id := range []string{"start-1", "start-2", "start-3", "start-4"} {
			st := newStage(func(c *Config) { c.Kept, c.Identity.StartID = kept, id })
			if _, err := st.asked(t, 22*time.Second); err != nil {
				t.Fatalf("%s: %v", id, err)
			}
			kept = st.memory.kept()
			if kept.Undone.Count != 0 {
				t.Fatalf("%s: %+v", id, kept.Undone)
			}
			time.Sleep(20 * time.Second)
		}
	})
}

func TestAPodOlderThanTheStopUndidNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Minute)
		kept := memory.Contents{Stop: &memory.Stop{RequestedAt: time.Now().Add(-time.Minute), StartID: "start-0", Target: "runpod", Result: "accepted"}}
		st := newStage(func(c *Config) {
			c.Kept, c.Begun.ContainerAge = kept, watchdog.Known(5*time.Minute)
		})
		st.run(t, 10*time.Second)
		if n := st.memory.kept().Undone.Count; n != 0 {
			t.Errorf("%d stops undone by processes that are older than the stop", n)
		}
	})
}

func TestWhoDidItNeedNotBeKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := life(t, "start-1", memory.Contents{}, 0, 2*time.Minute, nil)
		second := life(t, "start-2", first.memory.kept(), 30*time.Second, 2*time.Minute, nil)
		third := life(t, "start-3", second.memory.kept(), 30*time.Second, 2*time.Minute, by("", errors.New("403")))
		if v := third.loop.Latest(); v.Decision.Reason() != watchdog.StopReverted || strings.Contains(v.Decision.Reasons[0].Detail, "by") {
			t.Errorf("%s: %q, want it disarmed without a name", v.Decision.Reason(), v.Decision.Reasons[0].Detail)
		}
		if third.logs.FilterMessage("who undid the stop is not known").Len() != 1 {
			t.Error("the log does not say why nobody is named")
		}
	})
}

// A clock that was ahead when the stops were undone must not disarm for longer than a day of the right one.
func TestAClockThatWasAheadDisarmsForADayAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := memory.Contents{Undone: memory.Undone{Count: 2, Until: time.Now().Add(365 * 24 * time.Hour)}}
		st := life(t, "start-1", kept, 0, 26*time.Hour, nil)
		asked := st.provider.times()
		if len(asked) == 0 || asked[0] < 24*time.Hour || asked[0] > 24*time.Hour+5*time.Minute {
			t.Errorf("stop was asked for at %v, want it a day later", asked)
		}
	})
}
