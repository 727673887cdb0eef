package loop

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// refuser is a provider that says that the pod must not be stopped as it is now.
type refuser struct {
	mu  sync.Mutex
	why string
}

func (p *refuser) set(why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.why = why
}

func (p *refuser) Describe(context.Context) (watchdog.Pod, Permission, string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why == "" {
		return watchdog.Pod{}, PermissionProven, ""
	}
	return watchdog.Pod{Refused: p.why}, PermissionRefused, p.why
}

func TestATargetThatRefusesIsSaidToRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		provider := &refuser{why: "Deployment/llama has 3 replicas"}
		st := newStage(func(c *Config) { c.Provider = provider })
		if st.loop.Refused() != "" {
			t.Error("it is refused before anybody was asked")
		}
		st.loop.Introduce(t.Context())
		if got := st.loop.Refused(); got != provider.why {
			t.Errorf("refused for %q, want %q", got, provider.why)
		}
		st.run(t, 3*time.Minute)
		if len(st.provider.times()) != 0 {
			t.Error("it was stopped")
		}
		if n := st.logs.FilterMessage("pod refused as a target").Len(); n != 1 || st.logs.FilterMessage("pod not read from provider").Len() != 0 {
			t.Errorf("said %d times that it is refused, want once, and not that it could not be read", n)
		}
		provider.set("")
		st.run(t, 2*time.Minute)
		if st.loop.Refused() != "" || len(st.provider.times()) == 0 {
			t.Errorf("a minute after three became one: refused for %q, %d stops", st.loop.Refused(), len(st.provider.times()))
		}
	})
}

// Who scales up makes a target refuse from one moment to the next. What was known of it is minutes old then, and a pod that is wanted
// must not be taken out of its service for each try to stop it.
func TestATargetIsAskedAnewBeforeAndAfterAStop(t *testing.T) {
	for name, refuses := range map[string]func(*stage, *refuser){
		"scaled up before the stop": func(_ *stage, p *refuser) {
			time.AfterFunc(50*time.Second, func() { p.set("Deployment/llama has 2 replicas") })
		},
		"scaled up at the stop": func(st *stage, p *refuser) {
			st.provider.answer = watchdog.StopReport{Phase: watchdog.StopRefused, Target: "kubernetes"}
			st.provider.at = func() { p.set("Deployment/llama has 2 replicas") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				provider := &refuser{}
				st := newStage(func(c *Config) { c.Provider, c.Drain = provider, 10*time.Second })
				refuses(st, provider)
				st.run(t, 5*time.Minute)
				if asked := st.provider.times(); len(asked) > 1 || st.loop.Draining() {
					t.Errorf("asked to stop at %v; draining: %v", asked, st.loop.Draining())
				}
				drains := st.logs.FilterMessage("readiness changed").All()
				if len(drains) != 2 {
					t.Fatalf("%d changes of readiness, want that it was drained once, and no longer then", len(drains))
				}
				if took := drains[1].Time.Sub(drains[0].Time); name == "scaled up before the stop" && took > 5*time.Second {
					t.Errorf("out of its service for %s, want a tick", took)
				}
				if last := st.decisions()[len(st.decisions())-1]; last["reason"] != "target_refused" {
					t.Errorf("held with %v", last["reason"])
				}
			})
		})
	}
}
