package doctor

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// holds says what is wrong with a finding; each one that is not ok must say what to do, unless it is a note.
func holds(t *testing.T, name string, f Finding, verdict Verdict, words ...string) {
	t.Helper()
	if f.Verdict != verdict {
		t.Errorf("%s: %s, want %s: %+v", name, f.Verdict, verdict, f)
	}
	for _, w := range words {
		if !strings.Contains(f.Detail+" → "+f.Remedy, w) {
			t.Errorf("%s: without %q: %+v", name, w, f)
		}
	}
	if f.Detail == "" || f.Remedy == "" && (f.Verdict == Warning || f.Verdict == Failed) {
		t.Errorf("%s: says too little: %+v", name, f)
	}
}

func TestServers(t *testing.T) {
	fine := func() watchdog.Server {
		return watchdog.Server{URL: "http://a:1", Outcome: watchdog.OutcomeAnswered, Health: watchdog.HealthOK, Version: "0.32.0", EngineSeries: true, HTTPSeries: true,
			Engines: []watchdog.Engine{{ID: "0", Running: watchdog.Known(2.0), Waiting: watchdog.Known(1.0)}}, Load: watchdog.Known(3.0), Took: 3 * time.Millisecond}
	}
	for _, c := range []struct {
		name    string
		break_  func(*watchdog.Server)
		verdict Verdict
		words   []string
	}{
		{"all is well", func(*watchdog.Server) {}, OK, []string{"vLLM 0.32.0", "1 engine, 2 running and 1 waiting", "/load counts (3 now)", "3 ms"}},
		{"load not counted", func(s *watchdog.Server) { s.Load.Value = 0 }, OK, []string{"--enable-server-load-tracking", "does not count"}},
		{"nothing to count", func(s *watchdog.Server) { s.Load.Value, s.Engines[0].Running.Value = 0, 0 }, OK, []string{"/load says 0"}},
		{"no load", func(s *watchdog.Server) { s.Load = watchdog.Maybe[float64]{} }, OK, []string{"has no /load"}},
		{"asleep", func(s *watchdog.Server) { s.Engines[0].Awake = watchdog.Known(false) }, OK, []string{"1 asleep"}},
		{"no request yet", func(s *watchdog.Server) { s.Engines = nil }, OK, []string{"no request yet"}},
		{"no gauge yet", func(s *watchdog.Server) { s.Engines[0].Running = watchdog.Maybe[float64]{} }, OK, []string{"without a gauge"}},
		{"no stats", func(s *watchdog.Server) { s.EngineSeries, s.Detail = false, "no vllm: series" }, Warning, []string{"without --disable-log-stats"}},
		{"not vLLM", func(s *watchdog.Server) { s.EngineSeries, s.HTTPSeries, s.Detail = false, false, "is this vLLM?" }, Failed, []string{"would run on"}},
		{"dead", func(s *watchdog.Server) { s.Health = watchdog.HealthDead }, Failed, []string{"503"}},
		{"not healthy", func(s *watchdog.Server) { s.Health, s.Detail = watchdog.HealthUnknown, "/health answers 500" }, Warning, []string{"500"}},
		{"slow", func(s *watchdog.Server) { s.Took = time.Second }, Warning, []string{"1s"}},
		{"nobody", func(s *watchdog.Server) { s.Outcome = watchdog.OutcomeRefused }, Warning, []string{"nobody listens", "WATCHDOG_VLLM_URLS"}},
		{"mute", func(s *watchdog.Server) { s.Outcome, s.Detail = watchdog.OutcomeTimeout, "/metrics no answer" }, Failed, []string{"never taken for idle"}},
		{"a page", func(s *watchdog.Server) { s.Outcome, s.Detail = watchdog.OutcomeUnreadable, "HTML" }, Failed, []string{"HTML", "never taken for idle"}},
	} {
		s := fine()
		c.break_(&s)
		holds(t, c.name, judgeServer(s), c.verdict, c.words...)
	}
}

