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
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
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
	// notifier carries messages to people.
	notifier interface {
		Notify(m notify.Message)
		TakeBack(key, text string, fields map[string]any)
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

	// Drain is how long this pod is to be taken out of its service, which Draining tells, before the final look; 0 is not at all.
	Drain time.Duration
	// Rehearse asks the target whether it would stop this pod now, and changes nothing; nil where there is no target.
	Rehearse func(ctx context.Context) (string, error)
	// WhoUndid says who undid the last stop. It may be nil.
	WhoUndid func(ctx context.Context) (string, error)
	// Notifier tells people who do not read the log. It must not wait, and may be nil.
	Notifier notifier

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

	orders chan order
	// askNow lets the provider be asked about this pod at once.
	askNow chan struct{}
	herald herald
	// acting: it is about to ask for a stop, so the looks that an order causes ask for none.
	acting bool
	// ranFor is how old this start of the pod was when the loop was made, at madeAt.
	ranFor time.Duration
	madeAt time.Time
	// drainedSince is when the pod was taken out of its service for a stop; zero where it was not.
	drainedSince time.Time
	draining     atomic.Bool

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
	// asking is what led to the last stop that was asked for.
	asking atomic.Pointer[watchdog.Decision]
	// undoneNow: this start undid a stop, and nobody has been asked yet who did it.
	undoneNow bool
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
		orders: make(chan order),
		askNow: make(chan struct{}, 1),
		madeAt: time.Now(),
	}
	l.herald = herald{to: c.Notifier, name: c.Identity.Name, startID: c.Identity.StartID, dry: c.Identity.DryRun}
	l.beginStart()
	l.meter.resume(c.Kept.Spent)
	l.totals.Decisions = map[DecisionKey]uint64{}
	l.totals.Devices = map[string]DeviceTotals{}
	l.proveLastStop()
	return l
}

// Latest is the newest published view, nil before the first tick.
func (l *Loop) Latest() *View { return l.view.Load() }

// Deciding is what led to the stop that is being asked for, with the person at the head of its reasons who asked for it, if one did:
// the ticks go on meanwhile, and the newest decision is about that. It is safe for concurrent use.
func (l *Loop) Deciding() watchdog.Decision {
	if d := l.asking.Load(); d != nil {
		return *d
	}
	return watchdog.Decision{}
}

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
		case o := <-l.orders:
			l.obey(ctx, o)
		case <-ticker.C:
		}
	}
}

// beginStart finds how long this start of the pod has lasted: since this watchdog or one before it first saw it, or since its
// first process began.
func (l *Loop) beginStart() {
	id := l.Identity.StartID
	if l.kept.Began.StartID != id || id == "" {
		l.kept.Began = memory.Began{StartID: id, At: l.madeAt.Add(-l.Begun.ContainerAge.Or(0)).Round(0)}
	}
	l.ranFor = max(0, l.madeAt.Sub(l.kept.Began.At))
}

// age is how long this start of the pod has lasted.
func (l *Loop) age() time.Duration { return l.ranFor + time.Since(l.madeAt) }

// tick is one round: look, decide, publish, and act where that is decided.
func (l *Loop) tick(ctx context.Context) {
	d := l.step(ctx, false)
	switch {
	case l.stopping.running():
	case !d.Act:
		l.stayInService()
	case l.Drain > 0 && !l.drained(d.At):
	default:
		l.acting = true
		if _, err := l.finalLook(ctx, string(d.Reason()), "", stillDue); errors.Is(err, errHeld) {
			l.drain(false)
		}
		l.acting = false
	}
}

// step takes one look and lets the core decide about it.
func (l *Loop) step(ctx context.Context, final bool) watchdog.Decision {
	began := time.Now()
	s := l.look(ctx, final)
	if ctx.Err() != nil {
		return watchdog.Decision{} // this look was cut short by our own end: it says nothing of the pod
	}
	report := l.stopping.news()
	s.Stop = report
	if report.Phase == watchdog.StopRefused {
		l.describeNow() // why it was refused may last, and each further try would be in vain
	}
	before := l.state
	state, d := l.Rules.Decide(before, s)
	l.state = state
	if d.Activity == watchdog.Busy && !d.Capped {
		l.stopping.cancel()
	}
	l.note(s, d)
	l.wanted(d)
	l.lines.write(l.Log, l.line(d))
	l.herald.alarms(l.bells.ring(l.Log, l.alarms(d), s.At), d)
	l.herald.decision(d, state.Warned)
	l.remember(before, d, report)
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
	l.people(&s)
	l.reverted(&s)
	s.RunFor = watchdog.Known(l.age())
	if l.meter.priced {
		s.SpentTodayUSD = watchdog.Known(l.meter.spentOn(now))
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
