package loop

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestAHoldIsDurableWhenItIsAnsweredAndEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		end := st.begin(t)
		time.Sleep(20 * time.Second)
		asked := time.Now()
		answer, err := st.loop.Hold(t.Context(), orders.Hold{For: 2 * time.Minute, By: "root", Why: "debugging"})
		if err != nil {
			t.Fatal(err)
		}
		until := asked.Add(2 * time.Minute)
		if held := st.memory.synced.Leases.Holds; len(held) != 1 || !held[0].Until.Equal(until) || held[0].By != "root" {
			t.Errorf("the memory holds %+v when the order is answered, want root's hold until %s", held, until)
		}
		if !answer.Until.Value.Equal(until) || len(answer.Holds) != 1 || strings.Contains(answer.Text, "but") {
			t.Errorf("answered %+v, want the hold's end, and no doubt", answer)
		}
		if v := st.loop.Latest(); v.Decision.Reason() != watchdog.HoldLease || !v.Decision.At.Equal(asked) {
			t.Errorf("answered beside the decision %s of %s, want hold_lease at once", v.Decision.Reason(), v.Decision.At)
		}
		time.Sleep(119 * time.Second)
		if asked := st.provider.times(); len(asked) != 0 || len(st.people.of(notify.HoldEnded)) != 0 {
			t.Fatalf("within the hold stop was asked for at %v, and its end told %d times", asked, len(st.people.of(notify.HoldEnded)))
		}
		time.Sleep(21 * time.Second)
		end()
		told := st.people.of(notify.HoldEnded)
		if len(told) != 1 || !strings.Contains(told[0].Text, "root") || !strings.Contains(told[0].Text, "debugging") {
			t.Errorf("told of the hold's end: %+v, want once, with who and why", told)
		}
		if n := len(st.memory.kept().Leases.Holds); n != 0 {
			t.Errorf("the memory still has %d holds", n)
		}
		if asked := st.provider.times(); len(asked) != 1 || asked[0] < 150*time.Second {
			t.Errorf("stop was asked for at %v, want once, ten seconds of a new warning after the hold", asked)
		}
	})
}

func TestAHoldOutlivesTheWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newStage(nil)
		end := first.begin(t)
		time.Sleep(20 * time.Second)
		if _, err := first.loop.Hold(t.Context(), orders.Hold{For: 10 * time.Minute, By: "root"}); err != nil {
			t.Fatal(err)
		}
		end()
		for start, id := range map[string]string{"the same start": "start-1", "another start of the pod": "start-2"} {
			next := newStage(func(c *Config) { c.Kept, c.Identity.StartID = first.memory.kept(), id })
			next.run(t, 2*time.Minute)
			if v := next.loop.Latest(); v.Decision.Reason() != watchdog.HoldLease || len(next.provider.times()) != 0 {
				t.Errorf("%s: %s, stop asked for at %v; want it held", start, v.Decision.Reason(), next.provider.times())
			}
		}
		time.Sleep(10 * time.Minute)
		last := newStage(func(c *Config) { c.Kept = first.memory.kept() })
		last.run(t, 6*time.Second)
		if n := len(last.people.of(notify.HoldEnded)); n != 1 || last.loop.Latest().Decision.Reason() == watchdog.HoldLease {
			t.Errorf("a hold that ended while nobody watched was told %d times, decision %s", n, last.loop.Latest().Decision.Reason())
		}
	})
}

func TestReleaseEndsWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(20 * time.Second)
		for _, by := range []string{"root", "ann"} {
			if _, err := st.loop.Hold(t.Context(), orders.Hold{For: time.Hour, By: by}); err != nil {
				t.Fatal(err)
			}
		}
		own, err := st.loop.Release(t.Context(), orders.Release{By: "ann", Own: true})
		if err != nil || len(own.Holds) != 1 || own.Holds[0].By != "root" {
			t.Errorf("ann's release left %+v (%v), want root's hold", own.Holds, err)
		}
		all, err := st.loop.Release(t.Context(), orders.Release{By: "ann"})
		if err != nil || len(all.Holds) != 0 || all.Text != "released" || len(st.memory.kept().Leases.Holds) != 0 {
			t.Errorf("release left %+v in the answer %q and %+v in the memory (%v)", all.Holds, all.Text, st.memory.kept().Leases, err)
		}
		if _, err := st.loop.Postpone(t.Context(), orders.Postpone{For: time.Hour, By: "root"}); err != nil {
			t.Fatal(err)
		}
		if own, err := st.loop.Release(t.Context(), orders.Release{By: "ann", Own: true}); err != nil || own.Text != "no hold stood" {
			t.Errorf("ann's own release of root's postponement was answered %q (%v)", own.Text, err)
		}
		if off, err := st.loop.Release(t.Context(), orders.Release{By: "ann"}); err != nil || off.Text != "released" {
			t.Errorf("the release of a postponement was answered %q (%v)", off.Text, err)
		}
		none, err := st.loop.Release(t.Context(), orders.Release{By: "ann"})
		if err != nil || none.Text != "no hold stood" {
			t.Errorf("a release of nothing was answered %q (%v)", none.Text, err)
		}
		if reason := st.loop.Latest().Decision.Reason(); reason != watchdog.BelowThreshold {
			t.Errorf("after the release it is %s, want below_threshold", reason)
		}
		if n := len(st.people.of(notify.HoldEnded)); n != 0 {
			t.Errorf("people were told %d times that a hold ended which they ended themselves", n)
		}
	})
}

func TestPostponeMovesTheAnnouncedStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(52 * time.Second)
		announced := st.loop.Latest().Decision
		if announced.Verdict != watchdog.Warn {
			t.Fatalf("the stop is not announced yet: %s", announced.Verdict)
		}
		answer, err := st.loop.Postpone(t.Context(), orders.Postpone{For: time.Minute, By: "root"})
		if err != nil {
			t.Fatal(err)
		}
		want := announced.StopAt.Value.Add(time.Minute)
		if got := answer.Until.Value; got.Sub(want).Abs() > time.Second || !st.memory.kept().Leases.PostponedUntil.Equal(got) {
			t.Errorf("no stop before %s, in the memory %s; want a minute after the announced %s", got, st.memory.kept().Leases.PostponedUntil, announced.StopAt.Value)
		}
		if n := len(st.people.of(notify.StopTakenBack)); n != 1 {
			t.Errorf("the announcement was taken back %d times, want once", n)
		}
		time.Sleep(68*time.Second + 16*time.Second)
		if asked := st.provider.times(); len(asked) != 1 || asked[0] < 130*time.Second {
			t.Errorf("stop was asked for at %v, want once, after the postponement and a new warning", asked)
		}
		if n := len(st.people.of(notify.StopAnnounced)); n != 2 {
			t.Errorf("announced %d times, want again after the postponement", n)
		}
	})
}

func TestAnOrderThatCannotBeMeantChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(12 * time.Second)
		for name, err := range map[string]error{
			"hold":     second(st.loop.Hold(t.Context(), orders.Hold{For: 25 * time.Hour, By: "root"})),
			"postpone": second(st.loop.Postpone(t.Context(), orders.Postpone{For: 0, By: "root"})),
		} {
			if orders.KindOf(err) != orders.Wrong {
				t.Errorf("%s: %v, want wrong use", name, err)
			}
		}
		if l := st.loop.Latest().Leases; len(l.Holds) != 0 || !l.PostponedUntil.IsZero() {
			t.Errorf("leases stand: %+v", l)
		}
	})
}

func second(_ orders.Answer, err error) error { return err }

func TestAHoldInTheLastSecondBeforeAStopKeepsThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(60*time.Second + 500*time.Millisecond) // between the two final looks
		answer, err := st.loop.Hold(t.Context(), orders.Hold{For: time.Hour, By: "root"})
		if err != nil || strings.Contains(answer.Text, "but") {
			t.Fatalf("answered %+v, %v", answer, err)
		}
		time.Sleep(30 * time.Second)
		if asked := st.provider.times(); len(asked) != 0 {
			t.Errorf("stop was asked for at %v although the hold came before it", asked)
		}
		if stop := st.memory.kept().Stop; stop != nil {
			t.Errorf("the memory holds a stop that was never asked for: %+v", stop)
		}
		if reason := st.loop.Latest().Decision.Reason(); reason != watchdog.HoldLease {
			t.Errorf("it is %s, want hold_lease", reason)
		}
	})
}

func TestAnOrderInTheLastSecondDoesNotDoubleTheStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(60*time.Second + 500*time.Millisecond) // between the two final looks
		if _, err := st.loop.Release(t.Context(), orders.Release{By: "root"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if asked := st.provider.times(); len(asked) != 1 || asked[0] != 61*time.Second {
			t.Errorf("stop was asked for at %v, want once, when it was due", asked)
		}
	})
}

