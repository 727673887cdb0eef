package loop

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// asked has a person ask for a stop after so long, and says what they were answered.
func (st *stage) asked(t *testing.T, after time.Duration) (orders.Answer, error) {
	t.Helper()
	defer st.begin(t)()
	time.Sleep(after)
	answer, err := st.loop.Stop(t.Context(), orders.Stop{By: "root"})
	time.Sleep(7 * time.Second) // what comes of it, comes now
	return answer, err
}

func TestAPersonsStopIsCarriedOutAndAnswered(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"idle":               nil,
		"before MIN_RUNTIME": func(c *Config) { c.Rules.MinRuntime = time.Hour },
		"within KEEP_HOURS": func(c *Config) {
			c.Rules.Keep = func(at time.Time) (time.Time, bool) { return at.Add(time.Hour), true }
		},
		"a terminal is used":     func(c *Config) { c.Rules.TerminalGuard = time.Hour },
		"a stopped hour is dear": func(c *Config) { c.Tariff.StorageStopped = 3 },
		"stops were undone": func(c *Config) {
			c.Kept = memory.Contents{Undone: memory.Undone{Count: 2, Until: time.Now().Add(time.Hour)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(change)
				st.pod.change = func(_ time.Duration, s *watchdog.Snapshot) {
					s.People.TerminalUsed, s.People.Terminal = watchdog.Known(time.Second), "pts/0"
				}
				st.provider.answer.Detail = "status 202"
				answer, err := st.asked(t, 22*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(answer.Text, "runpod: status 202") || !strings.Contains(answer.Text, "proof") {
					t.Errorf("answered %q, want what the provider said and that it is no proof", answer.Text)
				}
				if asked := st.provider.times(); len(asked) != 1 || asked[0] != 23*time.Second {
					t.Errorf("stop was asked for at %v, want once, after two looks a second apart", asked)
				}
				if got := st.memory.kept().Stop; got == nil || got.Result != "accepted" || got.Reason != personStop {
					t.Errorf("the memory holds %+v, want the person's stop accepted", got)
				}
				if because := st.loop.Deciding().Reasons[0]; because.Code != personStop || because.Detail != "by root" {
					t.Errorf("whoever is asked is told %+v, want who asked", because)
				}
				told := st.people.of(notify.StopRequested)
				if len(told) != 1 || !strings.Contains(told[0].Text, personStop) {
					t.Errorf("told %+v, want once that the pod is being stopped", told)
				}
			})
		})
	}
}

