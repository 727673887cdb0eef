package config

import (
	"testing"
	"time"
)

func TestAutoFollowsAnExplicitLimit(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		want Policy
	}{
		{"auto alone computes", nil, PolicyBreakEven},
		{"a limit makes auto fixed", []string{"WATCHDOG_IDLE_LIMIT=7m"}, PolicyFixed},
		{"what was named is played", []string{"WATCHDOG_IDLE_LIMIT=7m", "WATCHDOG_POLICY=seed"}, PolicySeed},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := load(t, c.env, options()).InForce(); got != c.want {
				t.Errorf("the policy in force is %s, want %s", got, c.want)
			}
		})
	}
}

func TestTheDefaultMinimumGivesWayToAMaximum(t *testing.T) {
	if got := load(t, []string{"WATCHDOG_IDLE_MAX=2m"}, options()).IdleMin; got != 2*time.Minute {
		t.Errorf("IDLE_MIN is %s beside an IDLE_MAX of 2m, want 2m", got)
	}
	if got := load(t, []string{"WATCHDOG_IDLE_MAX=20m"}, options()).IdleMin; got != 5*time.Minute {
		t.Errorf("IDLE_MIN is %s beside an IDLE_MAX of 20m, want its default", got)
	}
}