func TestAHoldWhileTheLadderIsClimbedEndsThat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.provider.takes = 30 * time.Second
		defer st.begin(t)()
		time.Sleep(65 * time.Second)
		if len(st.provider.times()) != 1 {
			t.Fatal("the ladder is not being climbed")
		}
		answer, err := st.loop.Hold(t.Context(), orders.Hold{For: time.Hour, By: "root"})
		if err != nil || !strings.Contains(answer.Text, "may come nevertheless") {
			t.Errorf("answered %q, %v; want that a stop was asked for", answer.Text, err)
		}
		time.Sleep(2 * time.Minute)
		if len(st.provider.ended) != 1 || len(st.provider.times()) != 1 {
			t.Errorf("the ladder was abandoned %d times, and begun at %v; want once each", len(st.provider.ended), st.provider.times())
		}
		if stop := st.memory.kept().Stop; stop == nil || stop.Result != "refused" {
			t.Errorf("the memory holds %+v, want the stop given up", stop)
		}
		if v := st.loop.Latest(); v.Decision.Reason() != watchdog.HoldLease || len(v.Decision.Alarms) != 0 {
			t.Errorf("it is %s with alarms %v, want hold_lease and none", v.Decision.Reason(), v.Decision.Alarms)
		}
	})
}

func TestAHoldAfterAnAcceptedStopSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(75 * time.Second)
		answer, err := st.loop.Hold(t.Context(), orders.Hold{For: time.Hour, By: "root"})
		if err != nil || !strings.Contains(answer.Text, "may come nevertheless") {
			t.Errorf("answered %q, %v; want that a stop was accepted", answer.Text, err)
		}
		time.Sleep(5 * time.Minute)
		if asked := st.provider.times(); len(asked) != 1 {
			t.Errorf("stop was asked for at %v, want not again: somebody holds the pod", asked)
		}
	})
}

func TestAHoldUnderACapSaysThatItIsWorthLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) { c.Rules.MaxRuntime = time.Minute })
		defer st.begin(t)()
		time.Sleep(52 * time.Second)
		answer, err := st.loop.Hold(t.Context(), orders.Hold{For: time.Hour, By: "root"})
		if err != nil || !strings.Contains(answer.Text, "max_runtime") {
			t.Errorf("answered %q, %v; want the cap named", answer.Text, err)
		}
		if told := st.people.of(notify.StopAnnounced); len(told) != 1 || strings.Contains(told[0].Text, "hold 2h") {
			t.Errorf("announced %+v, want once, and no word that a hold would help", told)
		}
		time.Sleep(20 * time.Second)
		if asked := st.provider.times(); len(asked) != 1 {
			t.Errorf("stop was asked for at %v, want once by the cap", asked)
		}
	})
}

func TestOrdersAtTheEndAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.pod.change = func(time.Duration, *watchdog.Snapshot) { time.Sleep(time.Second) } // a look that lasts
		end := st.begin(t)
		time.Sleep(5*time.Second + 500*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		answered := make(chan error, 1)
		go func() {
			_, err := st.loop.Hold(ctx, orders.Hold{For: time.Hour, By: "root"})
			answered <- err
		}()
		synctest.Wait()
		end()
		err := <-answered
		if err == nil {
			if len(st.memory.kept().Leases.Holds) != 1 {
				t.Error("answered that the pod is held, and the memory does not have it")
			}
		} else if orders.KindOf(err) != orders.Unreachable {
			t.Errorf("answered %v, want that it was not told", err)
		}
	})
}

func TestAnOrderAfterTheEndIsNotCarriedOut(t *testing.T) {
	st := newStage(nil)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	answer := make(chan told, 1)
	st.loop.obey(ended, order{func(context.Context, time.Time) (orders.Answer, error) {
		t.Error("it was carried out, and no look follows that would know of it")
		return orders.Answer{}, nil
	}, answer})
	if got := <-answer; orders.KindOf(got.err) != orders.Unreachable {
		t.Errorf("answered %v, want that it was not told", got.err)
	}
}

func TestStandingBeforeAndAfterTheFirstLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		if _, err := st.loop.Standing(t.Context()); orders.KindOf(err) != orders.Unreachable {
			t.Errorf("before the first look: %v, want not reachable", err)
		}
		defer st.begin(t)()
		time.Sleep(12 * time.Second)
		answer, err := st.loop.Standing(t.Context())
		if err != nil || !strings.Contains(answer.Text, "hold: below_threshold") || !answer.StopAt.Known {
			t.Errorf("answered %+v, %v", answer, err)
		}
	})
}

