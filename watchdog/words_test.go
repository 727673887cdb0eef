package watchdog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// vocabulary has the words of timelines; those about a server exist a second time with "b:" before them.
var vocabulary = map[string]act{
	"idle": func(*scene, *Snapshot, string) error { return nil },

	// the look itself
	"elapsed": duration(func(s *Snapshot, d time.Duration) { s.Elapsed = d }),
	"wall":    duration(func(s *Snapshot, d time.Duration) { s.WallStep = d }),
	"final":   plain(func(s *Snapshot) { s.Final, s.Elapsed = true, time.Second }),

	// the pod and its price
	"noid":     plain(func(s *Snapshot) { s.StartID = "" }),
	"locked":   plain(func(s *Snapshot) { s.Pod.Locked = Known(true) }),
	"refuses":  plain(func(s *Snapshot) { s.Pod.Refused = "three replicas" }),
	"unlocked": plain(func(s *Snapshot) { s.Pod.Locked = Known(false) }),
	"unpriced": plain(func(s *Snapshot) { s.Quote.PriceUSDPerHour = Maybe[float64]{} }),
	"priced":   plain(func(s *Snapshot) { s.Quote.PriceUSDPerHour = Known(1.5) }),
	"B":        duration(func(s *Snapshot, d time.Duration) { s.Quote.BreakEven = d }),
	"nosaving": plain(func(s *Snapshot) { s.Quote.NoSaving = true }),
	"saves":    plain(func(s *Snapshot) { s.Quote.NoSaving = false }),

	// news of a stop
	"asked":    plain(func(s *Snapshot) { s.Stop = StopReport{Phase: StopAsked} }),
	"accepted": plain(func(s *Snapshot) { s.Stop = StopReport{Phase: StopAccepted, Target: "runpod", Rung: "v2_action"} }),
	"refused_stop": duration(func(s *Snapshot, d time.Duration) {
		s.Stop = StopReport{Phase: StopRefused, Target: "runpod", Detail: "status 500", RetryAfter: d}
	}),
	"would": plain(func(s *Snapshot) { s.Stop = StopReport{Phase: StopWouldHave, Target: "runpod"} }),

	// the GPU
	"gpu":   number(func(s *Snapshot, v float64) { sample(&s.GPU.Devices[0], v, true) }),
	"burst": number(func(s *Snapshot, v float64) { sample(&s.GPU.Devices[0], v, false) }),
	"rate":  number(func(s *Snapshot, v float64) { s.GPU.Devices[0].Rate = Known(v) }),
	"mem":   number(func(s *Snapshot, v float64) { s.GPU.Devices[0].MemoryRate = Known(v) }),
	"watts": number(func(s *Snapshot, v float64) { s.GPU.Devices[0].PowerWatts = Known(v) }),
	"ring":  plain(func(s *Snapshot) { s.GPU.Devices[0].Samples = nil }), // nothing new in the ring
	"norate": plain(func(s *Snapshot) {
		s.GPU.Devices[0].Rate, s.GPU.Devices[0].MemoryRate = Maybe[float64]{}, Maybe[float64]{}
	}),
	"gap":        plain(func(s *Snapshot) { s.GPU.Devices[0].Gap = true }),
	"gpu_absent": plain(func(s *Snapshot) { s.GPU = GPU{State: SourceAbsent, Reason: "no NVML library"} }),
	"gpu_none":   plain(func(s *Snapshot) { s.GPU = GPU{State: SourceOK} }), // GPUS names none of those that are there
	"gpu_failed": plain(func(s *Snapshot) { s.GPU = GPU{State: SourceFailed, Reason: "no answer"} }),
	"gpu_mig": plain(func(s *Snapshot) {
		s.GPU.Devices[0] = Device{UUID: "GPU-0", State: SourceAbsent, Reason: "MIG"}
	}),
	"second_gpu": plain(func(s *Snapshot) { s.GPU.Devices = append(s.GPU.Devices, fixtureDevice(1)) }),
	"gpu2":       number(func(s *Snapshot, v float64) { sample(&s.GPU.Devices[1], v, true) }),
	// the other devices are good, and this one still shows what it read last
	"gpu_stale": plain(func(s *Snapshot) { s.GPU.Devices[0].State, s.GPU.Devices[0].Reason = SourceFailed, "GPU is lost" }),
	"gpu_lost": plain(func(s *Snapshot) {
		d := &s.GPU.Devices[0]
		*d = Device{UUID: d.UUID, State: SourceFailed, Reason: "GPU is lost"}
		s.GPU.State, s.GPU.Reason = SourceFailed, "GPU 0 is lost"
	}),

	// the server's supervisor: it runs for so long, so many of its starts have failed, it has ended with 0
	"ran": duration(func(s *Snapshot, d time.Duration) {
		s.Child.Known, s.Child.Running, s.Child.RunningFor = true, true, d
	}),
	"failures": number(func(s *Snapshot, v float64) { s.Child.Known, s.Child.Failures, s.Child.Status = true, uint64(v), 1 }),
	"done":     plain(func(s *Snapshot) { s.Child = Child{Known: true, Done: true, Tail: []string{"finished"}} }),

	// people, and what the pod has had
	"hold": func(sc *scene, s *Snapshot, arg string) error {
		d, err := time.ParseDuration(arg)
		s.People.HoldUntil, s.People.HoldBy, s.People.HoldWhy = sc.at.Add(d), "ann", "a demonstration"
		return err
	},
	"postponed": func(sc *scene, s *Snapshot, arg string) error {
		d, err := time.ParseDuration(arg)
		s.People.PostponedUntil = sc.at.Add(d)
		return err
	},
	"released": plain(func(s *Snapshot) { s.People.HoldUntil, s.People.PostponedUntil = time.Time{}, time.Time{} }),
	"terminal": duration(func(s *Snapshot, d time.Duration) {
		s.People.TerminalUsed, s.People.Terminal = Known(d), "pts/0"
	}),
	"undone": func(sc *scene, s *Snapshot, arg string) error {
		d, err := time.ParseDuration(arg)
		s.RevertedUntil, s.Reverted = sc.at.Add(d), "two stops were undone"
		return err
	},
	"runfor": duration(func(s *Snapshot, d time.Duration) { s.RunFor = Known(d) }),
	"spent":  number(func(s *Snapshot, v float64) { s.SpentTodayUSD = Known(v) }),
	"intake": number(func(s *Snapshot, v float64) { s.Host.ReceivedBytesPerSecond = Known(v) }),

	// rows, host and sockets
	"rows": number(func(s *Snapshot, v float64) { s.Rows = uint64(v) }),
	"cpu":  number(func(s *Snapshot, v float64) { s.Host.CPUCores = Known(v) }),
	"own":  number(func(s *Snapshot, v float64) { s.Host.OwnCores = Known(v) }),
	"listening": number(func(s *Snapshot, v float64) {
		s.Sockets.State, s.Sockets.Listening = SourceOK, append(slices.Clone(s.Sockets.Listening), uint16(v))
	}),
	// the most tokens of the rows' prompts and of their answers
	"rowsize":        number(func(s *Snapshot, v float64) { s.RowPrompt, s.RowOutput = Known(v), Known(v) }),
	"host_failed":    plain(func(s *Snapshot) { s.Host = Host{State: SourceFailed, Reason: "no such file"} }),
	"nohost":         plain(func(s *Snapshot) { s.Host = Host{State: SourceAbsent, Reason: "no cgroup"} }),
	"sockets_absent": plain(func(s *Snapshot) { s.Sockets = Sockets{State: SourceAbsent, Reason: "no listener"} }),
	"sockets_failed": plain(func(s *Snapshot) { s.Sockets = Sockets{State: SourceFailed, Reason: "no answer"} }),
}

