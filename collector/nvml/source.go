//go:build linux && cgo

package nvml

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// patience is how long Read waits at most, and how long a call may take before Read no longer waits for it.
	patience = 2 * time.Second
	// closePatience is how long Close waits for a call that may hang.
	closePatience = time.Second
)

// Source is the GPUs of this pod, seen through NVML. A process must not have more than one at a time.
type Source struct {
	cfg  Config
	log  *zap.Logger
	none bool

	stop     chan struct{}
	stopping sync.Once
	wake     chan struct{}
	finished chan struct{}

	mu sync.Mutex
	// asked is closed once the next poll is done; nil where nobody waits.
	asked chan struct{}
	call  running
	// hung: the call was logged as hanging, and has not returned since.
	hung bool
	// whole is the state of all of it.
	whole   standing
	devices []*device
	session Session
	// untaken: something was polled since the last look.
	untaken bool
}

// running is the call that the worker is in; a zero since means none.
type running struct {
	call  call
	index int
	since time.Time
}

func (r running) String() string {
	if r.index == noGPU {
		return r.call.String()
	}
	return fmt.Sprintf("%v, GPU %d", r.call, r.index)
}

// New begins to watch. It returns at once; the first Read waits for NVML to come up. Close ends it.
func New(cfg Config, log *zap.Logger) *Source {
	if log == nil {
		log = zap.NewNop()
	}
	s := &Source{
		cfg: cfg.withDefaults(), log: log, none: cfg.GPUs.None(),
		stop: make(chan struct{}), wake: make(chan struct{}, 1), finished: make(chan struct{}),
		whole: standing{watchdog.SourceFailed, "NVML has not answered yet"},
	}
	if s.none {
		close(s.finished)
		return s
	}
	go newWorker(s).run()
	return s
}

// Read returns what the GPUs did since the Read before. It returns before nine tenths of the time that ctx allows have
// passed, and within two seconds, whatever the driver does; where the driver hangs, the state is failed and the reason
// names the call. Samples that a failed Read could not deliver come with the next good one. One goroutine at a time may
// read.
func (s *Source) Read(ctx context.Context) watchdog.GPU {
	if s.none {
		return watchdog.GPU{State: watchdog.SourceAbsent, Reason: noneReason}
	}
	began := time.Now()
	wait := patience
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, deadline.Sub(began)*9/10)
	}
	done, hung := s.ask(began)
	if hung {
		return s.hanging(began)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-done:
		return s.look()
	case <-s.finished:
		return watchdog.GPU{State: watchdog.SourceFailed, Reason: "the GPU source is closed"}
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.hanging(began)
}

// ask requests a poll; done is closed after one that began later than the request. hung says that it is no use to wait.
func (s *Source) ask(now time.Time) (done <-chan struct{}, hung bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.call.since.IsZero() && now.Sub(s.call.since) >= patience {
		return nil, true
	}
	if s.asked == nil {
		s.asked = make(chan struct{})
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
	return s.asked, false
}

// look hands out what was seen since the look before.
func (s *Source) look() watchdog.GPU {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untaken = false
	g := watchdog.GPU{State: s.whole.state, Reason: s.whole.reason}
	if len(s.devices) == 0 {
		return g
	}
	total := 0
	for _, d := range s.devices {
		total += len(d.window.samples)
	}
	g.Devices = make([]watchdog.Device, len(s.devices))
	backing := make([]uint8, 0, total)
	for i, d := range s.devices {
		backing = d.window.into(&g.Devices[i], backing)
	}
	return g
}

// hanging is the look at a driver that does not answer. Nothing that was seen before is handed out, nor lost.
func (s *Source) hanging(asked time.Time) watchdog.GPU {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	silent, during, inCall := now.Sub(asked), "", time.Duration(0)
	if !s.call.since.IsZero() {
		inCall = now.Sub(s.call.since)
		silent, during = max(silent, inCall), fmt.Sprintf(" (call %v)", s.call)
	}
	g := watchdog.GPU{
		State:  watchdog.SourceFailed,
		Reason: fmt.Sprintf("NVML has not answered for %.1fs%s", silent.Seconds(), during),
	}
	for _, d := range s.devices {
		g.Devices = append(g.Devices, watchdog.Device{
			Index: d.window.index, UUID: d.window.uuid, Name: d.window.name, State: g.State, Reason: g.Reason,
		})
	}
	if !s.hung && inCall >= patience/2 { // below that it is merely slow
		s.hung = true
		s.log.Error("nvml does not answer", zap.Stringer("call", s.call), zap.Float64("silent_seconds", inCall.Seconds()))
	}
	return g
}

// Session is what NVML says of itself.
func (s *Source) Session() Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.session
}

// enter and leave keep track of the call that the worker is in.
func (s *Source) enter(c call, index int) {
	s.mu.Lock()
	s.call = running{c, index, time.Now()}
	s.mu.Unlock()
}

func (s *Source) leave() {
	s.mu.Lock()
	was, hung := s.call, s.hung
	s.call, s.hung = running{}, false
	s.mu.Unlock()
	if hung {
		s.log.Info("nvml answers again", zap.Stringer("call", was), zap.Float64("silent_seconds", time.Since(was.since).Seconds()))
	}
}

// Close ends the watch and shuts NVML down. A call that hangs is left behind after a second.
func (s *Source) Close() {
	s.stopping.Do(func() { close(s.stop) })
	timer := time.NewTimer(closePatience)
	defer timer.Stop()
	select {
	case <-s.finished:
	case <-timer.C:
		s.mu.Lock()
		call := s.call
		s.mu.Unlock()
		s.log.Warn("nvml left behind in a call", zap.Stringer("call", call))
	}
}
