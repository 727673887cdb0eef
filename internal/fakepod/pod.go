package fakepod

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

const (
	// PodID and APIKey are what the pod's environment says of itself.
	PodID  = "demo-pod"
	APIKey = "demo-key"
	// grace is the real time from an accepted stop to the end of the pod.
	grace = 300 * time.Millisecond
	// tokensAnswer, prefillTakes and tokenTakes shape an answer in pod time: four minutes of it stand for a spell of work.
	tokensAnswer = 40
	prefillTakes = 15 * time.Second
	tokenTakes   = 6 * time.Second
	thinks       = 20 * time.Second
	// leastToken keeps the cost of a very fast day bearable.
	leastToken = 4 * time.Millisecond
)

// Config says what pod to play.
type Config struct {
	Day Day
	// Speed is how many pod seconds pass in one real second.
	Speed float64
	// USDPerHour is what RunPod says that the pod costs, in its own hours.
	USDPerHour float64
	// GPU may be nil: the pod then has none that can be seen.
	GPU *GPU
	// Refused are the calls that RunPod refuses to the pod's key.
	Refused []runpodtest.Call
}

// Event is something that happened to the pod.
type Event struct {
	At   time.Duration
	Text string
}

// Pod is a rented pod with all that belongs to it.
type Pod struct {
	Server *Server
	RunPod *runpodtest.Server

	cfg     Config
	clock   Clock
	clients clients
	stopped chan struct{}
	once    sync.Once
	// played counts the episodes that have been played, hangUp ends the clients. Both belong to Play, and after it to Close.
	played int
	hangUp context.CancelFunc
}

// New makes a pod whose container has not started yet. Close takes everything away.
func New(cfg Config) (*Pod, error) {
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) / cfg.Speed) }
	server, err := NewServer(ServerConfig{
		Prefill: scaled(prefillTakes), PerToken: max(leastToken, scaled(tokenTakes)),
		OnLoad: cfg.GPU.Load, OnBurst: func() { cfg.GPU.Burst(58) },
	})
	if err != nil {
		return nil, err
	}
	p := &Pod{Server: server, cfg: cfg, clients: clients{url: server.URL()}, stopped: make(chan struct{})}
	p.RunPod, err = runpodtest.Listen("127.0.0.1:0", runpodtest.Options{
		PodID: PodID, APIKey: APIKey, CostUSDPerHour: cfg.USDPerHour, Refused: cfg.Refused,
		OnStop: func() { p.once.Do(func() { close(p.stopped) }) },
	})
	if err != nil {
		server.Close()
		return nil, err
	}
	return p, nil
}

// Start lets the container start now.
func (p *Pod) Start() {
	p.clock = Clock{Real: time.Now(), Begin: p.cfg.Day.Begin, Speed: p.cfg.Speed}
}

// Clock is the pod's clock; it is of use after Start.
func (p *Pod) Clock() Clock { return p.clock }

// Play lets the day happen, and tells each event as it does. It returns at the end of the day, when the pod was stopped
// and has ended (stopped), or with an error when ctx ends or something of the simulation fails. Whoever works then works
// on until Close, so that the last look at the pod finds it as it was. A day is played once.
func (p *Pod) Play(ctx context.Context, tell func(Event)) (stopped bool, err error) {
	working, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	p.hangUp = hangUp
	for _, e := range p.cfg.Day.Episodes {
		if ended, err := p.until(ctx, e.At); ended || err != nil {
			return ended, err
		}
		p.played++
		if e.Kind == Kernel && p.cfg.GPU == nil {
			continue // there is nothing to see it by
		}
		if e.Text != "" {
			tell(Event{e.At, e.Text})
		}
		if err := p.play(working, e); err != nil {
			return false, err
		}
	}
	return p.until(ctx, p.cfg.Day.End)
}

// NextWanted is when somebody wants the pod after what was played, and how many people do; of use once Play has returned.
func (p *Pod) NextWanted() (at time.Duration, people int) { return p.cfg.Day.wanted(p.played) }

// until waits for a time of day, or for the end of a pod that was stopped.
func (p *Pod) until(ctx context.Context, at time.Duration) (ended bool, err error) {
	timer := time.NewTimer(time.Until(p.clock.Instant(at)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-timer.C:
		return false, p.cfg.GPU.Err()
	case <-p.stopped:
	}
	last := time.NewTimer(grace)
	defer last.Stop()
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case <-last.C:
		return true, nil
	}
}

func (p *Pod) play(ctx context.Context, e Episode) error {
	switch e.Kind {
	case Nothing:
	case Ready:
		return p.Server.Ready()
	case Work:
		p.clients.come(ctx, e.Clients, visit{until: p.clock.Instant(e.At + e.For), tokens: tokensAnswer, think: p.clock.Scaled(thinks)})
	case Burst:
		p.clients.burst(ctx, e.Clients)
	case Kernel:
		p.cfg.GPU.Burst(71)
	case MassAbort:
		p.Server.StickGauges()
		p.clients.hangUpAll()
	default:
		return fmt.Errorf("episode at %s: no such kind %d", Label(e.At), e.Kind)
	}
	return nil
}

// Close takes the pod away, clients first. Play must have returned, if it was called.
func (p *Pod) Close() {
	if p.hangUp != nil {
		p.hangUp()
	}
	p.clients.wait()
	p.Server.Close()
	p.RunPod.Close()
}