func TestAPersonsStopIsRefused(t *testing.T) {
	busy := func(st *stage, from, to time.Duration) {
		st.pod.busy = func(age time.Duration) bool { return age >= from && age < to }
	}
	blind := func(_ time.Duration, s *watchdog.Snapshot) {
		s.Servers[0] = watchdog.Server{URL: s.Servers[0].URL, Outcome: watchdog.OutcomeTimeout}
	}
	for name, c := range map[string]struct {
		change func(*Config)
		before func(*stage)
		says   string
	}{
		"while busy":              {nil, func(st *stage) { busy(st, 15*time.Second, time.Hour) }, "requests_in_flight"},
		"work at the second look": {nil, func(st *stage) { busy(st, 22*time.Second+500*time.Millisecond, 24*time.Second) }, "requests_in_flight"},
		"while nothing is known": {nil, func(st *stage) {
			st.pod.change = func(age time.Duration, s *watchdog.Snapshot) {
				if age > 10*time.Second {
					blind(age, s)
				}
			}
		}, "unknown"},
		"unknown at the second": {nil, func(st *stage) {
			st.pod.change = func(age time.Duration, s *watchdog.Snapshot) {
				if age > 22*time.Second+500*time.Millisecond {
					blind(age, s)
				}
			}
		}, "unknown"},
		"somebody waits for an answer, beside a terminal that is used": {func(c *Config) { c.Rules.TerminalGuard = time.Hour }, func(st *stage) {
			st.pod.change = func(age time.Duration, s *watchdog.Snapshot) {
				s.People.TerminalUsed, s.People.Terminal = watchdog.Known(time.Second), "pts/0"
				if age > 22*time.Second+500*time.Millisecond {
					s.Sockets.Connections = []watchdog.Connection{{Cookie: 1, Port: 8000, Peer: "10.0.0.1:4000", Received: 300, SinceReceived: 400 * time.Millisecond, SinceSent: 400 * time.Millisecond}}
				}
			}
		}, "10.0.0.1:4000"},
		"while held": {func(c *Config) { c.Kept.Leases.Holds = []orders.Lease{{Until: time.Now().Add(time.Hour), By: "ann"}} }, nil, "ann"},
		"while held, near a cap": {func(c *Config) {
			c.Kept.Leases.Holds, c.Rules.MaxRuntime = []orders.Lease{{Until: time.Now().Add(time.Hour), By: "ann"}}, 30*time.Second
		}, nil, "ann"},
		"while put off": {func(c *Config) { c.Kept.Leases.PostponedUntil = time.Now().Add(time.Hour) }, nil, "put off"},
		"while put off, near a cap": {func(c *Config) {
			c.Kept.Leases.PostponedUntil, c.Rules.MaxRuntime = time.Now().Add(time.Hour), 30*time.Second
		}, nil, "put off"},
		"where nothing is armed":        {func(c *Config) { c.Stopper, c.Rules.Armed, c.Rules.Unarmed = nil, false, "no provider" }, nil, "no provider"},
		"where the target refuses":      {func(c *Config) { c.Rules.Refused = "a serverless worker" }, nil, "a serverless worker"},
		"where the identity is unknown": {func(c *Config) { c.Identity.StartID = "" }, nil, "identity"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(c.change)
				if c.before != nil {
					c.before(st)
				}
				answer, err := st.asked(t, 22*time.Second)
				if orders.KindOf(err) != orders.Denied || !strings.Contains(err.Error(), c.says) {
					t.Errorf("answered %+v, %v; want it refused with %q", answer, err, c.says)
				}
				if asked := st.provider.times(); len(asked) != 0 {
					t.Errorf("stop was asked for at %v", asked)
				}
				if stop := st.memory.kept().Stop; stop != nil {
					t.Errorf("the memory holds a stop that never was: %+v", stop)
				}
				if n := len(st.people.of(notify.StopRequested)); n != 0 {
					t.Errorf("told %d times that the pod is being stopped", n)
				}
			})
		})
	}
}

func TestAProvidersNoToAPersonIsAnsweredAndKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.provider.answer = watchdog.StopReport{Phase: watchdog.StopRefused, Target: "runpod", Detail: "v2_action: denied (403)"}
		_, err := st.asked(t, 22*time.Second)
		if orders.KindOf(err) != orders.Denied || !strings.Contains(err.Error(), "denied (403)") {
			t.Errorf("answered %v, want refused in the provider's words", err)
		}
		if got := st.memory.kept().Stop; got == nil || got.Result != "refused" {
			t.Fatalf("the memory holds %+v, want it refused: an open one would be proven by the next start", got)
		}
		next := newStage(func(c *Config) { c.Kept, c.Identity.StartID = st.memory.kept(), "start-2" })
		next.run(t, time.Second)
		if v := next.loop.Latest(); v.LastStop.Proof == "proven" || next.memory.kept().Undone.Count != 0 {
			t.Errorf("the next start takes the refused stop for proven: %+v, undone %+v", v.LastStop, next.memory.kept().Undone)
		}
		if v := st.loop.Latest(); v.Decision.Reason() != watchdog.BelowThreshold || len(v.Decision.Alarms) != 0 {
			t.Errorf("after it: %s with alarms %v, want the watch to go on as before", v.Decision.Reason(), v.Decision.Alarms)
		}
	})
}

func TestADryRunTellsAPersonWhatItWouldDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dry := &fakeProvider{answer: watchdog.StopReport{Phase: watchdog.StopWouldHave, Target: "runpod", Detail: "dry run: nothing was asked"}}
		st := newStage(func(c *Config) { c.Identity.DryRun, c.Stopper = true, dry })
		answer, err := st.asked(t, 22*time.Second)
		if err != nil || !strings.Contains(answer.Text, "dry run: nothing was asked") || strings.Contains(answer.Text, "proof") {
			t.Errorf("answered %q, %v", answer.Text, err)
		}
		if got := st.memory.kept().Stop; got == nil || got.Result != "would_stop" {
			t.Errorf("the memory holds %+v, want would_stop", got)
		}
		if told := st.people.of(notify.StopRequested); len(told) != 1 || !strings.HasPrefix(told[0].Text, "dry run: ") {
			t.Errorf("told %+v, want once, as a dry run", told)
		}
	})
}

