package costmodel_test

import (
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// metered drives a meter with looks at one server.
type metered struct {
	*costmodel.StartMeter
	now    time.Time
	count  float64 // first tokens so far
	sum    float64 // their seconds
	starts []costmodel.Start
	extras []time.Duration
}

func meter(b costmodel.Begun) *metered {
	return &metered{StartMeter: costmodel.NewStartMeter(b), now: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)}
}

func (m *metered) look(elapsed time.Duration, outcomes ...watchdog.Outcome) {
	m.now = m.now.Add(elapsed)
	s := watchdog.Snapshot{At: m.now, Elapsed: elapsed}
	for _, o := range outcomes {
		srv := watchdog.Server{Outcome: o}
		if o == watchdog.OutcomeAnswered {
			e := watchdog.Engine{FirstTokenSecondsSum: watchdog.Known(m.sum)}
			e.Counters[watchdog.FirstTokens] = watchdog.Known(m.count)
			srv.Health, srv.Engines = watchdog.HealthOK, []watchdog.Engine{e}
		}
		s.Servers = append(s.Servers, srv)
	}
	m.tell(s)
}

func (m *metered) tell(s watchdog.Snapshot) {
	done, extra := m.Look(s)
	if done.Known {
		m.starts = append(m.starts, done.Value)
	}
	if extra.Known {
		m.extras = append(m.extras, extra.Value)
	}
}

// token is one request whose first token took so many seconds.
func (m *metered) token(seconds float64) { m.count++; m.sum += seconds }

const (
	up      = watchdog.OutcomeAnswered
	refused = watchdog.OutcomeRefused
	timeout = watchdog.OutcomeTimeout
	skipped = watchdog.OutcomeSkipped
)

func age(d time.Duration) watchdog.Maybe[time.Duration] { return watchdog.Known(d) }

func (m *metered) wants(t *testing.T, want ...costmodel.Start) {
	t.Helper()
	if len(m.starts) != len(want) {
		t.Fatalf("have %d starts %+v, want %d", len(m.starts), m.starts, len(want))
	}
	for i, w := range want {
		if have := m.starts[i]; have.Kind != w.Kind || have.Ready != w.Ready {
			t.Errorf("start %d: have %s of %s, want %s of %s", i, have.Kind, have.Ready, w.Kind, w.Ready)
		}
	}
}

// A server that is ready 7 s after its container began reads 7 s, and at most one look more, whatever the looks' distance
// and phase, and however late the watchdog came.
func TestStartOfSevenSeconds(t *testing.T) {
	const real = 7 * time.Second
	for _, interval := range []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second} {
		for first := time.Duration(0); first < real; first += 370 * time.Millisecond {
			m := meter(costmodel.Begun{NewIdentity: true, ContainerAge: age(first)})
			m.look(0, refused)
			at := first
			for len(m.starts) == 0 && at < time.Minute {
				at += interval
				if at >= real {
					m.look(interval, up)
				} else {
					m.look(interval, refused)
				}
			}
			if len(m.starts) != 1 {
				t.Fatalf("looks each %s from %s on: no start", interval, first)
			}
			if have := m.starts[0]; have.Ready < real || have.Ready >= real+interval || have.Kind != costmodel.PodStart || !have.At.Equal(m.now) {
				t.Errorf("looks each %s from %s on: have %+v, want 7 s", interval, first, have)
			}
		}
	}
}

