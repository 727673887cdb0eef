package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// demoBound is the time in which a day of these tests must be over.
const demoBound = 60 * time.Second

// played is a day that was played, and all that it wrote.
type played struct {
	outcome
	text string
	took time.Duration
	err  error
}

// playing begins a day with these settings at a speed, beside the test; its result waits for the day's end. Only one day
// of a process may have a GPU. (t.Parallel would let no more days be played at a time than there are cores, although
// they mostly wait.)
func playing(t *testing.T, d demo, speed float64, out interface {
	io.Writer
	String() string
}, settings ...string) (result func() played) {
	t.Helper()
	cfg, err := config.Load(settings, config.Options{Hostname: "test"})
	if err != nil {
		t.Fatal(err)
	}
	d.config, d.scale = cfg, scale(speed)
	ctx, cancel := context.WithTimeout(t.Context(), demoBound)
	if w, ok := out.(*upTo); ok {
		w.reached = cancel
	}
	done := make(chan played, 1)
	go func() {
		defer cancel()
		began := time.Now()
		end, err := d.run(ctx, out)
		if _, found := os.Stat(d.dir); err == nil && !errors.Is(found, fs.ErrNotExist) {
			err = fmt.Errorf("%s was left behind: %w", d.dir, found)
		}
		done <- played{end, out.String(), time.Since(began), err}
	}()
	return sync.OnceValue(func() played { return <-done })
}

// over waits for a day that must have come to its end without an error.
func over(t *testing.T, result func() played) played {
	t.Helper()
	p := result()
	if p.err != nil || p.took >= demoBound {
		t.Fatalf("after %s the day ended with %v; it said:\n%s", p.took, p.err, p.text)
	}
	return p
}

// lineWith says whether some line has all of these parts, in their order.
func (p played) lineWith(parts ...string) bool {
	for line := range strings.Lines(p.text) {
		rest, found := line, true
		for _, part := range parts {
			var after string
			if _, after, found = strings.Cut(rest, part); !found {
				break
			}
			rest = after
		}
		if found {
			return true
		}
	}
	return false
}

// TestDemo plays several days at once, and looks at each of them when it is over.
func TestDemo(t *testing.T) {
	short := evening()
	overtime := short
	overtime.End -= 50 * time.Minute // well after the stop that would come without the work
	overtime = overtime.With(fakepod.Episode{At: short.Begin + 35*time.Minute, Kind: fakepod.Work, Clients: 2, For: 3 * time.Hour, Text: "overtime"})
	dry := short
	dry.End -= 50 * time.Minute

	// The library that reads the socket table sets itself up at its first use, which must not be that of two days at once.
	host.NewSockets(host.SocketConfig{Ports: []uint16{1}}).Read(t.Context())

	workday := playing(t, demo{day: shortWorkday()}, 1440, &bytes.Buffer{})
	plain := playing(t, demo{day: short, withoutGPU: true}, eveningSpeed, &bytes.Buffer{})
	dearer := playing(t, demo{day: short, withoutGPU: true}, eveningSpeed, &bytes.Buffer{}, "WATCHDOG_COLD_START=6m")
	late := playing(t, demo{day: overtime, withoutGPU: true}, eveningSpeed, &bytes.Buffer{})
	asJSON := playing(t, demo{day: dry, withoutGPU: true, asJSON: true}, eveningSpeed, &bytes.Buffer{}, "WATCHDOG_DRY_RUN=true")
	givenUp := playing(t, demo{day: short, withoutGPU: true}, eveningSpeed, &upTo{mark: "server_loading"})
	unread := playing(t, demo{day: short, withoutGPU: true}, eveningSpeed, closed{})

	t.Run("a reader that is gone ends it", func(t *testing.T) {
		if p := over(t, unread); p.took > 5*time.Second {
			t.Errorf("it took %s to end", p.took)
		}
	})
	t.Run("given up, it leaves nothing", func(t *testing.T) {
		p := over(t, givenUp)
		if p.took > 5*time.Second || !strings.Contains(p.text, "ended early") || strings.Contains(p.text, "What the day cost") {
			t.Errorf("after %s it had said:\n%s", p.took, p.text)
		}
	})
	t.Run("a dearer start stops later", func(t *testing.T) { stopsLater(t, over(t, plain), over(t, dearer)) })
	t.Run("work in the evening stops nothing", func(t *testing.T) {
		p := over(t, late)
		if p.stopped || p.stopAt != 0 || p.at < overtime.End {
			t.Errorf("stopped %v, a stop was decided at %s, ended at %s", p.stopped, p.stopAt, fakepod.Label(p.at))
		}
		if !p.lineWith("without a stop: the pod is at work") || p.lineWith("saved until") {
			t.Errorf("it does not say so:\n%s", p.text)
		}
	})
	t.Run("JSON of a dry run", func(t *testing.T) { tellsJSON(t, over(t, asJSON)) })
	t.Run("a workday ends with a proven stop", func(t *testing.T) {
		p := over(t, workday)
		if p.stoodStill() {
			// A second of this machine's is 24 minutes of the day: one in which nobody ran made a pause longer than it is told.
			t.Log("the machine stood still in a pause of the day: it is played again, alone")
			p = over(t, playing(t, demo{day: shortWorkday()}, 1440, &bytes.Buffer{}))
		}
		showsAll(t, p)
	})
}