func TestSockets(t *testing.T) {
	served := []uint16{8000, 8888}
	for _, c := range []struct {
		name    string
		s       watchdog.Sockets
		verdict Verdict
		words   []string
	}{
		{"all is well", watchdog.Sockets{State: watchdog.SourceOK, Listening: served}, OK, []string{"ports 8000, 8888"}},
		{"one missing", watchdog.Sockets{State: watchdog.SourceOK, Listening: served[:1]}, Warning, []string{"nobody listens on port 8888"}},
		{"none there", watchdog.Sockets{State: watchdog.SourceAbsent, Reason: "no listener on ports 8000, 8888"}, Note, []string{"yet"}},
		{"not allowed", watchdog.Sockets{State: watchdog.SourceAbsent, Reason: "operation not permitted"}, Warning, []string{"sock_diag"}},
		{"failed", watchdog.Sockets{State: watchdog.SourceFailed, Reason: "deadline"}, Warning, []string{"deadline"}},
	} {
		holds(t, c.name, judgeSockets(c.s, served), c.verdict, c.words...)
	}
}

func TestGPUs(t *testing.T) {
	device := watchdog.Device{UUID: "GPU-1", Name: "H100", State: watchdog.SourceOK, Samples: []uint8{0, 7}, Rate: watchdog.Known(1.0),
		MemoryUsedBytes: watchdog.Known(8e9), MemoryTotalBytes: watchdog.Known(80e9), PowerWatts: watchdog.Known(71.0)}
	one := nvml.Session{Driver: "580.1", Shown: 1}
	none := watchdog.Maybe[int]{}
	is := func(f func(*watchdog.Device)) watchdog.GPU {
		d := device
		f(&d)
		return watchdog.GPU{State: d.State, Devices: []watchdog.Device{d}}
	}
	for _, c := range []struct {
		name    string
		g       watchdog.GPU
		chosen  []string
		count   watchdog.Maybe[int]
		at      int
		verdict Verdict
		words   []string
	}{
		{"all is well", is(func(*watchdog.Device) {}), nil, watchdog.Known(1), 0, OK, []string{"0: H100 (GPU-1)", "1 % in use", "8.0 GB of 80 GB", "71 W", "2 samples", "at most 7 %"}},
		{"idle", is(func(d *watchdog.Device) { d.Samples = nil }), nil, none, 0, OK, []string{"as on an idle GPU"}},
		{"blind", is(func(d *watchdog.Device) { d.Samples, d.Rate = nil, watchdog.Maybe[float64]{} }), nil, none, 0, Warning, []string{"update the driver"}},
		{"MIG", is(func(d *watchdog.Device) { d.State, d.Reason = watchdog.SourceAbsent, "cut by MIG" }), nil, none, 0, Warning, []string{"H100", "cut by MIG", "WATCHDOG_GPUS=none"}},
		{"lost", is(func(d *watchdog.Device) { d.State, d.Reason = watchdog.SourceFailed, "GPU 0 (GPU-1): lost" }), nil, none, 0, Failed, []string{"lost", "rent another"}},
		{"not there", is(func(d *watchdog.Device) { d.Index, d.State, d.Reason = -1, watchdog.SourceAbsent, "GPUS names 7" }), nil, none, 0, Failed, []string{"correct WATCHDOG_GPUS"}},
		{"the driver", is(func(*watchdog.Device) {}), []string{"0"}, watchdog.Known(1), 1, OK, []string{"driver 580.1", "WATCHDOG_GPUS counts 0"}},
		{"too few", is(func(*watchdog.Device) {}), nil, watchdog.Known(2), 1, Warning, []string{"says 2", "what you pay for"}},
		{"too many", is(func(*watchdog.Device) {}), nil, watchdog.Known(0), 1, Warning, []string{"GPUs of other people"}},
		{"no library", watchdog.GPU{State: watchdog.SourceAbsent, Reason: "no NVML library"}, nil, none, 0, Warning, []string{"NVIDIA_DRIVER_CAPABILITIES"}},
		{"hangs", watchdog.GPU{State: watchdog.SourceFailed, Reason: "NVML has not answered"}, nil, none, 0, Failed, []string{"nvidia-smi"}},
	} {
		found := judgeGPUs(c.g, one, c.chosen, c.count, host.FromEnvironment)
		if c.at >= len(found) {
			t.Errorf("%s: only %+v", c.name, found)
			continue
		}
		holds(t, c.name, found[c.at], c.verdict, c.words...)
	}
}

