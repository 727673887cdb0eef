package store

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// scene is what a test changes of an ordinary tick.
type scene struct{ *loop.View }

// view is one tick of an idle pod, 5 s after the one before.
func view(tick uint64, change ...func(*scene)) *loop.View {
	at := noon.Add(time.Duration(tick) * 5 * time.Second)
	v := &loop.View{
		Verdict:  "hold",
		Snapshot: watchdog.Snapshot{Tick: tick, At: at, Elapsed: 5 * time.Second},
		Decision: watchdog.Decision{
			Tick: tick, At: at, Activity: watchdog.Quiet, ActivitySince: noon, Idle: time.Duration(tick) * 5 * time.Second,
			Reasons:   []watchdog.Because{{Code: watchdog.BelowThreshold, Detail: fmt.Sprint("idle for ", tick), Since: noon}},
			Evidence:  watchdog.Evidence{VLLM: "ok", GPU: "ok", Sockets: "ok", Host: "absent"},
			Threshold: watchdog.Known(33 * time.Minute), GPUThresholdPercent: 5,
			Quote: watchdog.Quote{PriceUSDPerHour: watchdog.Known(1.5), ColdStart: 3 * time.Minute, BreakEven: 33 * time.Minute, Policy: "breakeven"},
		},
		Money: loop.Money{SpentToday: watchdog.Known(0.0), SpentTotal: float64(tick) * 0.002, IdleTotal: float64(tick) * 0.001},
	}
	for _, c := range change {
		c(&scene{v})
	}
	return v
}

func quietly(*scene) {}

func busily(s *scene) {
	s.Decision.Activity = watchdog.Busy
	s.Decision.Idle = 0
	s.Decision.Reasons = []watchdog.Because{{Code: watchdog.RequestsInFlight, Detail: "2 running", Since: noon}}
	s.Decision.Threshold = watchdog.Maybe[time.Duration]{}
	s.Decision.Running = watchdog.Known(2.0)
	s.Decision.TokensDelta = watchdog.Known(100.0)
	s.Decision.Peer = "10.0.0.7:4711"
}

// settled waits until the store has written all that it was told.
func settled(t *testing.T, s *Store) {
	t.Helper()
	eventually.Holds(t, "an empty outbox", func() bool { return s.Stats().InMemory == 0 })
}

func TestLooksThatDecideAlikeAreOneRow(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	tick := uint64(0)
	for _, part := range []struct {
		n    int
		what func(*scene)
	}{
		{30, quietly},
		{7, busily},
		{1, func(s *scene) { s.Decision.Activity = watchdog.Unknown; s.Decision.UnknownFor = 5 * time.Second }},
		{20, quietly},
		{5, func(s *scene) { s.Decision.Threshold = watchdog.Known(20 * time.Minute) }}, // the same decision, on another number
		{3, func(s *scene) { s.Verdict = "warn"; s.Decision.StopAt = watchdog.Known(noon.Add(time.Hour)) }},
		{1, func(s *scene) { s.Decision.Final = true }},
		{1, func(s *scene) { s.Verdict = "stop"; s.Decision.Act = true }},
	} {
		for range part.n {
			tick++
			s.Record(view(tick, part.what))
		}
	}
	end(t, s)
	got := ask[string](t, c.Path, `SELECT group_concat(concat_ws(' ', first_tick, last_tick, ticks, verdict, activity, reason, threshold_ns / 1000000000, final, act), char(10) ORDER BY first_tick) FROM decisions`)
	want := strings.Join([]string{
		"1 30 30 hold quiet below_threshold 1980 0 0",
		"31 37 7 hold busy requests_in_flight 0 0", // no threshold while busy
		"38 38 1 hold unknown below_threshold 1980 0 0",
		"39 58 20 hold quiet below_threshold 1980 0 0",
		"59 63 5 hold quiet below_threshold 1200 0 0",
		"64 66 3 warn quiet below_threshold 1980 0 0",
		"67 67 1 hold quiet below_threshold 1980 1 0",
		"68 68 1 stop quiet below_threshold 1980 0 1",
	}, "\n")
	if got != want {
		t.Errorf("stretches:\n%s\nwant\n%s", got, want)
	}
	// Numbers at both ends, sums and maxima over the stretch.
	got = ask[string](t, c.Path, `SELECT concat_ws(' ', idle_first_ns / 1000000000, idle_last_ns / 1000000000, (ended_at - began_at) / 1000000, json_extract(reasons, '$[0].detail') ||
  ', ' || json_extract(reasons_last, '$[0].detail'), price_usd_per_hour, cold_start_ns / 1000000000, policy, json_extract(evidence, '$.host')) FROM decisions WHERE first_tick = 39`)
	if want := "195 290 95 idle for 39, idle for 58 1.5 180 breakeven absent"; got != want {
		t.Errorf("a quiet stretch: %q, want %q", got, want)
	}
	if got, want := ask[string](t, c.Path, "SELECT concat_ws(' ', tokens, running_max, peer) FROM decisions WHERE first_tick = 31"), "700.0 2.0 10.0.0.7:4711"; got != want {
		t.Errorf("a busy stretch: %q, want %q", got, want)
	}
	if got := ask[string](t, c.Path, "SELECT concat_ws(' ', version, name, start_id, config, settings, (SELECT count(DISTINCT run) FROM decisions WHERE run = id)) FROM runs"); got != "1.2.3 pod s 0123abcd {} 1" {
		t.Errorf("the run: %s", got)
	}
}

