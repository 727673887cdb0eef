package watchdog

import (
	"testing"
	"time"
)

func TestResumeNeverLeavesAnAttemptThatNobodyFollows(t *testing.T) {
	for _, c := range []struct {
		name string
		was  Attempt
		want StopPhase
	}{
		{"killed while asking waits for the proof", Attempt{Phase: StopAsked, Tries: 2, For: time.Minute}, StopAccepted},
		{"what a dry run said binds nobody", Attempt{Phase: StopWouldHave, Tries: 1}, StopNone},
		{"an accepted stop goes on", Attempt{Phase: StopAccepted, Tries: 1, For: 10 * time.Second}, StopAccepted},
		{"a refused stop waits on", Attempt{Phase: StopRefused, Tries: 1, RetryIn: 4 * time.Second}, StopRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Resume(State{StartID: "a", Idle: time.Hour, Attempt: c.was}, "a")
			if got.Attempt.Phase != c.want {
				t.Errorf("phase %d, want %d", got.Attempt.Phase, c.want)
			}
			if got.Idle != time.Hour {
				t.Errorf("the clock reads %s, want what was stored", got.Idle)
			}
			if c.was.Phase == StopAsked && got.Attempt.For != 0 {
				t.Errorf("the proof is awaited since %s, want since now", got.Attempt.For)
			}
		})
	}
}