func TestWorkEndsAPersonsStopAndLeavesNothingOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.provider.takes = time.Minute
		st.pod.busy = func(age time.Duration) bool { return age > 24*time.Second && age < 30*time.Second }
		_, err := st.asked(t, 22*time.Second)
		if orders.KindOf(err) != orders.Denied || len(st.provider.ended) != 1 {
			t.Errorf("answered %v, abandoned %d times; want refused and once", err, len(st.provider.ended))
		}
		if got := st.memory.kept().Stop; got == nil || got.Result != "refused" {
			t.Errorf("the memory holds %+v, want it refused", got)
		}
	})
}

func TestWhoeverAskedMayBeGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(22 * time.Second)
		before, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // between the two looks
		defer cancel()
		if _, err := st.loop.Stop(before, orders.Stop{By: "root"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("answered %v, want the end of the asker's time", err)
		}
		time.Sleep(3 * time.Second)
		if asked := st.provider.times(); len(asked) != 0 || st.memory.kept().Stop != nil {
			t.Errorf("stop was asked for at %v although nobody waited for it any more", asked)
		}
		st.provider.takes = 10 * time.Second
		after, cancel := context.WithTimeout(t.Context(), 3*time.Second) // while the provider is asked
		defer cancel()
		_, _ = st.loop.Stop(after, orders.Stop{By: "root"})
		time.Sleep(15 * time.Second)
		if len(st.provider.times()) != 1 || len(st.provider.ended) != 0 || st.memory.kept().Stop.Result != "accepted" {
			t.Errorf("a stop that was asked for was asked %d times and cut %d times, and is %q; want it carried through",
				len(st.provider.times()), len(st.provider.ended), st.memory.kept().Stop.Result)
		}
	})
}

func TestOneStopAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		defer st.begin(t)()
		time.Sleep(60*time.Second + 500*time.Millisecond) // the rules' own final look is under way
		if _, err := st.loop.Stop(t.Context(), orders.Stop{By: "root"}); orders.KindOf(err) != orders.Denied || !strings.Contains(err.Error(), "already") {
			t.Errorf("answered %v, want that a stop is being asked for already", err)
		}
		time.Sleep(3 * time.Second)
		if asked := st.provider.times(); len(asked) != 1 {
			t.Errorf("stop was asked for at %v, want once", asked)
		}
	})
}

func TestTheEndOfTheWatchEndsAPersonsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		end := st.begin(t)
		time.Sleep(22 * time.Second)
		answered := make(chan error, 1)
		go func() {
			_, err := st.loop.Stop(t.Context(), orders.Stop{By: "root"})
			answered <- err
		}()
		time.Sleep(500 * time.Millisecond)
		end()
		if err := <-answered; err == nil {
			t.Error("answered that the stop was carried out")
		}
		if len(st.provider.times()) != 0 || st.memory.kept().Stop != nil {
			t.Errorf("stop was asked for at %v, the memory holds %+v; want neither: the watch had ended", st.provider.times(), st.memory.kept().Stop)
		}
	})
}

func TestARehearsalChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		rehearse func(context.Context) (string, error)
		text     string
		kind     orders.Kind
	}{
		"would":     {func(context.Context) (string, error) { return "runpod: the key reads the pod", nil }, "runpod: the key reads the pod\nnow: hold: below_threshold", ""},
		"would not": {func(context.Context) (string, error) { return "", errors.New("runpod: 401") }, "runpod: 401", orders.Denied},
		"nothing":   {nil, "nothing is armed", orders.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStage(func(conf *Config) { conf.Rehearse = c.rehearse })
				defer st.begin(t)()
				time.Sleep(22 * time.Second)
				answer, err := st.loop.Stop(t.Context(), orders.Stop{By: "root", Rehearse: true})
				text := answer.Text
				if err != nil {
					text = err.Error()
				}
				if orders.KindOf(err) != c.kind || !strings.Contains(text, c.text) {
					t.Errorf("answered %q, %v", text, err)
				}
				time.Sleep(5 * time.Second)
				if len(st.provider.times()) != 0 || st.memory.kept().Stop != nil {
					t.Error("a rehearsal stopped the pod")
				}
			})
		})
	}
}
