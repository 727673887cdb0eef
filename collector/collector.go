package collector

import (
	"context"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// gpuSource, socketSource, hostSource and ServerSource are what this package asks of the outside world.
type (
	gpuSource interface {
		Read(ctx context.Context) watchdog.GPU
	}
	socketSource interface {
		Read(ctx context.Context) watchdog.Sockets
	}
	hostSource interface {
		Read(ctx context.Context, elapsed time.Duration) watchdog.Host
	}
	terminalSource interface {
		Read(ctx context.Context) watchdog.People
	}
	// ServerSource reads one server, or says that it was not asked.
	ServerSource interface {
		Read(ctx context.Context) watchdog.Server
		Skipped() watchdog.Server
	}
)

// Served is one server and the port by which the socket table knows it, 0 where it is on another machine.
type Served struct {
	Source ServerSource
	Port   uint16
}

// leanEvery is how often servers are still read while GPU or sockets alone prove work.
const leanEvery = 15 * time.Second

// witnessTime is how long the servers wait for GPU and sockets to prove that they need not be asked.
const witnessTime = 50 * time.Millisecond

// Collector takes looks. It is not safe for concurrent use: there is one look at a time.
type Collector struct {
	GPU     gpuSource
	Sockets socketSource
	Host    hostSource
	// Terminals says what people do in this pod; nil where that cannot be seen.
	Terminals terminalSource
	Servers   []Served
	// Rows counts the rows of requests that have come in since it was called before, and says the most tokens that any of them has, in
	// its prompt and in its answer; unknown where one does not tell. It is nil where none are taken in, and must never wait.
	Rows func() (rows uint64, prompt, output watchdog.Maybe[float64])
	// Child tells of the server that a supervisor runs; nil where there is none. It must never wait.
	Child func(now time.Time) watchdog.Child
	// Whole: no look spares the servers. Where PROBE_MAX_TOKENS is set, what their counters say decides what the GPU's work was for.
	Whole bool

	lastFull time.Time
	lastLook time.Time
}

// Ask is what one look is wanted for.
type Ask struct {
	// Lean: the last window was work that GPU or sockets proved, so the servers may be spared if they prove it again.
	Lean bool
	// GPUThreshold is the utilisation, in percent, that proves work.
	GPUThreshold float64
}

// Look reads every source. It returns when all have answered or ctx ends; sources honour ctx themselves.
func (c *Collector) Look(ctx context.Context, ask Ask) watchdog.Snapshot {
	now := time.Now()
	elapsed := time.Duration(0)
	if !c.lastLook.IsZero() {
		elapsed = now.Sub(c.lastLook)
	}
	c.lastLook = now
	var s watchdog.Snapshot
	var witnesses, all sync.WaitGroup
	start := func(group *sync.WaitGroup, read func()) {
		group.Add(1)
		all.Go(func() { defer group.Done(); read() })
	}
	var host sync.WaitGroup
	start(&witnesses, func() { s.GPU = c.GPU.Read(ctx) })
	start(&witnesses, func() { s.Sockets = c.Sockets.Read(ctx) })
	start(&host, func() { s.Host = c.Host.Read(ctx, elapsed) })
	if c.Terminals != nil {
		start(&host, func() { s.People = c.Terminals.Read(ctx) })
	}

	spare := ask.Lean && !c.Whole && now.Sub(c.lastFull) < leanEvery && waited(&witnesses, witnessTime) && proven(s.GPU, s.Sockets, ask.GPUThreshold, elapsed)
	if !spare {
		c.lastFull = now
	}
	s.Servers = make([]watchdog.Server, len(c.Servers))
	for i, served := range c.Servers {
		if spare {
			s.Servers[i] = served.Source.Skipped()
		} else {
			all.Go(func() { s.Servers[i] = served.Source.Read(ctx) })
		}
	}
	all.Wait()
	if c.Rows != nil {
		s.Rows, s.RowPrompt, s.RowOutput = c.Rows()
	}
	if c.Child != nil {
		s.Child = c.Child(time.Now())
	}
	for i, served := range c.Servers {
		s.Servers[i].Port = served.Port
	}
	return s
}

// waited waits for the group, at most so long, and says whether it is done.
func waited(group *sync.WaitGroup, atMost time.Duration) bool {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	timer := time.NewTimer(atMost)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// proven says that GPU or sockets show work without any page: a sample at the threshold, or an answer that was being
// streamed within this window.
func proven(gpu watchdog.GPU, sockets watchdog.Sockets, threshold float64, elapsed time.Duration) bool {
	for _, d := range gpu.Devices {
		for _, percent := range d.Samples {
			if float64(percent) >= threshold {
				return true
			}
		}
	}
	for _, c := range sockets.Connections {
		if !c.HalfClosed && c.Received > 0 && c.SinceReceived-c.SinceSent >= time.Second && c.SinceSent < min(time.Second, elapsed) {
			return true
		}
	}
	return false
}