func TestChangesAreWrittenAtOnceAndSamenessEachMinute(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	last := func() string {
		t.Helper()
		settled(t, s)
		return ask[string](t, c.Path, "SELECT last_tick || ' ' || activity FROM decisions ORDER BY first_tick DESC LIMIT 1")
	}
	for tick := range uint64(11) { // 12:00:05 to 12:00:55
		s.Record(view(tick + 1))
	}
	if got := last(); got != "1 quiet" {
		t.Errorf("within the minute the file says %q, want the beginning of the stretch alone", got)
	}
	s.Record(view(12)) // 12:01:00
	if got := last(); got != "11 quiet" {
		t.Errorf("after a minute the file says %q, want tick 11", got)
	}
	commits := s.Stats().Commits
	s.Record(view(13))
	s.Record(view(14))
	settled(t, s)
	if got := s.Stats().Commits; got != commits {
		t.Errorf("quiet ticks made %d commits", got-commits)
	}
	s.Record(view(15, busily))
	if got := last(); got != "15 busy" {
		t.Errorf("after a change the file says %q, want tick 15", got)
	}
	if got := ask[int](t, c.Path, "SELECT last_tick FROM decisions WHERE activity = 'quiet'"); got != 14 {
		t.Errorf("the stretch before the change ends at %d, want 14", got)
	}
}

func TestMinutesAddUpWhatTheReportNeeds(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	engine := func(tokens, kv float64) []watchdog.Server {
		e := watchdog.Engine{ID: "0", KVUsage: watchdog.Known(kv)}
		e.Counters[watchdog.GenerationTokens] = watchdog.Known(tokens)
		return []watchdog.Server{{URL: "u", StartedAt: 1, Engines: []watchdog.Engine{e}}}
	}
	gpu := func(samples ...uint8) watchdog.GPU {
		return watchdog.GPU{State: watchdog.SourceOK, Devices: []watchdog.Device{
			{UUID: "a", State: watchdog.SourceOK, Samples: samples, MemoryUsedBytes: watchdog.Known(1e9), PowerWatts: watchdog.Known(100.0)},
			{UUID: "b", State: watchdog.SourceOK, Rate: watchdog.Known(0.0), MemoryUsedBytes: watchdog.Known(2e9), PowerWatts: watchdog.Known(50.0)},
			{UUID: "lost", State: watchdog.SourceFailed},
		}}
	}
	s.Record(view(1, busily, func(s *scene) { s.Snapshot.GPU, s.Snapshot.Servers = gpu(90, 60), engine(1000, 0.5) }))
	s.Record(view(2, busily, func(s *scene) {
		s.Snapshot.GPU, s.Snapshot.Servers, s.Decision.Running = gpu(30), engine(1250, 0.25), watchdog.Known(8.0)
	}))
	s.Record(view(3, func(s *scene) { s.Snapshot.Servers = nil }))                                       // not asked
	s.Record(view(4, func(s *scene) { s.Snapshot.Servers = engine(1300, 0) }))                           // 50 more since the last reading
	s.Record(view(5, func(s *scene) { s.Snapshot.Servers = engine(40, 0) }))                             // restarted: nothing is known of it
	s.Record(view(6, func(s *scene) { s.Decision.Activity = watchdog.Broken }))                          // 12:00:30
	s.Record(view(12, func(s *scene) { s.Snapshot.Elapsed = 30 * time.Second; s.Money = loop.Money{} })) // 12:01:00, no price
	end(t, s)
	got := ask[string](t, c.Path, `SELECT group_concat(concat_ws(' ', minute - ?, first_tick, ticks, busy_ns / 1000000000, quiet_ns / 1000000000, unknown_ns, broken_ns / 1000000000, gpu_samples, gpu_mean, gpu_max,
  gpu_memory_bytes, gpu_power_watts, running_mean, running_max, kv_max, tokens, generated_tokens, round(spent_usd, 6), round(idle_usd, 6)), char(10) ORDER BY minute) FROM minutes`, noon.Unix()/60)
	want := "0 1 6 10 15 0 5 5 36.0 90.0 3000000000.0 150.0 5.0 8.0 0.5 200.0 300.0 0.012 0.006\n1 12 1 0 30 0 0 0"
	if got != want {
		t.Errorf("minutes:\n%s\nwant\n%s", got, want)
	}
	day, err := s.Days(t.Context(), Query{From: noon, To: noon.Add(time.Hour), SLATTFT: time.Second})
	if err == nil {
		t.Fatal("a closed store answered")
	}
	day, err = OpenReader(c.Path, standing).Days(t.Context(), Query{From: noon, To: noon.Add(time.Hour), SLATTFT: time.Second})
	if err != nil || len(day.Each) != 1 {
		t.Fatalf("%+v, %v", day, err)
	}
	d := day.Each[0]
	if d.Watched != time.Minute || d.Busy != 10*time.Second || d.Quiet != 45*time.Second || d.Broken != 5*time.Second || d.ServerTokens.Value != 200 ||
		d.GPUPercentMean.Value != 36 || d.GPUPercentMax.Value != 90 || d.KVMax.Value != 0.5 || d.RunningMax.Value != 8 || d.SpentUSD.Value < 0.0119 || d.SpentUSD.Value > 0.0121 || d.IdleUSD.Value < 0.0059 {
		t.Errorf("the day: %+v", d)
	}
	if total := day.Total; total.Watched != d.Watched || total.GPUPercentMean != d.GPUPercentMean || total.SpentUSD != d.SpentUSD || total.KVMax != d.KVMax {
		t.Errorf("the total: %+v", total)
	}
}