// stoodStill says whether a pause of the day came out longer than the threshold, as no pause of it is.
func (p played) stoodStill() bool {
	return p.stopAt > 0 && p.stopAt < 14*time.Hour
}

// showsAll holds every episode of the workday, with the code of its reason.
func showsAll(t *testing.T, p played) {
	if !p.stopped || p.stopAt < 14*time.Hour || p.at < p.stopAt {
		t.Errorf("stopped %v, decided at %s, gone at %s; want it in the evening", p.stopped, fakepod.Label(p.stopAt), fakepod.Label(p.at))
	}
	for _, parts := range [][]string{
		{"hold", "server_loading"},
		{"cold start measured"},
		{"hold", "requests_in_flight", "running", "gpu_active too"},
		{"hold", "gpu_active", "vLLM's page shows no work"},
		{"hold", "below_threshold", "idle"},
		{"hold", "tokens_moved", "finished requests", "which no gauge showed"},
		{"hold", "requests_in_flight", "nothing moves any more"},
		{"hold", "below_threshold", "server_stalled"},
		{"warn", "warning", "the stop comes in"},
		{"stop", "threshold_reached", "idling has cost", "a cold start costs"},
		{"two final looks"},
		{"v2_action denied"},
		{"graphql accepted"},
		{"hold", "stop_unproven", "graphql"},
		{"the pod is gone", "EXITED"},
		{"09:00", "calls it proven"},
		{"saved until 09:00"},
		{"> breakeven", "1"},
		{"never stop", "0"},
		{"gpu-watchdog env"},
	} {
		if !p.lineWith(parts...) {
			t.Errorf("no line has %q", parts)
		}
	}
	for _, gap := range p.gaps {
		if gap.Idle >= p.threshold || gap.Wanted == 0 {
			t.Errorf("an idle time of %s, which %d people ended, is no shorter than the threshold of %s", gap.Idle, gap.Wanted, p.threshold)
		}
	}
	if p.lineWith("stop undone") {
		t.Error("the start of the next morning is told as if it had undone the stop of the evening")
	}
	if strings.ContainsRune(p.text, '\x1b') || strings.ContainsRune(p.text, '\r') {
		t.Error("escape codes where no terminal is")
	}
	if t.Failed() {
		t.Log(p.text)
	}
}

// without takes a spell of work out of a day: d of it, from a time of day on. What comes later comes earlier by as much.
func without(day fakepod.Day, at, d time.Duration) fakepod.Day {
	day.Episodes = slices.Clone(day.Episodes)
	for i := range day.Episodes {
		switch e := &day.Episodes[i]; {
		case e.At > at:
			e.At -= d
		case e.At+e.For > at+d:
			e.For -= d
		}
	}
	day.End -= d
	return day
}

// shortWorkday is the workday without three hours in which everybody works and nothing happens.
func shortWorkday() fakepod.Day {
	day := fakepod.Workday()
	day = without(day, 15*time.Hour+30*time.Minute, 75*time.Minute)
	day = without(day, 13*time.Hour+30*time.Minute, 30*time.Minute)
	day = without(day, 11*time.Hour+40*time.Minute, 30*time.Minute)
	return without(day, 10*time.Hour, 45*time.Minute)
}

// evening is a short day: a little work, and then nothing.
func evening() fakepod.Day {
	at := func(minutes int) time.Duration { return 16*time.Hour + time.Duration(minutes)*time.Minute }
	return fakepod.Day{
		Begin: at(0), End: at(150), Tomorrow: 33 * time.Hour,
		Episodes: []fakepod.Episode{
			{At: at(1), Kind: fakepod.Ready},
			{At: at(6), Kind: fakepod.Work, Clients: 2, For: 17 * time.Minute},
		},
	}
}

// eveningSpeed makes a break-even of 33 min one of 1.65 s.
const eveningSpeed = 1200

func stopsLater(t *testing.T, plain, dearer played) {
	grown, later := dearer.threshold-plain.threshold, dearer.stopAt-plain.stopAt
	if !plain.stopped || !dearer.stopped || grown < 20*time.Minute {
		t.Fatalf("stopped %v and %v, thresholds %s and %s", plain.stopped, dearer.stopped, plain.threshold, dearer.threshold)
	}
	if !plain.lineWith("hold", "min_runtime", "10 min") {
		t.Errorf("no line has min_runtime:\n%s", plain.text)
	}
	// Either stop comes with a look, and either evening begins with the end of the last answer.
	if slack := 15 * time.Minute; later < grown-slack || later > grown+slack {
		t.Errorf("the threshold grew by %s, and the stop came %s later (%s, %s)", grown, later, fakepod.Label(plain.stopAt), fakepod.Label(dearer.stopAt))
	}
}

