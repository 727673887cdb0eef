package collector

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// stage is what one look finds: fakes for every source.
type stage struct {
	gpu     watchdog.GPU
	sockets watchdog.Sockets
	// slow is how long the socket table takes.
	slow  time.Duration
	asked int
}

func (s *stage) collector() *Collector {
	return &Collector{GPU: gpuFake{s}, Sockets: socketFake{s}, Host: hostFake{}, Servers: []Served{{Source: serverFake{s}, Port: 8000}}}
}

type (
	gpuFake    struct{ *stage }
	socketFake struct{ *stage }
	hostFake   struct{}
	serverFake struct{ *stage }
)

func (f gpuFake) Read(context.Context) watchdog.GPU { return f.gpu }

func (f socketFake) Read(context.Context) watchdog.Sockets {
	time.Sleep(f.slow)
	return f.sockets
}

func (hostFake) Read(context.Context, time.Duration) watchdog.Host {
	return watchdog.Host{State: watchdog.SourceOK}
}

func (f serverFake) Read(context.Context) watchdog.Server {
	f.asked++
	return watchdog.Server{Outcome: watchdog.OutcomeAnswered}
}

func (serverFake) Skipped() watchdog.Server { return watchdog.Server{Outcome: watchdog.OutcomeSkipped} }

// streaming is a connection whose last bytes went so long ago, and whose request came long before.
func streaming(sent time.Duration) watchdog.Sockets {
	return watchdog.Sockets{State: watchdog.SourceOK, Connections: []watchdog.Connection{
		{Cookie: 1, Port: 8000, Received: 300, Sent: 5000, SinceReceived: time.Minute, SinceSent: sent},
	}}
}

// TestServersAreSparedOnlyWhileWorkIsProven: a look that asks no server must find by itself what makes its window busy.
func TestServersAreSparedOnlyWhileWorkIsProven(t *testing.T) {
	busyGPU := watchdog.GPU{State: watchdog.SourceOK, Devices: []watchdog.Device{{Samples: []uint8{0, 60}}}}
	closed := streaming(100 * time.Millisecond)
	closed.Connections[0].HalfClosed = true
	for _, c := range []struct {
		name   string
		stage  stage
		every  time.Duration
		lean   bool
		spared bool
	}{
		{"a stream goes on", stage{sockets: streaming(100 * time.Millisecond)}, 5 * time.Second, true, true},
		{"the GPU works", stage{gpu: busyGPU}, 5 * time.Second, true, true},
		{"nothing was proven before", stage{gpu: busyGPU}, 5 * time.Second, false, false},
		{"the stream stood still for a second", stage{sockets: streaming(1100 * time.Millisecond)}, 5 * time.Second, true, false},
		{"the stream ended before this window", stage{sockets: streaming(600 * time.Millisecond)}, 500 * time.Millisecond, true, false},
		{"its client left", stage{sockets: closed}, 5 * time.Second, true, false},
		{"the GPU is below the threshold", stage{gpu: watchdog.GPU{Devices: []watchdog.Device{{Samples: []uint8{4}}}}}, 5 * time.Second, true, false},
		{"the witnesses are slow", stage{sockets: streaming(0), slow: time.Second}, 5 * time.Second, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &c.stage
				of := s.collector()
				of.Look(t.Context(), Ask{})
				time.Sleep(c.every - s.slow)
				s.asked = 0
				got := of.Look(t.Context(), Ask{Lean: c.lean, GPUThreshold: 5})
				if spared := s.asked == 0; spared != c.spared || spared != (got.Servers[0].Outcome == watchdog.OutcomeSkipped) {
					t.Errorf("the server was asked %d times and reads %+v", s.asked, got.Servers[0])
				}
				if got.Servers[0].Port != 8000 {
					t.Errorf("the server's port is %d", got.Servers[0].Port)
				}
			})
		})
	}
}

// TestServersAreAskedFromTimeToTime: their figures are wanted also under work that lasts for hours.
func TestServersAreAskedFromTimeToTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{sockets: streaming(100 * time.Millisecond)}
		of := s.collector()
		for range 100 {
			of.Look(t.Context(), Ask{Lean: true})
			time.Sleep(time.Second)
		}
		if s.asked < 6 || s.asked > 8 {
			t.Errorf("asked %d times in 100 s, want each 15 s", s.asked)
		}
	})
}

// TestServersAreNeverSparedWhereEachRequestIsJudged: what their counters say about each request decides.
func TestServersAreNeverSparedWhereEachRequestIsJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stage{sockets: streaming(100 * time.Millisecond)}
		of := s.collector()
		of.Whole = true
		for range 100 {
			of.Look(t.Context(), Ask{Lean: true})
			time.Sleep(time.Second)
		}
		if s.asked != 100 {
			t.Errorf("asked %d times in 100 looks", s.asked)
		}
	})
}

// What the rows are is told as it comes in, and nothing where none are taken in.
func TestRowsAreTold(t *testing.T) {
	c := (&stage{}).collector()
	if s := c.Look(t.Context(), Ask{}); s.Rows != 0 || s.RowPrompt.Known {
		t.Errorf("%d rows where none are taken in", s.Rows)
	}
	c.Rows = func() (uint64, watchdog.Maybe[float64], watchdog.Maybe[float64]) {
		return 3, watchdog.Known(7.), watchdog.Known(1.)
	}
	if s := c.Look(t.Context(), Ask{}); s.Rows != 3 || s.RowPrompt != watchdog.Known(7.) || s.RowOutput != watchdog.Known(1.) {
		t.Errorf("%d rows, %+v and %+v", s.Rows, s.RowPrompt, s.RowOutput)
	}
}

// What a supervisor tells is told on, as it stands when the other sources have answered.
func TestTheSupervisedServerIsTold(t *testing.T) {
	c := (&stage{}).collector()
	if s := c.Look(t.Context(), Ask{}); s.Child.Known {
		t.Errorf("%+v where nobody supervises", s.Child)
	}
	before := time.Now()
	c.Child = func(now time.Time) watchdog.Child {
		return watchdog.Child{Known: true, RunningFor: now.Sub(before)}
	}
	if s := c.Look(t.Context(), Ask{}); !s.Child.Known || s.Child.RunningFor < 0 {
		t.Errorf("the server is told as %+v", s.Child)
	}
}