func TestHost(t *testing.T) {
	ok := watchdog.Host{State: watchdog.SourceOK}
	cores := watchdog.Known(0.25)
	holds(t, "all is well", judgeCPU(ok, cores, "/sys/fs/cgroup/cpu.stat", 2, 0), OK, "0.2 cores", "cgroup v2")
	holds(t, "not to be had", judgeCPU(watchdog.Host{State: watchdog.SourceAbsent, Reason: "no cgroup"}, watchdog.Maybe[float64]{}, "", 0, 0), Note, "no cgroup")
	holds(t, "and wanted", judgeCPU(watchdog.Host{State: watchdog.SourceAbsent, Reason: "no cgroup"}, watchdog.Maybe[float64]{}, "", 0, 1), Warning, "no effect")
	holds(t, "not measured", judgeCPU(ok, watchdog.Maybe[float64]{}, "", 0, 0), Note, "within a second")

	guard := 30 * time.Minute
	seen := func(r host.TerminalReading) Finding { r.State = watchdog.SourceOK; return judgeTerminals(r, guard) }
	holds(t, "no terminal", seen(host.TerminalReading{}), OK, "none is open", "30m")
	holds(t, "unused", seen(host.TerminalReading{Open: 2}), OK, "2 terminals open, none of them used")
	holds(t, "used", seen(host.TerminalReading{Open: 1, Uses: []host.TerminalUse{{Name: "pts/3", Program: "vim", Ago: time.Minute}}}), OK, "pts/3 was used 1m ago (vim)")
	holds(t, "hidden", judgeTerminals(host.TerminalReading{State: watchdog.SourceAbsent, Reason: "no /dev/pts"}, guard), Note, "no /dev/pts", "hold")
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	none := watchdog.Maybe[time.Duration]{}
	holds(t, "even", judgeClock(now, time.Millisecond, none), OK, "runs evenly")
	holds(t, "compared", judgeClock(now, 0, watchdog.Known(29*time.Second)), OK, "agrees")
	holds(t, "stepped", judgeClock(now, -time.Hour, none), Warning, "was set by 1h")
	holds(t, "ahead", judgeClock(now, 0, watchdog.Known(time.Minute)), Warning, "1m ahead of the provider's")
	holds(t, "behind", judgeClock(now, 0, watchdog.Known(-time.Minute)), Warning, "1m behind the provider's")
	holds(t, "reset", judgeClock(time.Unix(0, 0), 0, none), Failed, "1970")

	asked := now
	for _, c := range []struct {
		took time.Duration
		date time.Time
		want time.Duration
	}{
		{0, asked, 0},
		{0, asked.Add(-999 * time.Millisecond), 0}, // the second that a date is cut to
		{0, asked.Add(-3 * time.Second), 2 * time.Second},
		{5 * time.Second, asked.Add(5 * time.Second), 0}, // answered as late as can be
		{time.Second, asked.Add(11 * time.Second), -10 * time.Second},
	} {
		if got := skewOf(asked, asked.Add(c.took), c.date); got != c.want {
			t.Errorf("asked for %s, answered with a date %s later: %s, want %s", c.took, c.date.Sub(asked), got, c.want)
		}
	}
}

