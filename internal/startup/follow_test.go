package startup

import (
	"testing"
	"time"
)

func TestFollowerTellsOneStartFromTheNext(t *testing.T) {
	began := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	after := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	f := &Follower{Since: after(1)}
	if got := f.Phases(began, after(9)); got != nil {
		t.Errorf("before a word: %+v", got)
	}
	lines := func(of time.Time) {
		f.Line(of, of.Add(2*time.Second), "INFO importing")
		f.Line(of, of.Add(5*time.Second), "Starting to load model m")
		f.Line(of, of.Add(6*time.Second), "Loading weights took 0.5 s")
	}
	seconds := func(phases []Phase) (out map[string]float64) {
		out = map[string]float64{}
		for _, p := range phases {
			if p.Seconds.Known {
				out[p.Name] = p.Seconds.Value
			}
		}
		return out
	}
	lines(began)
	if got := seconds(f.Phases(began, after(10))); got["boot"] != 2 || got["prepare"] != 3 || got["weights"] != 1 || got["serve"] != 4 || len(got) != 4 {
		t.Errorf("the first start: %v", got)
	}
	again := after(60)
	lines(again)
	f.Line(again, after(67), "INFO:     Application startup complete.")
	if got := seconds(f.Phases(again, after(90))); got["boot"] != 2 || got["serve"] != 1 || len(got) != 4 {
		t.Errorf("the second start: %v", got)
	}
	if got := f.Phases(began, after(90)); got != nil {
		t.Errorf("the start before: %+v", got)
	}
	// Who comes to a start that has begun does not know when its boot ended.
	late := &Follower{Since: after(4)}
	f = late
	lines(began)
	if got := seconds(late.Phases(began, after(10))); got["prepare"] != 5 || got["weights"] != 1 || len(got) != 3 {
		t.Errorf("heard late: %v", got)
	}
}
