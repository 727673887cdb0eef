package loop

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector"
	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

type (
	// looker takes one look at the pod; a source that fails is part of the answer.
	looker interface {
		Look(ctx context.Context, ask collector.Ask) watchdog.Snapshot
	}
	// stopper asks the provider to stop this pod, by every way that it has.
	stopper interface {
		Stop(ctx context.Context) watchdog.StopReport
	}
	// provider says what the provider knows of this pod, and what that tells of our permission.
	provider interface {
		Describe(ctx context.Context) (watchdog.Pod, Permission, string)
	}
	// keeper is the memory.
	keeper interface {
		Save(c memory.Contents, sync bool)
		Flush(ctx context.Context) error
		Warning() string
	}
)

// Config is all that a loop is made of.
type Config struct {
	Rules    *watchdog.Rules
	Identity Identity
	Looker   looker
	// Stopper is a dry one under DRY_RUN, and nil where nothing is armed.
	Stopper stopper
	// Provider may be nil.
	Provider provider
	Memory   keeper
	// Kept is what the memory held at the start.
	Kept memory.Contents

	Tariff costmodel.Tariff
	// Price is the configured price; unknown leaves it to the provider.
	Price watchdog.Maybe[float64]
	// ColdStart is the prior of C, ColdStartUnseen the part of a start that cannot be seen from inside.
	ColdStart, ColdStartUnseen time.Duration
	Begun                      costmodel.Begun

	// Warnings are what the wiring found; Report adds what other rooms have to say at each tick. Report may be nil.
	Warnings   []string
	Report     func() []string
	Persistent bool
	// Answers counts what the ladder was told, by target and result. It may be nil.
	Answers func() map[AttemptKey]uint64
	// Observed is told how long each tick took, in seconds; Published gets each view, and Started each start that was measured,
	// again when its first token is known. They must not wait, and may be nil.
	Observed  func(seconds float64)
	Published func(*View)
	Started   func(costmodel.Start)
	Log       *zap.Logger
}

// Loop is the live watchdog. Run owns the ticker; tick does the work.
type Loop struct {
	Config
	state watchdog.State
	kept  memory.Contents
	view  atomic.Pointer[View]

	tickNo   uint64
	lastLook time.Time
	lastAsk  collector.Ask
	began    time.Time

	meter    meter
	starts   *costmodel.StartMeter
	lines    lines
	bells    bells
	health   map[string]SourceHealth
	seen     map[string]time.Time
	totals   Counters
	pod      atomic.Pointer[described]
	stopping attempt
	// stopBefore is the stop that the memory held before the one that a final look is about.
	stopBefore *memory.Stop
	lastSave   time.Time
}

type described struct {
	pod        watchdog.Pod
	permission Permission
	detail     string
}

const (
	// lookMost is the longest that one look may take.
	lookMost = 2 * time.Second
	// finalApart is the least distance of the two final looks.
	finalApart = time.Second
	// flushMost is how long a stop waits for the memory.
	flushMost = 5 * time.Second
	// describeEvery is how often the provider is asked what it knows; describeSoon after a failure.
	describeEvery = 10 * time.Minute
	describeSoon  = time.Minute
	describeMost  = 15 * time.Second
	// saveEvery is how old the idle clock on disk may become in quiet.
	saveEvery = 2 * time.Second
)

// New makes a loop. It takes up the state that was kept, if it was kept under the same identity.
func New(c Config) *Loop {
	l := &Loop{
		Config: c,
		state:  watchdog.Resume(c.Kept.State, c.Identity.StartID),
		kept:   c.Kept,
		starts: costmodel.NewStartMeter(c.Begun),
		health: map[string]SourceHealth{},
		seen:   map[string]time.Time{},
	}
	l.totals.Decisions = map[DecisionKey]uint64{}
	l.totals.Devices = map[string]DeviceTotals{}
	l.proveLastStop()
	return l
}

// Latest is the newest published view, nil before the first tick.
func (l *Loop) Latest() *View { return l.view.Load() }

// Run ticks until ctx ends. A tick that is late is counted, and never made up for. Run never returns because of a stop
// that it asked for: a container that exits is started again and costs on.
func (l *Loop) Run(ctx context.Context) {
	l.began = time.Now()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.describe(ctx)
	}()
	defer func() { <-done }()
	defer l.stopping.wait()

	ticker := time.NewTicker(l.Rules.CheckInterval)
	defer ticker.Stop()
	for {
		l.tick(ctx)
		select {
		case <-ctx.Done():
			l.keep(true)
			return
		case <-ticker.C:
		}
	}
}

// tick is one round: look, decide, publish, and act where that is decided.
func (l *Loop) tick(ctx context.Context) {
	d := l.step(ctx, false)
	if d.Act && !l.stopping.running() {
		l.finalLook(ctx)
	}
}

// step takes one look and lets the core decide about it.
func (l *Loop) step(ctx context.Context, final bool) watchdog.Decision {
	began := time.Now()
	s := l.look(ctx, final)
	if ctx.Err() != nil {
		return watchdog.Decision{} // this look was cut short by our own end: it says nothing of the pod
	}
	s.Stop = l.stopping.news()
	before := l.state
	state, d := l.Rules.Decide(before, s)
	l.state = state
	if d.Activity == watchdog.Busy {
		l.stopping.cancel()
	}
	l.note(s, d)
	l.lines.write(l.Log, l.line(d))
	l.bells.ring(l.Log, l.alarms(d), s.At)
	l.remember(before, d, s.At)
	l.totals.TickSeconds = time.Since(began).Seconds()
	l.publish(s, d)
	if l.Observed != nil {
		l.Observed(l.totals.TickSeconds)
	}
	return d
}