func TestDateReader(t *testing.T) {
	date := time.Now().Add(-time.Hour)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", map[bool]string{true: date.UTC().Format(http.TimeFormat), false: "yesterday"}[r.URL.Path == "/dated"])
	}))
	defer s.Close()
	d := &DateReader{Base: s.Client().Transport}
	client := http.Client{Transport: d}
	for _, path := range []string{"/none", "/dated", "/none"} {
		if path == "/dated" && d.Skew().Known {
			t.Error("a date was made up")
		}
		res, err := client.Get(s.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if got := d.Skew(); !got.Known || got.Value < 59*time.Minute || got.Value > 61*time.Minute {
		t.Errorf("an hour ahead is %+v", got)
	}
	s.Close()
	if _, err := client.Get(s.URL); err == nil {
		t.Error("a dead server answered")
	}
}

func TestPlaces(t *testing.T) {
	volume := memory.Sight{Place: memory.Place{Dir: "/v/pod", Persistent: true}, FreeBytes: 5e9}
	with := func(f func(*memory.Sight)) memory.Sight { s := volume; f(&s); return s }
	holds(t, "a volume", judgePlace(volume, "/v"), OK, "outlives a stop", "5.0 GB free")
	holds(t, "the container's", judgePlace(with(func(s *memory.Sight) { s.Persistent = false }), "/v"), Note, "lost when the pod stops")
	holds(t, "tight", judgePlace(with(func(s *memory.Sight) { s.FreeBytes = 50e6 }), "/v"), Warning, "only 50 MB are left")
	holds(t, "full", judgePlace(with(func(s *memory.Sight) { s.FreeBytes = 0 }), "/v"), Failed, "full")
	holds(t, "refused", judgePlace(with(func(s *memory.Sight) { s.Refused = fs.ErrPermission }), "/v"), Warning, "WATCHDOG_DIR")
	holds(t, "nowhere", judgePlace(memory.Sight{Refused: fs.ErrPermission}, "/v"), Failed, "nothing can be kept")

	found := func(f func(*memory.Sight)) memory.Sight {
		return with(func(s *memory.Sight) { s.Found, s.WrittenAgo = true, time.Hour; f(s) })
	}
	holds(t, "old", judgeMemory(found(func(*memory.Sight) {}), false), OK, "from 1h ago", "0 measured starts")
	holds(t, "ours", judgeMemory(found(func(s *memory.Sight) { s.WrittenAgo = time.Second }), true), OK, "that runs here")
	holds(t, "another's", judgeMemory(found(func(s *memory.Sight) { s.WrittenAgo = time.Second }), false), Warning, "WATCHDOG_NAME")
	holds(t, "half", judgeMemory(found(func(s *memory.Sight) { s.Unreadable = errors.New("half") }), false), Warning, "set it aside")
	holds(t, "not ours", judgeMemory(found(func(s *memory.Sight) { s.Unreadable = fs.ErrPermission }), false), Failed, "may not be read")

	const page, rows = "WATCHDOG_LISTEN", "WATCHDOG_INGEST_LISTEN"
	holds(t, "free", judgeAddress("the page", "127.0.0.1:1", page, nil, false), OK, "is free")
	holds(t, "ours", judgeAddress("the page", "127.0.0.1:1", page, syscall.EADDRINUSE, true), OK, "served by the watchdog")
	holds(t, "taken", judgeAddress("rows", "127.0.0.1:4317", rows, syscall.EADDRINUSE, false), Warning, "ss -ltnp", "WATCHDOG_INGEST_LISTEN=127.0.0.1:4319")
	holds(t, "not here", judgeAddress("the page", "192.0.2.1:1", page, syscall.EADDRNOTAVAIL, true), Warning, "no address", "WATCHDOG_LISTEN=127.0.0.1:9878")
	holds(t, "root's", judgeAddress("the page", "127.0.0.1:1", page, syscall.EACCES, false), Warning, "1024")
	holds(t, "odd", judgeAddress("the page", "127.0.0.1:1", page, errors.New("odd"), false), Warning, "odd")

	holds(t, "start", judgeStart(host.IdentityPlace{Path: "/x"}, nil, false), OK, "can be made")
	holds(t, "started", judgeStart(host.IdentityPlace{Path: "/x", Known: true}, nil, false), OK, "has run")
	holds(t, "uid", judgeStart(host.IdentityPlace{PodUID: true}, nil, false), OK, "POD_UID")
	holds(t, "volume", judgeStart(host.IdentityPlace{Path: "/w/x", Volume: "/w"}, nil, false), Warning, "the volume /w")
	holds(t, "none", judgeStart(host.IdentityPlace{}, fs.ErrPermission, true), Failed, "nothing is ever stopped")
	if judgeStart(host.IdentityPlace{}, fs.ErrPermission, false).refused {
		t.Error("where nobody asked for a stop, none is refused")
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 3 * time.Millisecond: "3 ms", time.Second: "1s", 90 * time.Second: "1m 30s", 33 * time.Minute: "33m", 25 * time.Hour: "1d 1h", 8*time.Hour + 4*time.Minute + 9*time.Second: "8h 4m",
	} {
		if got := span(d); got != want {
			t.Errorf("%d is %q, want %q", d, got, want)
		}
	}
	if size(4e12) != "4.0 TB" || size(12e9) != "12 GB" || size(5e3) != "5 kB" {
		t.Errorf("%s %s", size(4e12), size(5e3))
	}
	if detail, remedy := split("is wrong; mend it; soon", ""); detail != "is wrong" || remedy != "mend it; soon" {
		t.Errorf("%q, %q", detail, remedy)
	}
}