// serverVocabulary has the words about one server.
var serverVocabulary = map[string]func(base, s *Server, arg string) error{
	"running": onServer(func(s *Server, v float64) { s.Engines[0].Running = Known(v) }),
	"waiting": onServer(func(s *Server, v float64) { s.Engines[0].Waiting = Known(v) }),
	"kv":      onServer(func(s *Server, v float64) { s.Engines[0].KVUsage = Known(v) }),
	"load":    onServer(func(s *Server, v float64) { s.Load = Known(v) }),
	"noload":  func(_, s *Server, _ string) error { s.Load = Maybe[float64]{}; return nil },
	"asleep":  func(_, s *Server, _ string) error { s.Engines[0].Awake = Known(false); return nil },
	"nogauges": func(_, s *Server, _ string) error {
		for i := range s.Engines {
			s.Engines[i].Running, s.Engines[i].Waiting, s.Engines[i].KVUsage = Maybe[float64]{}, Maybe[float64]{}, Maybe[float64]{}
		}
		return nil
	},
	"nocounters": func(_, s *Server, _ string) error {
		for i := range s.Engines {
			s.Engines[i].Counters = Counters{}
		}
		return nil
	},
	"dead":       func(_, s *Server, _ string) error { s.Health, s.Detail = HealthDead, "/health answers 503"; return nil },
	"mute":       func(_, s *Server, _ string) error { s.Mute, s.Detail = true, "/load no whole answer"; return nil },
	"refused":    outcome(OutcomeRefused, "nobody listens there"),
	"timeout":    outcome(OutcomeTimeout, "no whole answer"),
	"unreadable": outcome(OutcomeUnreadable, "is an HTML page"),
	"skipped":    outcome(OutcomeSkipped, ""),
	// --disable-log-stats: the page keeps its HTTP counters only
	"nostats":   func(_, s *Server, _ string) error { s.EngineSeries, s.Engines = false, nil; return nil },
	"noengines": func(_, s *Server, _ string) error { s.Engines = nil; return nil },
	"nohttp": func(_, s *Server, _ string) error {
		s.HTTPSeries, s.HTTPRequests = false, Maybe[float64]{}
		return nil
	},
	"remote": func(_, s *Server, _ string) error { s.Port = 0; return nil },
	// several API servers: the page does not say when its processes began
	"unstamped": func(_, s *Server, _ string) error { s.StartedAt = 0; return nil },

	// what stays
	"tokens":   moves(func(s *Server) { bump(s, PromptTokens, 7); bump(s, GenerationTokens, 20) }),
	"finished": moves(func(s *Server) { bump(s, FinishedRequests, 1) }),
	"steps":    moves(func(s *Server) { bump(s, EngineSteps, 1) }),
	"prefix":   moves(func(s *Server) { bump(s, PrefixQueries, 7) }),
	"http":     moves(func(s *Server) { s.HTTPRequests = Known(s.HTTPRequests.Or(0) + 1) }),
	"zeroed": moves(func(s *Server) { // counters begin anew at 0
		for i := range s.Engines {
			for c := range s.Engines[i].Counters {
				s.Engines[i].Counters[c] = Known(0.0)
			}
		}
		s.HTTPRequests = Known(0.0)
	}),
	"ebbed":     moves(func(s *Server) { bump(s, Preemptions, -50) }),
	"restamped": moves(func(s *Server) { s.StartedAt++ }),
	"second_engine": moves(func(s *Server) {
		e := s.Engines[0]
		e.ID = "1"
		s.Engines = append(s.Engines[:1:1], e)
	}),
	"one_engine":  moves(func(s *Server) { s.Engines = s.Engines[:1:1] }),
	"renumbered":  moves(func(s *Server) { s.Engines[len(s.Engines)-1].ID = "7" }),
	"first_token": moves(func(s *Server) { bump(s, FirstTokens, 1) }),
}

