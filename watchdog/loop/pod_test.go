package loop

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/collector"
	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/notify"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// fakePod is a pod whose server is idle unless the test says otherwise, by the time since its beginning.
type fakePod struct {
	mu     sync.Mutex
	began  time.Time
	tokens float64
	// busy says whether a request is running at that age of the pod.
	busy func(age time.Duration) bool
	// change, where set, changes what a look finds.
	change func(age time.Duration, s *watchdog.Snapshot)
	looks  []time.Duration
	asks   []collector.Ask
}

func (p *fakePod) Look(_ context.Context, ask collector.Ask) watchdog.Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	age := time.Since(p.began)
	p.looks, p.asks = append(p.looks, age), append(p.asks, ask)
	running := 0.0
	if p.busy != nil && p.busy(age) {
		running = 1
		p.tokens += 10
	}
	s := watchdog.Snapshot{
		Servers: []watchdog.Server{{
			URL: "http://127.0.0.1:8000", Port: 8000, Outcome: watchdog.OutcomeAnswered, Health: watchdog.HealthOK, EngineSeries: true,
			Engines: []watchdog.Engine{{ID: "0", Running: watchdog.Known(running), Waiting: watchdog.Known(0.0),
				Counters: watchdog.Counters{watchdog.GenerationTokens: watchdog.Known(p.tokens)}}},
		}},
		GPU: watchdog.GPU{State: watchdog.SourceOK, Devices: []watchdog.Device{{UUID: "GPU-0", State: watchdog.SourceOK,
			Rate: watchdog.Known(0.0), Samples: []uint8{0, 0, 0}}}},
		Sockets: watchdog.Sockets{State: watchdog.SourceOK, Listening: []uint16{8000}},
		Host:    watchdog.Host{State: watchdog.SourceOK, CPUCores: watchdog.Known(0.02)},
	}
	if p.change != nil {
		p.change(age, &s)
	}
	return s
}

func (p *fakePod) lookAges() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Duration(nil), p.looks...)
}

// fakeProvider takes stop requests.
type fakeProvider struct {
	mu     sync.Mutex
	began  time.Time
	asked  []time.Duration
	answer watchdog.StopReport
	takes  time.Duration
	ended  []error
	// at is what happens when it is asked; nil is nothing.
	at func()
}

func (p *fakeProvider) Stop(ctx context.Context) watchdog.StopReport {
	p.mu.Lock()
	p.asked = append(p.asked, time.Since(p.began))
	p.mu.Unlock()
	if p.at != nil {
		p.at()
	}
	if p.takes > 0 {
		select {
		case <-ctx.Done():
			p.mu.Lock()
			p.ended = append(p.ended, ctx.Err())
			p.mu.Unlock()
			return watchdog.StopReport{Phase: watchdog.StopRefused, Detail: "abandoned"}
		case <-time.After(p.takes):
		}
	}
	return p.answer
}

func (p *fakeProvider) times() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]time.Duration(nil), p.asked...)
}

// fakeMemory keeps what was saved last.
type fakeMemory struct {
	mu   sync.Mutex
	last memory.Contents
	// synced is what was saved last with the order to wait for the disk.
	synced  memory.Contents
	saved   []time.Time
	hung    bool
	warning string
	// slow is how long a save that waits for the disk takes.
	slow time.Duration
}

func (m *fakeMemory) Save(c memory.Contents, sync bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = c
	if sync {
		m.synced = c
		<-time.After(m.slow)
	}
	m.saved = append(m.saved, time.Now())
}

func (m *fakeMemory) Flush(ctx context.Context) error {
	if m.hung {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (m *fakeMemory) Warning() string { return m.warning }

func (m *fakeMemory) kept() memory.Contents {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// stage is one loop with all its fakes: an armed RunPod pod at 1.50 $/h that stops after a minute of idleness and warns
// 10 s before.
type stage struct {
	loop     *Loop
	pod      *fakePod
	provider *fakeProvider
	memory   *fakeMemory
	people   *fakePeople
	logs     *observer.ObservedLogs
}

func newStage(change func(*Config)) *stage {
	core, logs := observer.New(zapcore.DebugLevel)
	now := time.Now()
	st := &stage{
		pod:      &fakePod{began: now},
		provider: &fakeProvider{began: now, answer: watchdog.StopReport{Phase: watchdog.StopAccepted, Target: "runpod", Rung: "v2_action"}},
		memory:   &fakeMemory{},
		people:   &fakePeople{},
		logs:     logs,
	}
	c := Config{
		Rules: &watchdog.Rules{
			CheckInterval: 5 * time.Second, StartupTimeout: 30 * time.Minute, BrokenLimit: 30 * time.Minute,
			WarnBefore: 10 * time.Second, Armed: true,
			Threshold: costmodel.Policy{Name: costmodel.Fixed, IdleLimit: time.Minute, CheckInterval: 5 * time.Second}.Threshold,
		},
		Identity: Identity{Name: "pod", StartID: "start-1", Policy: costmodel.Fixed, Armed: true, Target: Target{Kind: "runpod", ID: "abc", Action: "stop"}},
		Looker:   st.pod, Stopper: st.provider, Memory: st.memory, Notifier: st.people,
		Tariff:    costmodel.Tariff{Penalty: costmodel.Penalty{Factor: 10}},
		Price:     watchdog.Known(1.5),
		ColdStart: 3 * time.Minute, ColdStartUnseen: 30 * time.Second,
		Log: zap.New(core),
	}
	if change != nil {
		change(&c)
	}
	st.loop = New(c)
	return st
}

// fakePeople are told things.
type fakePeople struct {
	mu   sync.Mutex
	told []notify.Message
	back []string
}

func (p *fakePeople) Notify(m notify.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, m)
}

func (p *fakePeople) TakeBack(key, text string, _ map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.back = append(p.back, key)
	p.told = append(p.told, notify.Message{Kind: notify.StopTakenBack, Key: key, Text: text})
}

// of are the messages of one kind so far.
func (p *fakePeople) of(kind notify.Kind) (out []notify.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.told {
		if m.Kind == kind {
			out = append(out, m)
		}
	}
	return out
}

// begin runs the loop beside the test until what it returns is called, which waits for its end.
func (st *stage) begin(t *testing.T) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		st.loop.Run(ctx)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// run runs the loop for so long of the bubble's time.
func (st *stage) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	st.loop.Run(ctx)
}

// decisions are the logged decision lines, as field maps.
func (st *stage) decisions() []map[string]any {
	var out []map[string]any
	for _, e := range st.logs.FilterMessage("decision").All() {
		out = append(out, e.ContextMap())
	}
	return out
}