// look takes one look and adds what the loop itself knows.
func (l *Loop) look(ctx context.Context, final bool) watchdog.Snapshot {
	deadline, cancel := context.WithTimeout(ctx, min(max(l.Rules.CheckInterval, 500*time.Millisecond), lookMost))
	defer cancel()
	ask := l.lastAsk
	if final {
		ask.Lean = false
	}
	s := l.Looker.Look(deadline, ask)
	now := time.Now()
	l.tickNo++
	s.Tick, s.At, s.Final, s.StartID = l.tickNo, now, final, l.Identity.StartID
	if !l.lastLook.IsZero() {
		s.Elapsed = now.Sub(l.lastLook)
		s.WallStep = now.Round(0).Sub(l.lastLook.Round(0)) - s.Elapsed
		if !final && s.Elapsed > l.Rules.CheckInterval*3/2 {
			l.totals.LateTicks++
		}
	}
	l.lastLook = now
	if known := l.pod.Load(); known != nil {
		s.Pod = known.pod
	}
	c, samples := costmodel.ColdStart(l.ColdStart, l.ColdStartUnseen, l.kept.Starts)
	s.Quote = l.Tariff.Quote(l.Price(), c)
	s.Quote.Policy = l.Identity.Policy
	l.meter.samples = samples
	return s
}

// note counts what a look and its decision say.
func (l *Loop) note(s watchdog.Snapshot, d watchdog.Decision) {
	l.totals.Ticks++
	l.totals.Decisions[DecisionKey{l.verdict(d), string(d.Reason())}]++
	l.meter.pass(l.Tariff, s, d)
	l.measureStart(s)
	l.lastAsk = collector.Ask{GPUThreshold: d.GPUThresholdPercent}
	for _, b := range d.Reasons {
		l.lastAsk.Lean = l.lastAsk.Lean || b.Code == watchdog.GPUActive || b.Code == watchdog.ConnectionActive
	}
	l.countSources(s)
	l.countDevices(s, d)
	l.totals.UnprovenFor = 0
	if a := l.state.Attempt; a.Unproven {
		l.totals.UnprovenFor = l.stopping.sinceAccepted(s.At)
	}
}

// measureStart follows the starts of pod, container and server.
func (l *Loop) measureStart(s watchdog.Snapshot) {
	done, extra := l.starts.Look(s)
	if done.Known {
		l.kept.Starts = costmodel.KeepStarts(append(l.kept.Starts, done.Value))
		l.tellStart(done.Value)
		l.Log.Info("cold start measured", zap.String("kind", string(done.Value.Kind)), zap.Float64("measured_seconds", done.Value.Ready.Seconds()))
	}
	if n := len(l.kept.Starts); extra.Known && n > 0 {
		l.kept.Starts[n-1].FirstToken = extra.Value
		l.tellStart(l.kept.Starts[n-1])
		l.Log.Info("first token after a start measured", zap.Float64("beyond_usual_seconds", extra.Value.Seconds()))
	}
}

func (l *Loop) tellStart(s costmodel.Start) {
	if l.Started != nil {
		l.Started(s)
	}
}

// Introduce asks the provider for the first time, within ctx, so that the banner knows the price. It is called before Run,
// or not at all.
func (l *Loop) Introduce(ctx context.Context) {
	if l.Provider != nil {
		l.askProvider(ctx)
	}
}

// Price is what an hour of this pod costs: as configured, else as the provider says.
func (l *Loop) Price() watchdog.Maybe[float64] {
	if known := l.pod.Load(); !l.Config.Price.Known && known != nil {
		return known.pod.PriceUSDPerHour
	}
	return l.Config.Price
}

// describe asks the provider about this pod from time to time, beside the ticks.
func (l *Loop) describe(ctx context.Context) {
	if l.Provider == nil {
		return
	}
	wait := time.Duration(0)
	if known := l.pod.Load(); known != nil {
		wait = known.fresh()
	}
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		call, cancel := context.WithTimeout(ctx, describeMost)
		wait = l.askProvider(call).fresh()
		cancel()
	}
}

// askProvider asks once. What was known stays known where the question fails.
func (l *Loop) askProvider(ctx context.Context) *described {
	pod, permission, detail := l.Provider.Describe(ctx)
	answer := &described{pod, permission, detail}
	was := l.pod.Load()
	if !errors.Is(ctx.Err(), context.Canceled) {
		l.tellProvider(was, answer)
	}
	if was != nil {
		if !pod.PriceUSDPerHour.Known {
			answer.pod.PriceUSDPerHour = was.pod.PriceUSDPerHour
		}
		if !pod.Locked.Known {
			answer.pod.Locked = was.pod.Locked
		}
	}
	l.pod.Store(answer)
	return answer
}

// tellProvider logs that the provider says too little of this pod, once for each reason, and when that is over.
func (l *Loop) tellProvider(was, now *described) {
	before := ""
	if was != nil {
		before = was.detail
	}
	switch {
	case now.detail == before:
	case now.detail == "":
		l.Log.Info("pod read from provider again")
	default:
		l.Log.Warn("pod not read from provider", zap.String("detail", now.detail))
	}
}

// fresh is how long the answer is good for: one that lacks the price is asked for again soon.
func (d *described) fresh() time.Duration {
	if !d.pod.PriceUSDPerHour.Known {
		return describeSoon
	}
	return describeEvery
}