func TestClockThatIsSetBackOverwritesNothing(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	s.Record(view(1))
	s.Record(view(20))
	s.Record(view(21, func(s *scene) { s.Decision.At = noon.Add(5 * time.Second); s.Snapshot.At = s.Decision.At }))
	end(t, s)
	if got := ask[string](t, c.Path, "SELECT count(*) || ' ' || sum(ticks) FROM minutes"); got != "3 3" {
		t.Errorf("minutes and ticks: %s, want 3 3", got)
	}
}

func TestAttemptsAndStartsAreKeptStepByStep(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	attempt := func(a watchdog.Attempt) func(*scene) { return func(s *scene) { s.Attempt = a } }
	refused := watchdog.Attempt{Phase: watchdog.StopRefused, Tries: 1, Target: "runpod", Rung: "v2_action", Detail: "401", RetryIn: 5 * time.Second}
	s.Record(view(1))
	s.Record(view(2, attempt(watchdog.Attempt{Phase: watchdog.StopAsked, Tries: 1})))
	s.Record(view(3, attempt(refused)))
	refused.RetryIn, refused.For = 0, 5*time.Second
	s.Record(view(4, attempt(refused))) // only its clock went on
	s.Record(view(5, attempt(watchdog.Attempt{Phase: watchdog.StopAccepted, Tries: 2, Target: "runpod", Rung: "graphql"})))
	s.Record(view(6, attempt(watchdog.Attempt{Unproven: true})))
	start := costmodel.Start{Kind: costmodel.PodStart, At: noon, Ready: 90 * time.Second}
	s.ColdStart(start)
	settled(t, s)
	start.FirstToken = 2 * time.Second
	s.ColdStart(start)
	s.ColdStart(costmodel.Start{Kind: costmodel.ServerRestart, At: noon, Ready: time.Second})
	end(t, s)
	got := ask[string](t, c.Path, "SELECT group_concat(concat_ws(' ', tick, phase, tries, target, rung, detail, retry_in_ns / 1000000000, unproven), '; ' ORDER BY tick) FROM attempts")
	if want := "2 asked 1    0 0; 3 refused 1 runpod v2_action 401 5 0; 5 accepted 2 runpod graphql  0 0; 6 none 0    0 1"; got != want {
		t.Errorf("attempts: %s\nwant %s", got, want)
	}
	if got, want := ask[string](t, c.Path, "SELECT group_concat(concat_ws(' ', kind, ready_ns / 1000000000, first_token_ns / 1000000000), '; ' ORDER BY kind) FROM starts"), "pod_start 90 2; server_restart 1 0"; got != want {
		t.Errorf("starts: %s, want %s", got, want)
	}
}