func TestTodaysSpendingOutlivesTheWatchdogAndEndsAtMidnight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The bubble begins at midnight, UTC, so this is the evening.
		time.Sleep(23 * time.Hour)
		var kept memory.Contents
		for range 3 {
			st := newStage(func(c *Config) { c.Kept, c.Rules.Armed = kept, false })
			st.run(t, 10*time.Minute)
			kept = st.memory.kept()
		}
		day := kept.Spent.Day
		if got, want := kept.Spent.USD, 1.5*0.5; got < want*0.98 || got > want {
			t.Errorf("half an hour over three lives cost %.4f $, want %.4f $ less a tick each", got, want)
		}
		if kept.Spent.IdleUSD <= 0 || kept.Spent.IdleUSD > kept.Spent.USD {
			t.Errorf("of that %.4f $ were idle", kept.Spent.IdleUSD)
		}
		time.Sleep(40 * time.Minute) // ten past midnight
		var first *View
		st := newStage(func(c *Config) {
			c.Kept, c.Rules.Armed = kept, false
			c.Published = func(v *View) {
				if first == nil {
					first = v
				}
			}
		})
		st.run(t, 6*time.Minute)
		next := st.memory.kept().Spent
		if !next.Day.After(day) || next.USD > 1.5*0.11 || next.USD < 1.5*0.09 {
			t.Errorf("the new day %s has cost %.4f $, want six minutes' worth and nothing of yesterday", next.Day, next.USD)
		}
		if spent := first.Snapshot.SpentTodayUSD; spent.Or(99) != 0 {
			t.Errorf("at the first look of the new day the cap sees %v $", spent)
		}
	})
}

func TestTheCapOfADayCountsWhatWasSpentBeforeARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newStage(func(c *Config) { c.Rules.Armed = false })
		first.run(t, 30*time.Minute) // 0.75 $
		second := newStage(func(c *Config) {
			c.Kept, c.Rules.MaxSpendPerDay = first.memory.kept(), 0.80
			c.Rules.Threshold = func(watchdog.Quote) time.Duration { return 5 * time.Hour }
		})
		second.pod.busy = func(time.Duration) bool { return true }
		second.run(t, 5*time.Minute)
		asked := second.provider.times()
		if len(asked) == 0 || asked[0] < 4*time.Minute || asked[0] > 4*time.Minute+20*time.Second {
			t.Errorf("stop was asked for at %v, want when the last 5 cents and two minutes of grace were gone", asked)
		}
	})
}

func TestACapIsNotCalledOffByWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) { c.Rules.MaxRuntime = time.Minute })
		st.pod.busy = func(time.Duration) bool { return true }
		st.provider.takes = 15 * time.Second
		st.run(t, 200*time.Second)
		if len(st.provider.ended) != 0 || len(st.provider.times()) == 0 {
			t.Errorf("the cap's stop was asked for at %v, and abandoned %d times; want it carried through", st.provider.times(), len(st.provider.ended))
		}
		if got := st.memory.kept().Stop; got == nil || got.Result != "accepted" {
			t.Errorf("the memory holds %+v, want it accepted, not overtaken", got)
		}
		if n := len(st.people.of(notify.StopTakenBack)); n != 0 {
			t.Errorf("the cap's announcement was taken back %d times", n)
		}
	})
}

func TestThisStartIsAsOldOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := func(c *Config) { c.Begun.ContainerAge = watchdog.Known(3 * time.Minute) }
		first := newStage(begun)
		first.run(t, 12*time.Second)
		if got := first.loop.Latest().Snapshot.RunFor; got.Value != 3*time.Minute+10*time.Second {
			t.Errorf("it ran for %v, want what its first process says and ten seconds", got)
		}
		time.Sleep(time.Minute)
		second := newStage(func(c *Config) { c.Kept = first.memory.kept() }) // whose container was started again
		second.run(t, 7*time.Second)
		if got := second.loop.Latest().Snapshot.RunFor.Value; got < 4*time.Minute+10*time.Second || got > 4*time.Minute+20*time.Second {
			t.Errorf("the next watchdog of the same start says %s, want 4m17s or so", got)
		}
		other := newStage(func(c *Config) { c.Kept, c.Identity.StartID = first.memory.kept(), "start-2" })
		other.run(t, 7*time.Second)
		if got := other.loop.Latest().Snapshot.RunFor.Value; got > 10*time.Second {
			t.Errorf("another start of the pod has run for %s already", got)
		}
	})
}
