package watchdog

import (
	"fmt"
	"slices"
	"time"
)

// The fixture is a pod on which everything is well and nobody works: one vLLM that answers, one GPU at rest, a socket
// table without connections. Each test breaks one thing of it.

const (
	fixtureURL      = "http://127.0.0.1:8000"
	fixtureStart    = "start-1"
	fixtureInterval = 5 * time.Second
	fixtureT        = time.Minute      // B and, by the fixture's policy, T
	fixtureWarn     = 20 * time.Second // WARN_BEFORE
	fixtureBroken   = time.Minute      // BROKEN_LIMIT
	fixtureStartup  = 2 * time.Minute  // STARTUP_TIMEOUT
)

var fixtureEpoch = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

func fixtureRules() *Rules {
	return &Rules{
		CheckInterval:  fixtureInterval,
		StartupTimeout: fixtureStartup,
		BrokenLimit:    fixtureBroken,
		WarnBefore:     fixtureWarn,
		Threshold:      func(q Quote) time.Duration { return q.BreakEven },
		Armed:          true,
	}
}

// fixtureServer is the n-th server; all of its counters stand at 100, so it has served before.
func fixtureServer(n int) Server {
	e := Engine{
		ID: "0", Running: Known(0.0), Waiting: Known(0.0), KVUsage: Known(0.0), Awake: Known(true),
		FirstTokenSecondsSum: Known(1.0),
	}
	for c := range e.Counters {
		e.Counters[c] = Known(100.0)
	}
	s := Server{
		URL: fixtureURL, Port: 8000, Outcome: OutcomeAnswered, Health: HealthOK, Version: "0.32.0",
		EngineSeries: true, HTTPSeries: true, Engines: []Engine{e},
		HTTPRequests: Known(10.0), Load: Known(0.0), StartedAt: 1.7e9, Took: 3 * time.Millisecond,
	}
	if n > 0 {
		s.URL, s.Port = fmt.Sprintf("http://127.0.0.1:%d", 8000+n), uint16(8000+n)
	}
	return s
}

func fixtureDevice(n int) Device {
	return Device{
		UUID: fmt.Sprintf("GPU-%d", n), Name: "Card", Index: n, State: SourceOK,
		Samples: []uint8{0, 0, 0, 0, 0}, SamplePeriod: time.Second,
		Rate: Known(0.0), MemoryRate: Known(0.0), PowerWatts: Known(60.0),
	}
}

func fixtureQuote() Quote {
	return Quote{
		PriceUSDPerHour: Known(1.5), SavingUSDPerHour: Known(1.5), ColdStart: 20 * time.Second,
		ColdStartUSD: Known(0.025), BreakEven: fixtureT, BillBreakEven: 20 * time.Second, Policy: "breakeven",
	}
}

func fixtureSnapshot(servers int) Snapshot {
	s := Snapshot{
		StartID: fixtureStart, Elapsed: fixtureInterval,
		GPU:     GPU{State: SourceOK, Devices: []Device{fixtureDevice(0)}},
		Sockets: Sockets{State: SourceOK},
		Host:    Host{State: SourceOK, CPUCores: Known(0.05)},
		Pod:     Pod{PriceUSDPerHour: Known(1.5), Locked: Known(false), Status: "RUNNING"},
		Quote:   fixtureQuote(),
	}
	for n := range servers {
		s.Servers = append(s.Servers, fixtureServer(n))
		s.Sockets.Listening = append(s.Sockets.Listening, s.Servers[n].Port)
	}
	return s
}

// clone copies a snapshot with all that it points to.
func (s Snapshot) clone() Snapshot {
	s.Servers = slices.Clone(s.Servers)
	for i := range s.Servers {
		s.Servers[i].Engines = slices.Clone(s.Servers[i].Engines)
	}
	s.GPU.Devices = slices.Clone(s.GPU.Devices)
	for i := range s.GPU.Devices {
		s.GPU.Devices[i].Samples = slices.Clone(s.GPU.Devices[i].Samples)
	}
	s.Sockets.Listening = slices.Clone(s.Sockets.Listening)
	s.Sockets.Connections = slices.Clone(s.Sockets.Connections)
	return s
}