func TestStartKinds(t *testing.T) {
	pod, container, server := costmodel.PodStart, costmodel.ContainerRestart, costmodel.ServerRestart
	begun := costmodel.Begun{NewIdentity: true, ContainerAge: age(2 * time.Second)}
	for _, row := range []struct {
		name  string
		begun costmodel.Begun
		play  func(m *metered)
		want  []costmodel.Start
	}{
		{"a new identity is a start of the pod", begun, func(m *metered) { m.look(0, refused); m.look(5*time.Second, up) },
			[]costmodel.Start{{Kind: pod, Ready: 7 * time.Second}}},
		{"another first process under the same identity is a restart of the container", costmodel.Begun{ContainerRestarted: true, ContainerAge: age(time.Second)},
			func(m *metered) { m.look(0, refused); m.look(5*time.Second, up) }, []costmodel.Start{{Kind: container, Ready: 6 * time.Second}}},
		{"a server that was up at the first look gives none", begun, func(m *metered) { m.look(0, up); m.look(time.Hour, up) }, nil},
		{"a watchdog that was restarted during the loading gives none", costmodel.Begun{ContainerAge: age(time.Minute)},
			func(m *metered) { m.look(0, refused); m.look(time.Minute, refused); m.look(5*time.Second, up) }, nil},
		{"but what that server does later is measured", costmodel.Begun{ContainerAge: age(time.Minute)},
			func(m *metered) {
				m.look(0, refused)
				m.look(5*time.Second, up)
				m.look(5*time.Second, refused)
				m.look(9*time.Second, up)
			},
			[]costmodel.Start{{Kind: server, Ready: 9 * time.Second}}},
		{"a server that refuses and comes back was restarted, from the first refusal on", begun, func(m *metered) {
			m.look(0, up)
			m.look(5*time.Second, refused)
			m.look(5*time.Second, timeout)
			m.look(5*time.Second, refused)
			m.look(5*time.Second, up)
			m.look(time.Hour, up)
		}, []costmodel.Start{{Kind: server, Ready: 15 * time.Second}}},
		{"a server whose engine died and came back was restarted", begun, func(m *metered) {
			m.look(0, up)
			m.tell(watchdog.Snapshot{Elapsed: 5 * time.Second, Servers: []watchdog.Server{{Outcome: up, Health: watchdog.HealthDead}}})
			m.look(8*time.Second, up)
		}, []costmodel.Start{{Kind: server, Ready: 8 * time.Second}}},
		{"a server that was only slow to answer was not", begun, func(m *metered) { m.look(0, up); m.look(5*time.Second, timeout); m.look(5*time.Second, up) }, nil},
		{"a start that fails gives none", begun, func(m *metered) { m.look(0, refused); m.look(20*time.Minute, refused) }, nil},
		{"a start that comes after half an hour has failed before, and gives none", begun,
			func(m *metered) { m.look(0, refused); m.look(31*time.Minute, refused); m.look(5*time.Second, up) }, nil},
		{"a restart that comes after half an hour has failed before", begun,
			func(m *metered) {
				m.look(0, up)
				m.look(5*time.Second, refused)
				m.look(31*time.Minute, refused)
				m.look(5*time.Second, up)
			}, nil},
		{"after a failed start the next restart is measured", begun, func(m *metered) {
			m.look(0, refused)
			m.look(31*time.Minute, refused)
			m.look(5*time.Second, up)
			m.look(5*time.Second, refused)
			m.look(6*time.Second, up)
		}, []costmodel.Start{{Kind: server, Ready: 6 * time.Second}}},
		{"STARTUP_TIMEOUT says when a start has failed", costmodel.Begun{NewIdentity: true, Timeout: time.Hour},
			func(m *metered) { m.look(0, refused); m.look(31*time.Minute, refused); m.look(5*time.Second, up) },
			[]costmodel.Start{{Kind: pod, Ready: 31*time.Minute + 5*time.Second}}},
		{"a first process much older than the watchdog says nothing: from the first look on", costmodel.Begun{NewIdentity: true, ContainerAge: age(time.Hour)},
			func(m *metered) { m.look(0, refused); m.look(5*time.Second, up) }, []costmodel.Start{{Kind: pod, Ready: 5 * time.Second}}},
		{"an unknown age: from the first look on", costmodel.Begun{NewIdentity: true},
			func(m *metered) { m.look(0, refused); m.look(5*time.Second, up) }, []costmodel.Start{{Kind: pod, Ready: 5 * time.Second}}},
		{"looks that spare the servers count in between", begun, func(m *metered) { m.look(0, refused); m.look(5*time.Second, skipped); m.look(5*time.Second, up) },
			[]costmodel.Start{{Kind: pod, Ready: 12 * time.Second}}},
		{"of several servers the first that is ready ends it", begun, func(m *metered) {
			m.look(0, refused, refused)
			m.look(5*time.Second, refused, up)
			m.look(time.Hour, up, up)
		},
			[]costmodel.Start{{Kind: pod, Ready: 7 * time.Second}}},
		{"one of several that restarts is no cold start", begun, func(m *metered) { m.look(0, up, up); m.look(5*time.Second, up, refused); m.look(9*time.Second, up, up) }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := meter(row.begun)
			row.play(m)
			m.wants(t, row.want...)
		})
	}
}

func TestFirstToken(t *testing.T) {
	started := func() *metered {
		m := meter(costmodel.Begun{NewIdentity: true, ContainerAge: age(2 * time.Second)})
		m.look(0, refused)
		m.look(5*time.Second, up)
		return m
	}
	usual := func(m *metered, n int) {
		for range n {
			m.token(0.5)
			m.look(5*time.Second, up)
		}
	}
	for _, row := range []struct {
		name string
		play func(m *metered)
		want []time.Duration
	}{
		{"what the first token took beyond the usual, never the hours before it", func(m *metered) { m.look(3*time.Hour, up); m.token(12.5); m.look(5*time.Second, up); usual(m, 6) },
			[]time.Duration{12 * time.Second}},
		{"five later requests make the usual", func(m *metered) { m.token(12.5); m.look(5*time.Second, up); usual(m, 4) }, nil},
		{"a first token that was not slower adds nothing", func(m *metered) { m.token(0.4); m.look(5*time.Second, up); usual(m, 9) }, nil},
		{"which of several was the first cannot be told", func(m *metered) { m.token(12.5); m.token(0.5); m.look(5*time.Second, up); usual(m, 9) }, nil},
		{"nor later, when the counters of another start say one", func(m *metered) {
			m.token(12.5)
			m.token(0.5)
			m.look(5*time.Second, up)
			m.count, m.sum = 1, 12.5
			m.look(5*time.Second, up)
			usual(m, 9)
		}, nil},
		{"a page that shows it while it cannot be read", func(m *metered) {
			m.token(12.5)
			m.look(5*time.Second, timeout)
			m.look(5*time.Second, up)
			usual(m, 6)
		},
			[]time.Duration{12 * time.Second}},
		{"more than ten minutes is a fault of the page", func(m *metered) { m.token(2934); m.look(5*time.Second, up); usual(m, 9) }, nil},
		{"a server that went down before its usual was known", func(m *metered) {
			m.token(12.5)
			m.look(5*time.Second, up)
			m.look(5*time.Second, refused)
			usual(m, 1)
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := started()
			row.play(m)
			if len(m.starts) == 0 || m.starts[0].Ready != 7*time.Second {
				t.Fatalf("have %+v, want a start of 7 s first", m.starts)
			}
			if len(m.extras) != len(row.want) {
				t.Fatalf("have %v, want %v", m.extras, row.want)
			}
			for i, want := range row.want {
				if have := m.extras[i]; have.Round(time.Millisecond) != want {
					t.Errorf("have %s, want %s", have, want)
				}
			}
		})
	}
	m := meter(costmodel.Begun{})
	m.look(0, up)
	m.token(12.5)
	m.look(5*time.Second, up)
	usual(m, 9)
	if len(m.starts)+len(m.extras) != 0 {
		t.Errorf("a server that was up already gives neither a start nor a first token: %+v %v", m.starts, m.extras)
	}
}
