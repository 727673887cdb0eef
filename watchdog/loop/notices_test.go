package loop

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestAMemoryThatCannotBeWrittenIsAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(nil)
		st.memory.warning = "memory cannot be written: no space left on device"
		st.run(t, 30*time.Second)
		rung := st.logs.FilterMessage("alarm").FilterField(alarmField(alarmMemory)).All()
		if len(rung) != 1 || rung[0].ContextMap()["detail"] != st.memory.warning {
			t.Errorf("alarms: %v, want one with the memory's own words", rung)
		}
	})
}

func TestTheClockOnDiskIsNeverOlderThanTwoSeconds(t *testing.T) {
	for _, interval := range []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 900 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			st := newStage(func(c *Config) { c.Rules.CheckInterval = interval })
			st.run(t, 30*time.Second)
			saved := st.memory.saved
			if len(saved) < 15 {
				t.Fatalf("every %s: saved %d times in 30 s", interval, len(saved))
			}
			for i := 1; i < len(saved); i++ {
				// Where a look comes late by half an interval, two seconds must still not pass.
				if gap := saved[i].Sub(saved[i-1]); gap > saveEvery-interval/2 && gap > interval {
					t.Errorf("every %s: %s passed between two saves", interval, gap)
				}
			}
		})
	}
}

// teller is a provider that answers what the test says.
type teller struct{ detail string }

func (p *teller) Describe(context.Context) (watchdog.Pod, Permission, string) {
	return watchdog.Pod{}, PermissionUnproven, p.detail
}

func TestAProviderThatCannotBeReadIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &teller{detail: "RunPod could not be asked about this pod: status 500"}
		st := newStage(func(c *Config) { c.Provider = provider })
		st.loop.Introduce(t.Context())
		st.run(t, 5*time.Minute)
		if said := st.logs.FilterMessage("pod not read from provider").All(); len(said) != 1 || said[0].Level != zapcore.WarnLevel || said[0].ContextMap()["detail"] != provider.detail {
			t.Errorf("said: %v, want the detail once", said)
		}
		if st.logs.FilterMessage("pod read from provider again").Len() != 0 {
			t.Error("it cannot be read, and the log says that it can")
		}
		provider.detail = ""
		st.run(t, 2*time.Minute)
		if st.logs.FilterMessage("pod read from provider again").Len() != 1 {
			t.Error("it can be read again, and the log does not say so")
		}
	})
}

func TestAQuestionThatOurEndCutsIsNotTheProvidersFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStage(func(c *Config) { c.Provider = hangs{} })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		st.loop.Run(ctx)
		if said := st.logs.FilterMessage("pod not read from provider").All(); len(said) != 0 {
			t.Errorf("said at the end: %v", said)
		}
	})
}

// hangs is a provider that never answers.
type hangs struct{}

func (hangs) Describe(ctx context.Context) (watchdog.Pod, Permission, string) {
	<-ctx.Done()
	return watchdog.Pod{}, PermissionUnproven, "RunPod could not be asked about this pod: " + ctx.Err().Error()
}
