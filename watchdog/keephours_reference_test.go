package watchdog

import (
	"math/rand/v2"
	"testing"
	"time"
)

// The plain way: look at a clock on the wall every minute for two weeks.

// A wallClock has what the clock in one zone showed, minute by minute, as minutes since some 0:00.
type wallClock []int64

func watchClock(zone *time.Location, from time.Time, minutes int) wallClock {
	out := make(wallClock, minutes)
	for i := range out {
		local := from.Add(time.Duration(i) * time.Minute).In(zone)
		y, m, d := local.Date()
		out[i] = time.Date(y, m, d, local.Hour(), local.Minute(), 0, 0, time.UTC).Unix() / 60
	}
	return out
}

// mark marks the minutes that one range keeps.
func (w wallClock) mark(r KeepRange, marked []bool) {
	length := int64(r.To - r.From)
	if length <= 0 {
		length += 24 * 60
	}
	const day = 24 * 60
	for date := w[0] / day; date <= w[len(w)-1]/day; date++ {
		if !r.Days.Has(time.Unix(date*day*60, 0).UTC().Weekday()) {
			continue
		}
		begins := date*day + int64(r.From)
		first, last := -1, -1
		for i, shown := range w {
			if shown >= begins && first < 0 {
				first = i // the first minute at which the clock shows the beginning, or more
			}
			if shown < begins+length {
				last = i // the last minute at which it shows less than the end
			}
		}
		if first < 0 {
			continue
		}
		end := last + 1
		if end <= first {
			end = first + int(length)
		}
		for i := first; i < min(end, len(marked)); i++ {
			marked[i] = true
		}
	}
}

var zonesWithClocks = []string{
	"UTC", "Asia/Seoul", "Asia/Kathmandu", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/St_Johns", "America/Havana",
	"America/Santiago", "America/Asuncion", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Auckland", "Pacific/Chatham",
	"Pacific/Kiritimati", "Africa/Casablanca", "Asia/Beirut", "Antarctica/Troll",
}

func TestKeepHoursAgreeWithAWallClock(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 1))
	const (
		day   = 24 * 60
		ahead = 12 * day
		span  = 5*day + ahead
	)
	checked, jumps := map[string]int{}, 0
	for round := range 36 {
		zone, err := time.LoadLocation(zonesWithClocks[round%len(zonesWithClocks)])
		if err != nil {
			t.Fatal(err)
		}
		from := time.Date(2024, 1, 1, 0, rng.IntN(6*366*day), 0, 0, time.UTC)
		if _, change := from.In(zone).ZoneBounds(); !change.IsZero() && rng.IntN(4) > 0 {
			from = change.UTC().Truncate(time.Minute).Add(-time.Duration(rng.IntN(ahead)) * time.Minute)
			jumps++
		}
		clocks := map[*time.Location]wallClock{}
		var h KeepHours
		marked := make([]bool, span)
		for range 1 + rng.IntN(3) {
			r := randomRange(rng, zone)
			if rng.IntN(5) == 0 {
				r.Zone = time.UTC
			}
			h = append(h, r)
			if clocks[r.Zone] == nil {
				clocks[r.Zone] = watchClock(r.Zone, from, span)
			}
			clocks[r.Zone].mark(r, marked)
		}
		for range 300 {
			i := 4*day + rng.IntN(day) // what began up to three days before has been marked
			if rng.IntN(3) == 0 {
				for i < 5*day-1 && marked[i] == marked[i-1] { // an edge
					i++
				}
			}
			at := from.Add(time.Duration(i)*time.Minute + time.Duration(rng.IntN(60))*time.Second)
			end := i
			for end < span && marked[end] {
				end++
			}
			want := time.Time{}
			if until := from.Add(time.Duration(end) * time.Minute); marked[i] && until.Sub(at) <= keepHorizon {
				want = until
			}
			until, keep := h.Until(at)
			if keep != marked[i] || !until.Equal(want) {
				t.Fatalf("seed %d: %s at %s (%s): kept %t until %s, by the clock %t until %s", seed, h, at, at.In(zone), keep, until, marked[i], want)
			}
			checked[map[bool]string{true: "kept", false: "not kept"}[keep]]++
			if keep && until.IsZero() {
				checked["no end"]++
			}
		}
	}
	if checked["kept"] < 500 || checked["not kept"] < 500 || jumps < 5 {
		t.Errorf("seed %d: it was a dull week: %v, %d changes of clocks", seed, checked, jumps)
	}
}

// randomRange likes the small hours, in which clocks are changed.
func randomRange(rng *rand.Rand, zone *time.Location) KeepRange {
	minute := func() int {
		if rng.IntN(2) == 0 {
			return 15 * rng.IntN(13)
		}
		return rng.IntN(24 * 60)
	}
	r := KeepRange{Days: Weekdays(1+rng.IntN(127)) | Weekdays(rng.IntN(128)), From: minute(), To: minute(), Zone: zone}
	if rng.IntN(8) == 0 {
		r.From, r.To = 0, 24*60
	}
	if r.To == r.From {
		r.To++
	}
	return r
}
