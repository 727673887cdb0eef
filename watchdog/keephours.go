package watchdog

import (
	"fmt"
	"strings"
	"time"
)

// KeepHours are the times of the week at which the pod is kept, however idle it is. None keeps nothing.
//
// A range is meant by the clock on the wall of its zone. It begins when that clock first shows From, and ends when the clock
// last shows To. So a range that lies in an hour which is lived through twice lasts from its first time to its last one; and
// where the clock jumps over From or To, the moment of the jump stands for it. A range that is jumped over as a whole is not
// lost: it begins at the jump and lasts as long as it would have lasted.
type KeepHours []KeepRange

// KeepRange is one range of hours on some days of the week.
type KeepRange struct {
	// Days are the days, in Zone, on which the range begins.
	Days Weekdays
	// From and To are minutes since the day's 0:00 by the clock: From is 0 to 1439, To is 1 to 1440. A To that is not after
	// From is on the next day.
	From, To int
	// Zone is where the clock hangs; nil means that nobody named a zone, and counts as UTC.
	Zone *time.Location
}

// Weekdays is a set of days of the week; the zero value has none.
type Weekdays uint8

// EveryDay has all seven.
const EveryDay Weekdays = 1<<7 - 1

// Has says whether the day is in the set.
func (w Weekdays) Has(d time.Weekday) bool { return w>>uint(d)&1 == 1 }

// With returns the set with one more day, which is from time.Sunday to time.Saturday.
func (w Weekdays) With(d time.Weekday) Weekdays { return w | 1<<uint(d)&EveryDay }

// keepHorizon is how far an end is looked for: a week has come round by then, and the hour of a changed clock with it.
const keepHorizon = 8 * 24 * time.Hour

// Until says whether the instant lies in kept hours, and at which instant the keeping ends: over all ranges that overlap or
// adjoin, and over midnight. The end itself is not kept any more. It is the zero time where nothing is kept, and also where no
// end is in sight within eight days.
func (h KeepHours) Until(at time.Time) (until time.Time, keep bool) {
	at = at.Round(0) // the monotonic reading, which no instant of the calendar has
	end := at
	for {
		further := end
		for _, r := range h {
			if to := r.end(end); to.After(further) {
				further = to
			}
		}
		switch {
		case !further.After(end) && !end.After(at):
			return time.Time{}, false
		case !further.After(end):
			return end.In(at.Location()), true
		case further.Sub(at) > keepHorizon:
			return time.Time{}, true
		}
		end = further
	}
}

// ZoneNamed says that every range names its zone.
func (h KeepHours) ZoneNamed() bool {
	for _, r := range h {
		if r.Zone == nil {
			return false
		}
	}
	return true
}

// String writes the ranges as the variable is written, with every zone named: "mon-fri 09:00-18:00 Asia/Seoul".
func (h KeepHours) String() string {
	parts := make([]string, len(h))
	for i, r := range h {
		parts[i] = r.String()
	}
	return strings.Join(parts, "; ")
}

func (r KeepRange) String() string {
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d %s", r.Days, r.From/60, r.From%60, r.To/60, r.To%60, r.zone())
}

var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// String writes days as "mon-fri", "wed,sat-mon" or "daily".
func (w Weekdays) String() string {
	if w&EveryDay == EveryDay {
		return "daily"
	}
	var runs []string
	for i := range 7 {
		first := (i + 1) % 7 // a week begins on Monday
		if !w.Has(time.Weekday(first)) || w.Has(time.Weekday((first+6)%7)) {
			continue
		}
		last := first
		for w.Has(time.Weekday((last + 1) % 7)) {
			last = (last + 1) % 7
		}
		run := dayNames[first]
		if last != first {
			run += "-" + dayNames[last]
		}
		runs = append(runs, run)
	}
	return strings.Join(runs, ",")
}

func (r KeepRange) zone() *time.Location {
	if r.Zone == nil {
		return time.UTC
	}
	return r.Zone
}

// end is when that occurrence of the range ends which the instant lies in; the zero time where it lies in none.
func (r KeepRange) end(t time.Time) (end time.Time) {
	y, m, d := t.In(r.zone()).Date()
	// A range lasts at most a day, and no clock was ever changed by more than a day.
	for day := d - 3; day <= d+1; day++ {
		date := time.Date(y, m, day, 0, 0, 0, 0, time.UTC)
		if !r.Days.Has(date.Weekday()) {
			continue
		}
		if from, to := r.on(date); !t.Before(from) && t.Before(to) && to.After(end) {
			end = to
		}
	}
	return end
}

// on returns the instants between which the range is kept that begins on this date, given as its 0:00 in UTC.
func (r KeepRange) on(date time.Time) (from, to time.Time) {
	length := time.Duration(r.To-r.From) * time.Minute
	if length <= 0 {
		length += 24 * time.Hour
	}
	begins := date.Add(time.Duration(r.From) * time.Minute)
	from, to = clockReaches(r.zone(), begins), clockPasses(r.zone(), begins.Add(length))
	if !to.After(from) {
		to = from.Add(length)
	}
	return from, to
}