func init() {
	for name, f := range serverVocabulary {
		for i, prefix := range []string{"", "b:"} {
			vocabulary[prefix+name] = func(sc *scene, s *Snapshot, arg string) error {
				if i >= len(s.Servers) {
					return fmt.Errorf("there is no server %d", i)
				}
				return f(&sc.base.Servers[i], &s.Servers[i], arg)
			}
		}
	}
}

func plain(f func(*Snapshot)) act {
	return func(_ *scene, s *Snapshot, arg string) error {
		if arg != "" {
			return fmt.Errorf("takes no argument")
		}
		f(s)
		return nil
	}
}

func duration(f func(*Snapshot, time.Duration)) act {
	return func(_ *scene, s *Snapshot, arg string) error {
		if arg == "" {
			arg = "0s"
		}
		d, err := time.ParseDuration(strings.TrimPrefix(arg, "+"))
		f(s, d)
		return err
	}
}

func number(f func(*Snapshot, float64)) act {
	return func(_ *scene, s *Snapshot, arg string) error {
		v, err := strconv.ParseFloat(arg, 64)
		if err == nil {
			f(s, v)
		}
		return err
	}
}

func onServer(f func(*Server, float64)) func(_, s *Server, arg string) error {
	return func(_, s *Server, arg string) error {
		v, err := strconv.ParseFloat(arg, 64)
		if err == nil {
			f(s, v)
		}
		return err
	}
}

func outcome(o Outcome, detail string) func(_, s *Server, arg string) error {
	return func(_, s *Server, _ string) error {
		health := s.Health
		*s = Server{URL: s.URL, Port: s.Port, Outcome: o, Detail: detail}
		if health == HealthDead {
			s.Health = health
		}
		return nil
	}
}

// moves changes the fixture's server for good, and this look's reading of it. In "let" both are one.
func moves(f func(*Server)) func(base, s *Server, arg string) error {
	return func(base, s *Server, _ string) error {
		f(s)
		if base != s {
			f(base)
		}
		return nil
	}
}

func bump(s *Server, c Counter, by float64) {
	e := &s.Engines[len(s.Engines)-1]
	e.Counters[c] = Known(e.Counters[c].Or(0) + by)
}

// sample makes every sample of a device so high, or one in their midst that the rate beside them does not show.
func sample(d *Device, percent float64, all bool) {
	if !all {
		d.Samples = []uint8{0, 0, uint8(percent), 0, 0}
		return
	}
	d.Samples = []uint8{uint8(percent), uint8(percent), uint8(percent)}
	d.Rate, d.MemoryRate, d.PowerWatts = Known(percent), Known(percent/2), Known(60+2*percent)
}
