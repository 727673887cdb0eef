package loop

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestAStopIsAnnouncedOnceAGapAndItsOutcomeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.run(t, 30*time.Minute) // the stop is accepted, and asked for again and again
		announced := st.people.of(notify.StopAnnounced)
		if len(announced) != 1 {
			t.Fatalf("announced %d times, want once: %+v", len(announced), announced)
		}
		m := announced[0]
		if left := m.StopAt.Sub(m.At); left != 10*time.Second || !strings.Contains(m.Text, "gpu-watchdog hold 2h keeps it") {
			t.Errorf("announced %q, %s ahead; want what keeps the pod, ten seconds ahead", m.Text, left)
		}
		if n := len(st.provider.times()); n < 8 {
			t.Fatalf("asked only %d times", n)
		}
		if told := st.people.of(notify.StopRequested); len(told) != 1 {
			t.Errorf("told %d times that the pod is being stopped, want once: a retry is the same stop", len(told))
		}
		if told := st.people.of(notify.StopUnproven); len(told) != 1 {
			t.Errorf("told %d times that the stop is unproven, want once: %+v", len(told), told)
		}
		if back := st.people.of(notify.StopTakenBack); len(back) != 0 {
			t.Errorf("taken back although nothing held: %+v", back)
		}
	})
}

func TestAnAnnouncementIsTakenBackByWhatHolds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*stage)
		during func(*testing.T, *stage)
		says   string
	}{
		"work": {change: func(st *stage) {
			st.pod.busy = func(age time.Duration) bool { return age > 51*time.Second && age < 56*time.Second }
		}, says: "requests_in_flight"},
		"a hold": {during: func(t *testing.T, st *stage) {
			if _, err := st.loop.Hold(t.Context(), orders.Hold{For: 30 * time.Second, By: "ann"}); err != nil {
				t.Error(err)
			}
		}, says: "hold_lease: held by ann"},
		"work at the final look": {change: func(st *stage) {
			st.pod.busy = func(age time.Duration) bool { return age > 60*time.Second+500*time.Millisecond && age < 62*time.Second }
		}, says: "requests_in_flight"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(nil)
				if c.change != nil {
					c.change(st)
				}
				end := st.begin(t)
				time.Sleep(52 * time.Second)
				if c.during != nil {
					c.during(t, st)
				}
				time.Sleep(15 * time.Second)
				announced, back := st.people.of(notify.StopAnnounced), st.people.of(notify.StopTakenBack)
				if len(announced) != 1 || len(back) != 1 || back[0].Key != announced[0].Key || !strings.Contains(back[0].Text, c.says) {
					t.Errorf("announced %+v, taken back %+v; want it taken back once, with %q", announced, back, c.says)
				}
				time.Sleep(53 * time.Second)
				end()
				if again := st.people.of(notify.StopAnnounced); len(again) != 2 || again[1].Key == again[0].Key {
					t.Errorf("announced %d times, want again in the next gap: %+v", len(again), again)
				}
			})
		})
	}
}

func TestAnAnnouncementStandsWhileNothingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.pod.change = func(age time.Duration, s *watchdog.Snapshot) {
			if age > 51*time.Second && age < 3*time.Minute {
				s.Servers[0] = watchdog.Server{URL: s.Servers[0].URL, Outcome: watchdog.OutcomeTimeout}
			}
		}
		st.run(t, 4*time.Minute)
		if back := st.people.of(notify.StopTakenBack); len(back) != 0 {
			t.Errorf("taken back while nothing was known: %+v", back)
		}
		if n := len(st.people.of(notify.StopAnnounced)); n != 1 || len(st.provider.times()) == 0 {
			t.Errorf("announced %d times, stop asked for at %v; want the announced stop to come", n, st.provider.times())
		}
	})
}

func TestARefusedStopIsToldOnceHoweverOftenItIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.provider.answer = watchdog.StopReport{Phase: watchdog.StopRefused, Target: "runpod", Detail: "v2_action: denied (403)"}
		st.provider.takes = 7 * time.Second // so that looks see it being asked
		st.run(t, 31*time.Minute)
		if n := len(st.provider.times()); n < 8 {
			t.Fatalf("asked only %d times", n)
		}
		told := st.people.of(notify.StopUnproven)
		if len(told) != 1 || !strings.Contains(told[0].Text, "denied (403)") {
			t.Errorf("told %+v, want once, with what the provider said", told)
		}
		if n := len(st.people.of(notify.Alarm)) + len(st.people.of(notify.AlarmOver)) + len(st.people.of(notify.StopTakenBack)) + len(st.people.of(notify.StopRequested)); n != 0 {
			t.Errorf("told %d other things: %+v", n, st.people.told)
		}
		if over := st.logs.FilterMessage("alarm over").Len(); over != 0 {
			t.Errorf("the alarm was over %d times while the stop was asked for again", over)
		}
	})
}

func TestAnOvertakenStopIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.pod.busy = func(age time.Duration) bool { return age > 70*time.Second && age < 76*time.Second }
		st.run(t, 115*time.Second)
		told := st.people.of(notify.StopUnproven)
		if len(told) != 1 || !strings.Contains(told[0].Text, "work came after the stop was accepted") {
			t.Errorf("told %+v, want once that work came", told)
		}
	})
}

func TestAlarmsAreRaisedAndOverOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) { c.Rules.Armed = false })
		st.pod.change = func(age time.Duration, s *watchdog.Snapshot) {
			if age > 20*time.Second && age < 20*time.Minute {
				s.GPU = watchdog.GPU{State: watchdog.SourceFailed, Reason: "driver gone"}
			}
		}
		st.run(t, 25*time.Minute)
		over := map[string]string{}
		for _, m := range st.people.of(notify.AlarmOver) {
			over[m.Key] = m.Text
		}
		raised := st.people.of(notify.Alarm) // the GPU does not answer, and so nothing is known of the pod
		if len(raised) != 2 || len(st.people.of(notify.AlarmOver)) != 2 {
			t.Fatalf("raised %+v, over %+v; want each of the two once", raised, over)
		}
		for _, m := range raised {
			if over[m.Key] != "over: "+m.Text {
				t.Errorf("raised as %q, over as %q; want the same alarm", m.Text, over[m.Key])
			}
		}
		if n := st.logs.FilterMessage("alarm").Len(); n != 2*4 {
			t.Errorf("logged %d times in 19 minutes, want each every five minutes", n)
		}
	})
}

func TestADryRunTellsThatItIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dry := &fakeProvider{answer: watchdog.StopReport{Phase: watchdog.StopWouldHave, Target: "runpod", Detail: "nothing was asked"}}
		st := newStage(func(c *Config) { c.Identity.DryRun, c.Stopper = true, dry })
		st.pod.busy = func(age time.Duration) bool { return age > 5*time.Minute && age < 5*time.Minute+10*time.Second }
		st.run(t, 10*time.Minute)
		for _, kind := range []notify.Kind{notify.StopAnnounced, notify.StopRequested} {
			if told := st.people.of(kind); len(told) != 2 || !strings.HasPrefix(told[0].Text, "dry run: ") {
				t.Errorf("%s: %+v, want once in each of two gaps, as a dry run", kind, told)
			}
		}
	})
}

func TestNobodyToTellIsNoReasonToStumble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) { c.Notifier = nil })
		st.run(t, 2*time.Minute)
		if len(st.provider.times()) == 0 {
			t.Error("no stop was asked for")
		}
	})
}