func tellsJSON(t *testing.T, p played) {
	var verdicts []string
	for line := range strings.Lines(p.text) {
		var entry struct{ Msg, Verdict, Reason string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("no JSON: %q", line)
		}
		if entry.Msg == "decision" {
			verdicts = append(verdicts, entry.Verdict+" "+entry.Reason)
		}
	}
	if p.stopped || !slices.Contains(verdicts, "hold server_loading") || !slices.Contains(verdicts, "would_stop threshold_reached") {
		t.Errorf("stopped %v, verdicts %q", p.stopped, verdicts)
	}
}

// upTo calls reached when mark has been written.
type upTo struct {
	bytes.Buffer
	mark    string
	reached func()
}

func (u *upTo) Write(b []byte) (int, error) {
	if strings.Contains(string(b), u.mark) {
		u.reached()
	}
	return u.Buffer.Write(b)
}

// closed is a pipe that nobody reads from any more.
type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, fs.ErrClosed }
func (closed) String() string            { return "" }

func TestDemoRefusesMistakes(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		env  map[string]string
		want string
	}{
		"output":   {[]string{"--output", "xml"}, nil, `--output "xml"`},
		"speed":    {[]string{"--speed", "0"}, nil, "--speed 0"},
		"no speed": {[]string{"--speed", "NaN"}, nil, "--speed NaN"},
		"argument": {[]string{"now"}, nil, "now"},
		"setting":  {nil, map[string]string{"WATCHDOG_COLD_START": "6"}, "WATCHDOG_COLD_START"},
		"unknown":  {nil, map[string]string{"WATCHDOG_COLD_STRAT": "6m"}, "WATCHDOG_COLD_START"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			root := newRoot()
			root.SetArgs(append([]string{"demo"}, test.args...))
			root.SetOut(&bytes.Buffer{})
			err := root.ExecuteContext(t.Context())
			if exitCode(err) != 2 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("exit code %d, error %v; want 2 and %q", exitCode(err), err, test.want)
			}
		})
	}
}

func TestDemoScaleKeepsDollars(t *testing.T) {
	cfg, err := config.Load([]string{"WATCHDOG_PRICE=1.5", "WATCHDOG_IDLE_LIMIT=20m", "WATCHDOG_CHECK_INTERVAL=10m"}, config.Options{Hostname: "test"})
	if err != nil {
		t.Fatal(err)
	}
	s := scale(600)
	real := s.config(cfg)
	if real.ColdStart != 300*time.Millisecond || real.IdleLimit.Duration != 2*time.Second || real.CheckInterval != time.Second || real.Price.Value != 900 {
		t.Errorf("real settings: cold start %s, limit %s, looks %s, price %v", real.ColdStart, real.IdleLimit.Duration, real.CheckInterval, real.Price)
	}
	if cfg.CheckInterval = time.Second; s.config(cfg).CheckInterval != lookEvery {
		t.Errorf("looks every %s, want no less than %s", s.config(cfg).CheckInterval, lookEvery)
	}
	q := s.quote(watchdog.Quote{
		PriceUSDPerHour: watchdog.Known(900.0), SavingUSDPerHour: watchdog.Known(600.0), ColdStartUSD: watchdog.Known(0.825),
		ColdStart: 300 * time.Millisecond, BreakEven: 3300 * time.Millisecond, BillBreakEven: 300 * time.Millisecond,
	})
	want := watchdog.Quote{
		PriceUSDPerHour: watchdog.Known(1.5), SavingUSDPerHour: watchdog.Known(1.0), ColdStartUSD: watchdog.Known(0.825),
		ColdStart: 3 * time.Minute, BreakEven: 33 * time.Minute, BillBreakEven: 3 * time.Minute,
	}
	if q != want {
		t.Errorf("quote in pod time %+v, want %+v", q, want)
	}
}

func TestDemoWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 72 * time.Second: "1.2 min", 10*time.Minute - time.Nanosecond: "10 min", 9*time.Minute + 59*time.Second: "9.9 min",
		33*time.Minute + 40*time.Second: "33 min", 99 * time.Minute: "99 min", 100 * time.Minute: "1 h 40 min", 15*time.Hour + 5*time.Minute: "15 h 05 min",
	} {
		if got := span(d); got != want {
			t.Errorf("%s is written %q, want %q", d, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0.00", 0.825: "0.83", 0.8249: "0.82", 22.0649: "22.06", -0.825: "-0.82", 1080: "1080.00"} {
		if got := dollars(v); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
	for _, c := range []struct {
		text  string
		width int
		want  []string
	}{
		{"one two three", 0, []string{"one two three"}},
		{"one two three", 10, []string{"one two three"}}, // too narrow to break
		{"eleven more words than go into a line", 20, []string{"eleven more words", "than go into a line"}},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b", 20, []string{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b"}},
	} {
		if got := wrap(c.text, c.width); !slices.Equal(got, c.want) {
			t.Errorf("%q in %d: %q, want %q", c.text, c.width, got, c.want)
		}
	}
}
