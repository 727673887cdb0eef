package loop

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// drainedAt are the moments, seen every 100 ms, at which /readyz would have failed.
func (st *stage) drainedAt(t *testing.T, until time.Duration) (out []time.Duration) {
	t.Helper()
	for began := st.pod.began; time.Since(began) < until; time.Sleep(100 * time.Millisecond) {
		if st.loop.Draining() {
			out = append(out, time.Since(began))
		}
	}
	return out
}

func drains(c *Config) { c.Drain = 10 * time.Second }

func TestAPodLeavesItsServiceBeforeTheFinalLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(drains)
		defer st.begin(t)()
		out := st.drainedAt(t, 85*time.Second)
		asked := st.provider.times()
		if len(asked) != 1 || len(out) == 0 || asked[0]-out[0] < 11*time.Second-200*time.Millisecond || asked[0]-out[0] > 16*time.Second {
			t.Fatalf("drained since %v, stop asked for at %v; want ten seconds and the final look between them", out[:min(1, len(out))], asked)
		}
		if out[0] < 60*time.Second || out[len(out)-1] < 84*time.Second {
			t.Errorf("drained from %s to %s, want from the threshold on, also while the accepted stop is awaited", out[0], out[len(out)-1])
		}
		if v := st.loop.Latest(); !v.Draining {
			t.Error("the view does not say so")
		}
	})
}

func TestAPodComesBackWhenWorkCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(drains)
		st.pod.busy = func(age time.Duration) bool { return age > 66*time.Second && age < 71*time.Second }
		defer st.begin(t)()
		out := st.drainedAt(t, 100*time.Second)
		if len(out) == 0 || out[len(out)-1] > 71*time.Second || len(st.provider.times()) != 0 {
			t.Errorf("drained at %v, stop asked for at %v; want it back in its service at once, and no stop", out, st.provider.times())
		}
	})
}

func TestAPodComesBackWhenAStopIsRefusedOrUnproven(t *testing.T) {
	for name, answer := range map[string]watchdog.StopReport{
		"refused":  {Phase: watchdog.StopRefused, Target: "kubernetes", Detail: "403"},
		"unproven": {Phase: watchdog.StopAccepted, Target: "kubernetes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(drains)
				st.provider.answer = answer
				defer st.begin(t)()
				st.drainedAt(t, 10*time.Minute)
				// Until the wait for the next try is long, in which the pod serves.
				for st.loop.Latest().Attempt.RetryIn < time.Minute {
					time.Sleep(time.Second)
				}
				if st.loop.Draining() {
					t.Error("out of its service while nothing is being asked")
				}
			})
		})
	}
}

func TestAPersonsStopDrainsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(drains)
		st.memory.slow = time.Millisecond // so that the provider has answered before the next look
		defer st.begin(t)()
		time.Sleep(22 * time.Second)
		answered := make(chan error, 1)
		go func() {
			_, err := st.loop.Stop(t.Context(), orders.Stop{By: "root"})
			answered <- err
		}()
		out := st.drainedAt(t, 50*time.Second)
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		asked := st.provider.times()
		if len(asked) != 1 || asked[0]-out[0] < 11*time.Second-200*time.Millisecond || asked[0] > 34*time.Second {
			t.Fatalf("drained since %s, stop asked for at %v; want ten seconds and the final look between them", out[0], asked)
		}
		for i := 1; i < len(out); i++ {
			if out[i]-out[i-1] > 150*time.Millisecond {
				t.Fatalf("back in its service between %s and %s, while the stop is being asked for", out[i-1], out[i])
			}
		}
		if last := out[len(out)-1]; last < 49*time.Second {
			t.Errorf("drained until %s, want while the accepted stop is awaited", last)
		}
	})
}

func TestAPersonsStopThatIsRefusedWhileDrainingBringsThePodBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(drains)
		st.pod.busy = func(age time.Duration) bool { return age > 26*time.Second && age < 28*time.Second }
		defer st.begin(t)()
		time.Sleep(22 * time.Second)
		_, err := st.loop.Stop(t.Context(), orders.Stop{By: "root"})
		if orders.KindOf(err) != orders.Denied || time.Since(st.pod.began) > 28*time.Second {
			t.Errorf("answered %v after %s, want refused by the first look that saw the work", err, time.Since(st.pod.began))
		}
		if st.loop.Draining() || len(st.provider.times()) != 0 {
			t.Errorf("draining %v, stop asked for at %v", st.loop.Draining(), st.provider.times())
		}
	})
}

func TestAHoldWhileAPodIsDrainedBringsItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(drains)
		defer st.begin(t)()
		time.Sleep(63 * time.Second)
		if !st.loop.Draining() {
			t.Fatal("not drained yet")
		}
		if _, err := st.loop.Hold(t.Context(), orders.Hold{For: time.Hour, By: "root"}); err != nil {
			t.Fatal(err)
		}
		if st.loop.Draining() || st.loop.Latest().Draining {
			t.Error("held, and out of its service")
		}
	})
}
