package fakepod_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

const (
	hour   = time.Hour
	minute = time.Minute
)

// short is a day of a second, at 3600 pod seconds in a real one.
func short(episodes ...fakepod.Episode) fakepod.Day {
	return fakepod.Day{Begin: 8 * hour, End: 9 * hour, Tomorrow: 32 * hour, Episodes: episodes}
}

func play(t *testing.T, ctx context.Context, day fakepod.Day, during func(*fakepod.Pod)) (p *fakepod.Pod, told []string, stopped bool, err error) {
	t.Helper()
	p, err = fakepod.New(fakepod.Config{Day: day, Speed: 3600, Refused: []runpodtest.Call{runpodtest.V2Action}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.Start()
	stopped, err = p.Play(ctx, func(e fakepod.Event) {
		told = append(told, fakepod.Label(e.At)+" "+e.Text)
		if during != nil {
			during(p)
		}
	})
	return p, told, stopped, err
}

func TestADayIsPlayedToItsEnd(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	began := time.Now()
	day := short(
		fakepod.Episode{At: 8*hour + 3*minute, Kind: fakepod.Ready, Text: "up"},
		fakepod.Episode{At: 8*hour + 6*minute, Kind: fakepod.Work, Clients: 2, For: 30 * minute},
		fakepod.Episode{At: 8*hour + 20*minute, Kind: fakepod.MassAbort, Text: "all gone"},
		fakepod.Episode{At: 8*hour + 30*minute, Kind: fakepod.Kernel, Text: "unseen without a GPU"},
	).With(fakepod.Episode{At: 8*hour + 25*minute, Kind: fakepod.Burst, Clients: 3, Text: "burst"})
	p, told, stopped, err := play(t, ctx, day, nil)
	if stopped || err != nil {
		t.Fatalf("stopped %v, error %v", stopped, err)
	}
	if want := []string{"08:03 up", "08:20 all gone", "08:25 burst"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("an hour at 3600 took %s", took)
	}
	if at, people := p.NextWanted(); at != 32*hour || people != 2 {
		t.Errorf("next wanted at %s by %d, want tomorrow at 08:00 by the two of today", at, people)
	}
}

func TestAPodThatIsStoppedEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	day := short(
		fakepod.Episode{At: 8 * hour, Text: "now"},
		fakepod.Episode{At: 8*hour + 59*minute, Kind: fakepod.Work, Clients: 5, Text: "too late"},
	)
	var answers []string
	p, told, stopped, err := play(t, ctx, day, func(p *fakepod.Pod) {
		c, err := runpod.New(runpod.Config{PodID: fakepod.PodID, APIKey: fakepod.APIKey, APIURL: p.RunPod.URL(), GraphQLURL: p.RunPod.GraphQLURL()})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range c.Rungs()[:2] {
			answers = append(answers, r.Stop(ctx).Kind.String())
		}
	})
	if !stopped || err != nil {
		t.Fatalf("stopped %v, error %v", stopped, err)
	}
	if !slices.Equal(answers, []string{"denied", "accepted"}) || !slices.Equal(told, []string{"08:00 now"}) {
		t.Errorf("answers %q, told %q", answers, told)
	}
	if at, people := p.NextWanted(); at != 8*hour+59*minute || people != 5 {
		t.Errorf("next wanted at %s by %d, want the five at 08:59", at, people)
	}
}

func TestADayCanBeGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	day := short(
		fakepod.Episode{At: 8 * hour, Kind: fakepod.Ready},
		fakepod.Episode{At: 8 * hour, Kind: fakepod.Work, Clients: 4, For: hour, Text: "now"},
	)
	began := time.Now()
	_, _, stopped, err := play(t, ctx, day, func(*fakepod.Pod) { cancel() })
	if stopped || !errors.Is(err, context.Canceled) || time.Since(began) > bound {
		t.Errorf("stopped %v, error %v after %s", stopped, err, time.Since(began))
	}
}

func TestClock(t *testing.T) {
	real := time.Now()
	c := fakepod.Clock{Real: real, Begin: 9 * hour, Speed: 720}
	if at := c.At(real.Add(5 * time.Second)); at != 10*hour {
		t.Errorf("five seconds after 09:00 it is %s", at)
	}
	if i := c.Instant(10 * hour); i.Sub(real) != 5*time.Second {
		t.Errorf("10:00 is %s after 09:00", i.Sub(real))
	}
	for at, want := range map[time.Duration]string{0: "00:00", 9*hour + 5*minute: "09:05", 33 * hour: "09:00", 24*hour - 1: "23:59"} {
		if got := fakepod.Label(at); got != want {
			t.Errorf("label of %s is %q, want %q", at, got, want)
		}
	}
}

// TestWorkdayIsInOrder: a day is played in the order in which it is written.
func TestWorkdayIsInOrder(t *testing.T) {
	d := fakepod.Workday()
	last := d.Begin
	for _, e := range d.Episodes {
		if e.At < last || e.At >= d.End {
			t.Errorf("%s %q comes after %s", fakepod.Label(e.At), e.Text, fakepod.Label(last))
		}
		last = e.At
	}
	for at, want := range map[time.Duration]int{d.Begin: 0, 10 * hour: 4, 12*hour + 55*minute: 1, d.End: 4} {
		if got := d.Came(at); got != want {
			t.Errorf("before %s there came %d, want %d", fakepod.Label(at), got, want)
		}
	}
}
